"""How a GitOps tool is to judge our kinds: one table over every reason, for Argo CD's words and for Flux's."""

from enum import StrEnum
from typing import Any

from moorage.model import conditions
from moorage.model.conditions import ConditionType, Status
from moorage.model.reasons import Reason

Manifest = dict[str, Any]  # JSON for a tool that is not ours

GENERATION = 3
NEVER_READY_FALSE = frozenset(
    {
        # Only with Ready=True or Unknown, or on other conditions.
        *(Reason.POD_READY, Reason.NODE_UNREACHABLE, Reason.STATE_UNKNOWN, Reason.RUNNING, Reason.FUNDED),
        *(Reason.LOW_BALANCE, Reason.LOW_RUNWAY, Reason.HEALTHY, Reason.RESTARTED, Reason.OUT_OF_MEMORY),
        *(Reason.VOLUME_OVERFULL, Reason.SNAPSHOT_VERIFIED, Reason.NO_SNAPSHOT_YET, Reason.NO_STORAGE),
        *(Reason.VOLUME_BOUND, Reason.VOLUME_PENDING, Reason.VOLUME_KEPT, Reason.VOLUME_FREED),
        # Of the other kinds.
        *(Reason.ISOLATION_APPLIED, Reason.CORE_NAMESPACE_READY, Reason.CORE_NAMESPACE_TAKEN, Reason.AGENTS_REMAIN),
        Reason.RIGHTS_MISSING,
        *(Reason.WALLET_IN_USE, Reason.LEDGER_READY, Reason.DNS_NOT_CONFIGURED, Reason.WALLET_NOT_FOUND),
        *(Reason.DOMAIN_READY, Reason.CLAIMED, Reason.CLAIM_PENDING, Reason.HOSTNAME_INVALID),
        *(Reason.HOSTNAME_MIXED_SCRIPTS, Reason.HOSTNAME_RESERVED, Reason.HOSTNAME_PUBLIC_SUFFIX),
        *(Reason.HOSTNAME_TOO_DEEP, Reason.HOSTNAME_TAKEN, Reason.HOSTNAME_QUARANTINED),
        *(Reason.HOSTNAME_LIMIT, Reason.HOSTNAME_CONFLICT, Reason.HOSTNAME_BLOCKED),
        *(Reason.HOSTNAME_NOT_POINTED, Reason.NO_PROOF_NEEDED, Reason.PROVEN, Reason.PROOF_MISSING),
        *(Reason.PROOF_LOST, Reason.RECORD_WRITTEN, Reason.RECORD_PENDING, Reason.RECORD_CONFLICT),
        Reason.RECORD_REFUSED,
        *(Reason.PROVIDER_UNREACHABLE, Reason.PROVIDER_TOKEN_INVALID, Reason.PROVIDER_LACKS_DNS_EDIT),
        *(Reason.PROVIDER_LACKS_SSL_EDIT, Reason.ZONE_NOT_FOUND, Reason.CERTIFICATE_ISSUED),
        *(Reason.CERTIFICATE_PENDING, Reason.CERTIFICATE_REFUSED, Reason.CERTIFICATE_EXPIRED),
        *(Reason.ISSUER_UNKNOWN, Reason.ACME_NOT_DELEGATED, Reason.ROUTE_APPLIED, Reason.ROUTE_PENDING),
        *(Reason.AGENT_NOT_FOUND, Reason.AGENT_SERVES_NO_HTTP, Reason.AGENT_AWAY, Reason.DOMAIN_UNPAID),
        *(Reason.DOMAIN_RELEASED, Reason.DOMAIN_DELETING, Reason.WAITS_FOR_CLAIM),
    }
)


class Judgement(StrEnum):
    """Argo CD's five words."""

    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"


# Flux knows no rest: what is stopped on purpose is as Git wants it. A state that cannot be read may pass.
FLUX = {
    Judgement.HEALTHY: "Current",
    Judgement.SUSPENDED: "Current",
    Judgement.PROGRESSING: "InProgress",
    Judgement.UNKNOWN: "InProgress",
    Judgement.DEGRADED: "Failed",
}

# Of an agent that is not ready: stopped by money or its owner, on its way, or in need of somebody.
AGENT_NOT_READY: dict[Reason, Judgement] = {
    **dict.fromkeys(
        (
            *(Reason.ZERO_BALANCE, Reason.BILLING_ON_HOLD, Reason.BUDGET_REACHED, Reason.USER_REQUESTED),
            Reason.PURGE_PENDING,
        ),
        Judgement.SUSPENDED,
    ),
    **dict.fromkeys(
        (
            *(Reason.POD_STARTING, Reason.POD_NOT_READY, Reason.POD_REPLACED, Reason.UNSCHEDULABLE, Reason.DRAINING),
            *(Reason.SNAPSHOT_QUEUED, Reason.SNAPSHOTTING, Reason.VERIFYING, Reason.RESTORE_QUEUED),
            *(Reason.RESTORING, Reason.DELETING, Reason.ISOLATION_PENDING, Reason.KEYS_UNAVAILABLE),
        ),
        Judgement.PROGRESSING,
    ),
    **dict.fromkeys(
        (
            *(Reason.IMAGE_NOT_ALLOWED, Reason.IMAGE_PULL_FAILED, Reason.RUNTIME_UNKNOWN, Reason.SIZE_UNKNOWN),
            *(Reason.CRASH_LOOP, Reason.QUOTA_EXCEEDED, Reason.SECRET_NOT_FOUND, Reason.SPEC_INVALID),
            *(Reason.SCHEDULE_INVALID, Reason.SNAPSHOT_NOT_FOUND, Reason.VOLUME_TOO_SMALL, Reason.NOT_A_TENANT),
            *(Reason.NAME_TAKEN, Reason.EVICTED, Reason.EPHEMERAL_STORAGE_FULL, Reason.VOLUME_LOST),
            *(Reason.SNAPSHOT_FAILED, Reason.RESTORE_FAILED, Reason.PURGED, Reason.SANDBOX_UNAVAILABLE),
            Reason.NETWORK_POLICY_NOT_ENFORCED,
            Reason.POLICY_MISSING,
        ),
        Judgement.DEGRADED,
    ),
}

# What else an agent, a wallet, a tenant or a domain may say: kind, conditions by type, and the judgement.
# Of a Domain that is not ready: waiting for its owner or its agent's, on its way, or refused.
DOMAIN_NOT_READY: dict[Reason, Judgement] = {
    **dict.fromkeys(
        (
            *(Reason.DNS_NOT_CONFIGURED, Reason.PROOF_MISSING, Reason.HOSTNAME_NOT_POINTED, Reason.ACME_NOT_DELEGATED),
            *(Reason.AGENT_AWAY, Reason.HOSTNAME_QUARANTINED, Reason.DOMAIN_RELEASED),
        ),
        Judgement.SUSPENDED,
    ),
    **dict.fromkeys(
        (
            *(Reason.CLAIM_PENDING, Reason.RECORD_PENDING, Reason.CERTIFICATE_PENDING, Reason.ROUTE_PENDING),
            *(Reason.WAITS_FOR_CLAIM, Reason.PROVIDER_UNREACHABLE, Reason.DOMAIN_DELETING),
        ),
        Judgement.PROGRESSING,
    ),
    **dict.fromkeys(
        (
            *(Reason.HOSTNAME_INVALID, Reason.HOSTNAME_MIXED_SCRIPTS, Reason.HOSTNAME_RESERVED),
            *(Reason.HOSTNAME_PUBLIC_SUFFIX, Reason.HOSTNAME_TOO_DEEP, Reason.HOSTNAME_TAKEN, Reason.HOSTNAME_LIMIT),
            *(Reason.HOSTNAME_CONFLICT, Reason.HOSTNAME_BLOCKED, Reason.PROOF_LOST, Reason.RECORD_CONFLICT),
            *(Reason.RECORD_REFUSED, Reason.PROVIDER_TOKEN_INVALID, Reason.PROVIDER_LACKS_DNS_EDIT),
            *(Reason.PROVIDER_LACKS_SSL_EDIT, Reason.ZONE_NOT_FOUND, Reason.CERTIFICATE_REFUSED),
            *(Reason.CERTIFICATE_EXPIRED, Reason.ISSUER_UNKNOWN, Reason.AGENT_NOT_FOUND),
            *(Reason.AGENT_SERVES_NO_HTTP, Reason.NOT_A_TENANT),
        ),
        Judgement.DEGRADED,
    ),
}
OTHERS: dict[str, tuple[str, dict[ConditionType, tuple[Status, Reason]], Judgement]] = {
    "a running agent": (
        "Agent",
        {
            ConditionType.READY: (Status.TRUE, Reason.POD_READY),
            ConditionType.HEALTHY: (Status.TRUE, Reason.HEALTHY),
        },
        Judgement.HEALTHY,
    ),
    "an agent that was restarted once": (
        "Agent",
        {
            ConditionType.READY: (Status.TRUE, Reason.POD_READY),
            ConditionType.HEALTHY: (Status.FALSE, Reason.RESTARTED),
        },
        Judgement.HEALTHY,
    ),
    "an agent between two crashes": (
        "Agent",
        {
            ConditionType.READY: (Status.TRUE, Reason.POD_READY),
            ConditionType.HEALTHY: (Status.FALSE, Reason.CRASH_LOOP),
        },
        Judgement.DEGRADED,
    ),
    "an agent on a silent node": (
        "Agent",
        {ConditionType.READY: (Status.UNKNOWN, Reason.NODE_UNREACHABLE)},
        Judgement.UNKNOWN,
    ),
    "an agent that cannot be read": (
        "Agent",
        {ConditionType.READY: (Status.UNKNOWN, Reason.STATE_UNKNOWN)},
        Judgement.UNKNOWN,
    ),
    "a wallet with credit": (
        "Wallet",
        {
            ConditionType.READY: (Status.TRUE, Reason.LEDGER_READY),
            ConditionType.FUNDED: (Status.TRUE, Reason.FUNDED),
        },
        Judgement.HEALTHY,
    ),
    "a wallet without credit": (
        "Wallet",
        {
            ConditionType.READY: (Status.TRUE, Reason.LEDGER_READY),
            ConditionType.FUNDED: (Status.FALSE, Reason.ZERO_BALANCE),
        },
        Judgement.HEALTHY,
    ),
    "a wallet that tenants hold": (
        "Wallet",
        {ConditionType.READY: (Status.FALSE, Reason.WALLET_IN_USE)},
        Judgement.PROGRESSING,
    ),
    "a wallet that cannot be read": (
        "Wallet",
        {ConditionType.READY: (Status.UNKNOWN, Reason.STATE_UNKNOWN)},
        Judgement.UNKNOWN,
    ),
    "a tenant without credit": (
        "Namespace",
        {
            ConditionType.READY: (Status.TRUE, Reason.CORE_NAMESPACE_READY),
            ConditionType.FUNDED: (Status.FALSE, Reason.ZERO_BALANCE),
        },
        Judgement.HEALTHY,
    ),
    "a tenant whose namespace is taken": (
        "Namespace",
        {ConditionType.READY: (Status.FALSE, Reason.CORE_NAMESPACE_TAKEN)},
        Judgement.DEGRADED,
    ),
    "a tenant that agents hold": (
        "Namespace",
        {ConditionType.READY: (Status.FALSE, Reason.AGENTS_REMAIN)},
        Judgement.PROGRESSING,
    ),
    "a domain that leads to its agent, and is not paid": (
        "Domain",
        {
            ConditionType.READY: (Status.TRUE, Reason.DOMAIN_READY),
            ConditionType.CLAIMED: (Status.TRUE, Reason.DOMAIN_UNPAID),
        },
        Judgement.HEALTHY,
    ),
    "a domain that cannot be read": (
        "Domain",
        {ConditionType.READY: (Status.UNKNOWN, Reason.STATE_UNKNOWN)},
        Judgement.UNKNOWN,
    ),
}


def cases() -> dict[str, tuple[str, Manifest, Judgement]]:
    """Every case by its sentence: kind, status, judgement."""
    found = {
        f"an agent that says {reason.value}": ("Agent", {ConditionType.READY: (Status.FALSE, reason)}, judgement)
        for reason, judgement in AGENT_NOT_READY.items()
    } | {
        f"a domain that says {reason.value}": ("Domain", {ConditionType.READY: (Status.FALSE, reason)}, judgement)
        for reason, judgement in DOMAIN_NOT_READY.items()
    }
    return {name: (kind, status(said), judgement) for name, (kind, said, judgement) in {**found, **OTHERS}.items()}


def status(said: dict[ConditionType, tuple[Status, Reason]], generation: int = GENERATION) -> Manifest:
    """A status as the operator writes it, with each reason's own message."""
    written = [
        conditions.as_manifest(conditions.condition(kind, *verdict, generation=generation), "2026-01-01T00:00:00Z")
        for kind, verdict in said.items()
    ]
    return {"observedGeneration": generation, "conditions": written}
