"""News: which change of a status is told as an Event, beside the condition that stays; pure.

A condition says how things are, an Event that they have changed. Told is what somebody waits for or should look at, and
each once: what is only on the way, and what all agents of a wallet have in common, stays in the conditions.
"""

from collections.abc import Mapping
from typing import Any

from moorage.model.conditions import ConditionType
from moorage.model.reasons import Reason

Status = Mapping[str, Any]  # Any: a status, ours or as it was watched

GOOD = frozenset(
    {
        Reason.POD_READY,
        Reason.HEALTHY,
        Reason.USER_REQUESTED,
        Reason.SNAPSHOT_VERIFIED,
        Reason.RESTORING,
        Reason.FUNDED,
        Reason.CORE_NAMESPACE_READY,
        Reason.DOMAIN_READY,
    }
)
BAD = frozenset(
    {
        Reason.IMAGE_NOT_ALLOWED,
        Reason.IMAGE_PULL_FAILED,
        Reason.RUNTIME_UNKNOWN,
        Reason.SIZE_UNKNOWN,
        Reason.SANDBOX_UNAVAILABLE,
        Reason.RIGHTS_MISSING,
        Reason.POLICY_MISSING,
        Reason.NETWORK_POLICY_NOT_ENFORCED,
        Reason.CRASH_LOOP,
        Reason.UNSCHEDULABLE,
        Reason.QUOTA_EXCEEDED,
        Reason.SECRET_NOT_FOUND,
        Reason.SPEC_INVALID,
        Reason.SCHEDULE_INVALID,
        Reason.SNAPSHOT_NOT_FOUND,
        Reason.VOLUME_TOO_SMALL,
        Reason.NOT_A_TENANT,
        Reason.NAME_TAKEN,
        Reason.NODE_UNREACHABLE,
        Reason.RESTARTED,
        Reason.OUT_OF_MEMORY,
        Reason.EVICTED,
        Reason.EPHEMERAL_STORAGE_FULL,
        Reason.VOLUME_OVERFULL,
        Reason.LOW_BALANCE,
        Reason.LOW_RUNWAY,
        Reason.ZERO_BALANCE,
        Reason.BILLING_ON_HOLD,
        Reason.BUDGET_REACHED,
        Reason.WALLET_NOT_FOUND,
        Reason.SNAPSHOT_FAILED,
        Reason.RESTORE_FAILED,
        Reason.VOLUME_LOST,
        Reason.PURGE_PENDING,
        Reason.PURGED,
        Reason.CORE_NAMESPACE_TAKEN,
        Reason.AGENTS_REMAIN,
        Reason.WALLET_IN_USE,
        Reason.HOSTNAME_INVALID,
        Reason.HOSTNAME_MIXED_SCRIPTS,
        Reason.HOSTNAME_RESERVED,
        Reason.HOSTNAME_PUBLIC_SUFFIX,
        Reason.HOSTNAME_TOO_DEEP,
        Reason.HOSTNAME_TAKEN,
        Reason.HOSTNAME_QUARANTINED,
        Reason.HOSTNAME_LIMIT,
        Reason.HOSTNAME_CONFLICT,
        Reason.HOSTNAME_BLOCKED,
        Reason.HOSTNAME_NOT_POINTED,
        Reason.PROOF_MISSING,
        Reason.PROOF_LOST,
        Reason.RECORD_CONFLICT,
        Reason.RECORD_REFUSED,
        Reason.PROVIDER_TOKEN_INVALID,
        Reason.PROVIDER_LACKS_DNS_EDIT,
        Reason.PROVIDER_LACKS_SSL_EDIT,
        Reason.ZONE_NOT_FOUND,
        Reason.CERTIFICATE_REFUSED,
        Reason.CERTIFICATE_EXPIRED,
        Reason.ISSUER_UNKNOWN,
        Reason.ACME_NOT_DELEGATED,
        Reason.AGENT_NOT_FOUND,
        Reason.AGENT_SERVES_NO_HTTP,
        Reason.DOMAIN_UNPAID,
        Reason.DOMAIN_RELEASED,
    }
)
# The usual state is news only to whoever knew another one.
USUAL = frozenset({Reason.HEALTHY, Reason.FUNDED})
# What the money says is told of the wallet; of an agent, once it has stopped for it.
LISTENED: Mapping[str, frozenset[ConditionType]] = {
    "Agent": frozenset(
        {ConditionType.READY, ConditionType.SUSPENDED, ConditionType.HEALTHY, ConditionType.SNAPSHOT_READY,
         ConditionType.VOLUME_READY}
    ),
    "Namespace": frozenset({ConditionType.READY}),
    "Wallet": frozenset({ConditionType.READY, ConditionType.FUNDED}),
    # A month that could not be paid is told while the name still leads to its agent.
    "Domain": frozenset({ConditionType.READY, ConditionType.CLAIMED}),
}  # fmt: skip


def of(kind: str, before: Status, after: Status) -> tuple[Reason, ...]:
    """The reasons that were not there before, in a fixed order; a reason that two conditions give is told once."""
    known = _reasons(kind, before)
    fresh = _reasons(kind, after) - known
    if not before.get("conditions"):
        fresh -= USUAL
    if _snapshot(after) not in (None, _snapshot(before)):
        fresh |= {Reason.SNAPSHOT_VERIFIED}
    return tuple(reason for reason in Reason if reason in fresh)


def _reasons(kind: str, status: Status) -> frozenset[Reason]:
    listened = LISTENED.get(kind, frozenset())
    said = {item.get("reason") for item in status.get("conditions") or () if item.get("type") in listened}
    # A new snapshot is told by its name: the condition says the same of every one.
    told = (GOOD | BAD) - {Reason.SNAPSHOT_VERIFIED}
    return frozenset(reason for reason in told if reason.value in said)


def _snapshot(status: Status) -> str | None:
    last = status.get("lastSnapshot")
    return None if last is None else last["id"]
