"""A minute without the database, and one without the API server: agents run on, and nothing is lost or done twice."""

from collections.abc import Callable

import pytest

from dev import platform, processes
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Helper, Tenant, seconds_of_demo
from tests.e2e.trouble import OUTAGE_SECONDS, for_a_minute

pytestmark = pytest.mark.cluster

CONVERGED_SECONDS_MAX = 60
# A kubelet that has lost the API server looks for it up to once a minute.
CLUSTER_BACK_SECONDS_MAX = 180
# It ends while the database is away, and not before.
PAID_SECONDS = OUTAGE_SECONDS - 15


def until_operator_ready(house: House) -> None:
    def is_ready() -> bool:
        return platform.ready(house.layout, "operator")

    processes.wait(house.layout, "operator", is_ready, seconds=CONVERGED_SECONDS_MAX, what="its readiness")


def same_pod(helper: Helper, uid: str) -> None:
    metadata = helper.pod()["metadata"]
    assert metadata["uid"] == uid
    assert "deletionTimestamp" not in metadata


def test_without_the_database_agents_run_on_and_a_credit_that_ends_meanwhile_is_honoured(
    house: House, tenant: Tenant, new_tenant: Callable[[], Tenant]
) -> None:
    if house.brings_database:
        pytest.skip("somebody else's database is not stopped")
    lasting = tenant.open(PLENTY_MICROS).agent()
    lasting.until_ready()
    ending = new_tenant().open(seconds_of_demo(PAID_SECONDS)).agent(size="demo")
    ending.until_ready()
    uid, other = (helper.pod()["metadata"]["uid"] for helper in (lasting, ending))
    house.stop_database()

    def both_run() -> None:
        same_pod(lasting, uid)
        same_pod(ending, other)

    for_a_minute(both_run)
    assert not platform.ready(house.layout, "operator"), "it says that it can do nothing"
    house.start_database()
    until_operator_ready(house)
    ending.until_suspended(seconds=CONVERGED_SECONDS_MAX)
    same_pod(lasting, uid)
    lasting.until_ready()
    wallet = house.row("SELECT * FROM money.wallet WHERE name = $1", ending.tenant.name)
    assert wallet["balance_micros"] >= 0, "what nobody could stop is not charged"
    assert len(ending.snapshots()) == 1
    house.books_are_right()


def test_without_the_api_server_agents_run_on_and_the_operator_goes_on_afterwards(house: House, tenant: Tenant) -> None:
    if house.layout.external:
        pytest.skip("somebody else's API server is not stopped")
    lasting = tenant.open(PLENTY_MICROS).agent()
    asking = tenant.agent("asking")
    lasting.until_ready()
    asking.until_ready()
    uid = lasting.pod()["metadata"]["uid"]
    house.stop_api_server()
    try:
        asked = house.moorage("snapshot", "take", f"{tenant.namespace}/{asking.name}", "--no-wait")
        assert asked.returncode == 0, asked.stderr
        for_a_minute(lambda: None)
    finally:
        house.start_api_server()
    until_operator_ready(house)
    lasting.until_ready(seconds=CLUSTER_BACK_SECONDS_MAX)
    same_pod(lasting, uid)
    asking.until_says("SnapshotReady", "SnapshotVerified", seconds=CLUSTER_BACK_SECONDS_MAX)
    asking.until_ready()
    assert len(asking.snapshots()) == 1
    house.books_are_right()
