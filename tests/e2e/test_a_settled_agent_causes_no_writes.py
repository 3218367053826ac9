"""Once everything is as it should be, nothing is written: not in a minute, and not by an operator that starts anew."""

import pytest

from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Tenant

pytestmark = pytest.mark.cluster

SILENCE_SECONDS = 60


def test_a_settled_agent_causes_no_writes_for_a_minute(house: House, tenant: Tenant, closing: list[Tenant]) -> None:
    for earlier in closing:  # what tests before this one left is not settled while it is being deleted
        earlier.until_closed()
    running = tenant.open(PLENTY_MICROS).agent(files={"a.txt": "one"})
    resting = tenant.agent("resting", desiredState="Suspended", http=None)
    running.until_ready()
    resting.until_suspended()
    counts = {"total": 2, "running": 1, "suspended": 1}
    house.cluster.until_one(
        "tenantnamespaces", "", tenant.name, lambda now: now["status"]["agents"] == counts, "the count of agents"
    )
    house.cluster.until_one(
        "wallets", "", tenant.name, lambda now: now["status"]["burnPerHour"] == "0.036", "the burn of one agent"
    )

    tenant.until_quiet()  # when the credit ends is told a moment after the agent is ready
    house.kill_operator()
    before = tenant.versions()
    house.start_operator()
    assert house.cluster.changes("agents", tenant.namespace, seconds=SILENCE_SECONDS) == []

    assert house.writes() == {}
    assert tenant.versions() == before
