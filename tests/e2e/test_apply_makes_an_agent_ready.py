"""Apply a wallet, a namespace and an agent: it becomes Ready, answers, and is shown well."""

import pytest

from tests.e2e.cluster import condition
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Tenant

pytestmark = pytest.mark.cluster


def test_applied_agent_becomes_ready_and_answers(house: House, tenant: Tenant) -> None:
    tenant.open(PLENTY_MICROS)
    files = {"greeting.txt": "Ahoy."}
    helper = tenant.agent(files=files)
    agent = helper.until_ready()
    assert helper.chat("remember the anchor is down")
    assert "the anchor is down" in helper.chat("what did I tell you?")
    agent = house.cluster.until_one(
        "agents",
        tenant.namespace,
        helper.name,
        lambda now: "zeroAt" in now["status"],
        "the prediction of zero",
    )
    assert agent["status"]["pricePerHour"] == "0.036"
    pod = helper.pod()
    assert agent["status"]["podName"] == pod["metadata"]["name"]
    assert condition(agent, "Funded") == ("True", "Funded")
    assert condition(agent, "Suspended") == ("False", "Running")
    assert (
        house.kubectl("exec", "-n", tenant.namespace, pod["metadata"]["name"], "--", "cat", "/etc/agent/greeting.txt")
        == files["greeting.txt"]
    )
    shown = house.kubectl("get", "agents", "-n", tenant.namespace, "--no-headers").split()
    assert shown[:4] == ["helper", "True", "PodReady", "small"], shown
