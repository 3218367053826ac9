"""What is told as an Event: changes that somebody waits for or should look at, each once."""

import itertools
from typing import Any

import pytest

from moorage.lifecycle import news
from moorage.model.conditions import ConditionType, Status
from moorage.model.reasons import Reason

NEW: dict[str, Any] = {}


def status(snapshot: str | None = None, **conditions: Reason) -> dict[str, Any]:
    """A status of these conditions."""
    items = [{"type": kind, "status": "False", "reason": reason.value} for kind, reason in conditions.items()]
    last = {} if snapshot is None else {"lastSnapshot": {"id": snapshot}}
    return {"conditions": items, **last}


RUNNING = status(Ready=Reason.POD_READY, Suspended=Reason.RUNNING, Healthy=Reason.HEALTHY, Funded=Reason.FUNDED)
STOPPING = status(Ready=Reason.DRAINING, Suspended=Reason.DRAINING, Healthy=Reason.HEALTHY, Funded=Reason.ZERO_BALANCE)
STOPPED = status(
    "snp_1", Ready=Reason.ZERO_BALANCE, Suspended=Reason.ZERO_BALANCE, Healthy=Reason.HEALTHY,
    Funded=Reason.ZERO_BALANCE, SnapshotReady=Reason.SNAPSHOT_VERIFIED,
)  # fmt: skip

STORIES: dict[str, tuple[str, dict[str, Any], dict[str, Any], list[Reason]]] = {
    "an agent runs for the first time": ("Agent", NEW, RUNNING, [Reason.POD_READY]),
    "an agent begins to stop": ("Agent", RUNNING, STOPPING, []),
    "an agent has stopped at zero": ("Agent", STOPPING, STOPPED, [Reason.ZERO_BALANCE, Reason.SNAPSHOT_VERIFIED]),
    "an agent is back": ("Agent", STOPPED, {**RUNNING, "lastSnapshot": {"id": "snp_1"}}, [Reason.POD_READY]),
    "a second snapshot": ("Agent", STOPPED, {**STOPPED, "lastSnapshot": {"id": "snp_2"}}, [Reason.SNAPSHOT_VERIFIED]),
    "a crash": (
        "Agent", RUNNING, status(Ready=Reason.CRASH_LOOP, Healthy=Reason.CRASH_LOOP), [Reason.CRASH_LOOP]
    ),
    "healed": (
        "Agent", status(Ready=Reason.POD_READY, Healthy=Reason.CRASH_LOOP), RUNNING, [Reason.HEALTHY]
    ),
    "the same once more": ("Agent", STOPPED, STOPPED, []),
    "a wallet is low": (
        "Wallet", status(Funded=Reason.FUNDED), status(Funded=Reason.LOW_BALANCE), [Reason.LOW_BALANCE]
    ),
    "a wallet is topped up": (
        "Wallet", status(Funded=Reason.ZERO_BALANCE), status(Funded=Reason.FUNDED), [Reason.FUNDED]
    ),
    "a wallet opens with credit": ("Wallet", NEW, status(Funded=Reason.FUNDED, Ready=Reason.LEDGER_READY), []),
    "a tenant is ready": (
        "Namespace", NEW, status(Ready=Reason.CORE_NAMESPACE_READY, Funded=Reason.ZERO_BALANCE),
        [Reason.CORE_NAMESPACE_READY],
    ),
    "a tenant's namespace is somebody else's": (
        "Namespace", NEW, status(Ready=Reason.CORE_NAMESPACE_TAKEN), [Reason.CORE_NAMESPACE_TAKEN]
    ),
    "a domain on a platform without a provider": ("Domain", NEW, status(Ready=Reason.DNS_NOT_CONFIGURED), []),
    "a domain waits for its proof": ("Domain", NEW, status(Ready=Reason.PROOF_MISSING), [Reason.PROOF_MISSING]),
    "a domain is on its way": ("Domain", NEW, status(Ready=Reason.RECORD_PENDING), []),
    "a domain leads to its agent": (
        "Domain", status(Ready=Reason.ROUTE_PENDING), status(Ready=Reason.DOMAIN_READY), [Reason.DOMAIN_READY]
    ),
    "a name that works is not paid": (
        "Domain", status(Ready=Reason.DOMAIN_READY, Claimed=Reason.CLAIMED),
        status(Ready=Reason.DOMAIN_READY, Claimed=Reason.DOMAIN_UNPAID), [Reason.DOMAIN_UNPAID]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "before", "after", "told"), STORIES.values(), ids=STORIES)
def test_a_change_is_told(kind: str, before: dict[str, Any], after: dict[str, Any], told: list[Reason]) -> None:
    assert sorted(news.of(kind, before, after)) == sorted(told)


def test_good_and_bad_are_told_apart() -> None:
    assert not news.GOOD & news.BAD
    assert news.USUAL <= news.GOOD


def test_what_is_only_on_the_way_is_never_told() -> None:
    passing = {Reason.POD_STARTING, Reason.POD_NOT_READY, Reason.DRAINING, Reason.SNAPSHOTTING, Reason.STATE_UNKNOWN}
    assert passing & (news.GOOD | news.BAD) == set()


def test_nothing_is_told_of_a_status_that_did_not_change() -> None:
    """Over every pair of a condition and a reason: a restart of the operator is no news."""
    for kind, condition, reason, verdict in itertools.product(news.LISTENED, ConditionType, Reason, Status):
        same = {"conditions": [{"type": condition.value, "status": verdict.value, "reason": reason.value}]}
        assert news.of(kind, same, same) == ()
