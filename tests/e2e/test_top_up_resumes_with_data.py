"""After zero a top-up brings the agent back, on the volume it left, with what it was told."""

import pytest

from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, SOON_OVER_SECONDS, Tenant, seconds_of_demo

pytestmark = pytest.mark.cluster


def test_top_up_resumes_the_agent_with_its_data(house: House, tenant: Tenant) -> None:
    helper = tenant.open(seconds_of_demo(SOON_OVER_SECONDS)).agent(size="demo")
    first = helper.until_ready()["status"]["podName"]
    assert helper.chat("remember the cargo is salt")
    helper.until_suspended()
    volumes = helper.volumes()

    # Ten minutes of its price bring an agent back; less is kept in the wallet and starts nothing.
    house.grant(tenant.name, seconds_of_demo(599))
    wallet = house.cluster.until_one(
        "wallets", "", tenant.name, lambda wallet: wallet["status"].get("missing") == "0.005", "the missing second"
    )
    assert wallet["status"]["standing"] == "Exhausted"
    assert helper.pods() == []

    house.grant(tenant.name, PLENTY_MICROS)
    second = helper.until_ready()["status"]["podName"]
    assert second != first, "a new incarnation"
    assert helper.volumes() == volumes, "the same volume"
    assert "the cargo is salt" in helper.chat("recall")
    house.books_are_right()
