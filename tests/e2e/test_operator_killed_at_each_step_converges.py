"""The operator is killed in the middle of a step; its successor ends where an undisturbed one ends, within a minute."""

import time
from collections.abc import Callable, Iterator

import pytest

from moorage.model import names
from tests.e2e.cluster import condition
from tests.e2e.fingerprint import fingerprint
from tests.e2e.house import DEMO_MICROS_PER_SECOND, House
from tests.e2e.tenancy import PLENTY_MICROS, SOON_OVER_SECONDS, Helper, Tenant, seconds_of_demo

pytestmark = pytest.mark.cluster

CONVERGED_SECONDS_MAX = 60.0


@pytest.fixture(scope="module")
def undisturbed(platform_house: House, closing: list[Tenant]) -> Iterator[list[str]]:
    """What is there after a suspension that nobody disturbed."""
    tenant = Tenant(platform_house)
    try:
        helper = _running(tenant)
        helper.until_suspended()
        _until_nothing_moves(helper, CONVERGED_SECONDS_MAX)
        yield fingerprint(tenant)
    finally:
        tenant.close()
        closing.append(tenant)


@pytest.mark.parametrize("step", ["ZeroBalance", "Draining", "Snapshotting", "Verifying"])
def test_suspension_converges_when_the_operator_is_killed(
    house: House, tenant: Tenant, undisturbed: list[str], step: str
) -> None:
    helper = _running(tenant)
    _kill_at(house, helper, step)
    state = helper.record()["state"]
    assert state == ("Draining" if step == "ZeroBalance" else step), "the kill came in time"

    left = _restarted(house)
    helper.until_suspended(seconds=left())
    _until_nothing_moves(helper, left())
    assert fingerprint(tenant) == undisturbed
    agent = helper.read()
    assert condition(agent, "Suspended") == ("True", "ZeroBalance")
    _one_verified_snapshot(house, helper)
    # A pod that ended while nobody looked is charged as far as it was proven; one that was seen to end, to its zero.
    charged = SOON_OVER_SECONDS if step in {"Snapshotting", "Verifying"} else None
    _check_charge(house, tenant, charged)


def test_resume_converges_when_the_operator_is_killed_during_a_restore(house: House, tenant: Tenant) -> None:
    house.start_operator(MOORAGE_WARM_WINDOW_SECONDS="0")
    helper = tenant.open(PLENTY_MICROS).agent()
    helper.until_ready()
    assert helper.chat("remember the tide turns at four")
    before = fingerprint(tenant)
    helper.patch(desiredState="Suspended")
    helper.until_says("VolumeReady", "VolumeFreed")

    helper.patch(desiredState="Running")
    helper.until_says("Suspended", "Restoring")
    house.kill_operator()
    assert helper.record()["state"] == "Restoring", "the kill came in time"

    left = _restarted(house, MOORAGE_WARM_WINDOW_SECONDS="0")
    helper.until_ready(seconds=left())
    house.cluster.until_gone("jobs", tenant.namespace, seconds=left())
    assert fingerprint(tenant) == before
    assert "the tide turns at four" in helper.chat("recall")
    _one_verified_snapshot(house, helper)
    house.books_are_right()


def _running(tenant: Tenant) -> Helper:
    """An agent whose credit ends in a few seconds."""
    helper = tenant.open(seconds_of_demo(SOON_OVER_SECONDS)).agent(size="demo")
    helper.until_ready()
    return helper


def _kill_at(house: House, helper: Helper, step: str) -> None:
    if step == "ZeroBalance":
        house.on_news(
            "(SELECT standing = 'Exhausted' FROM money.wallet WHERE name = $1)",
            helper.tenant.name,
            act=house.kill_operator,
            seconds=60,
        )
    else:
        helper.until_says("Suspended", step)
        house.kill_operator()


def _restarted(house: House, **settings: str) -> Callable[[], float]:
    """Start the successor; returns what is left of its time."""
    deadline = time.monotonic() + CONVERGED_SECONDS_MAX
    house.start_operator(**settings)
    return lambda: deadline - time.monotonic()


def _until_nothing_moves(helper: Helper, seconds: float) -> None:
    for plural in ("jobs", "pods"):
        helper.tenant.house.cluster.until_gone(plural, helper.tenant.namespace, seconds=seconds)


def _check_charge(house: House, tenant: Tenant, charged: int | None) -> None:
    """Every second of the pod is either charged or absorbed, and what was charged is what the balance lacks."""
    wallet = house.row("SELECT * FROM money.wallet WHERE name = $1", tenant.name)
    assert (wallet["standing"], wallet["burn_picos"]) == ("Exhausted", 0)
    open_pods = "SELECT * FROM money.run WHERE wallet_id = $1 AND meter = 'Pod' AND ended IS NULL"
    assert not house.rows(open_pods, wallet["id"])
    lines = house.rows(
        "SELECT l.* FROM money.line l JOIN money.run r ON r.id = l.run_id WHERE l.wallet_id = $1 AND r.meter = 'Pod'",
        wallet["id"],
    )
    seconds = sum(line["charged_seconds"] for line in lines)  # no line: the pod was gone before anything was proven
    paid = seconds_of_demo(SOON_OVER_SECONDS) - wallet["balance_micros"]
    assert seconds * DEMO_MICROS_PER_SECOND == paid
    assert 0 <= seconds <= SOON_OVER_SECONDS
    assert charged in (None, seconds)
    house.books_are_right()


def _one_verified_snapshot(house: House, helper: Helper) -> None:
    (snapshot,) = helper.snapshots()
    record = helper.record()
    assert record["snapshot_id"] == snapshot["id"]
    assert house.stored_bytes(snapshot["object_key"]) == snapshot["object_bytes"]
    assert names.snapshot_id(helper.read()["status"]["lastSnapshot"]["id"]) == str(snapshot["id"])
