"""A sandboxed tenant's pods run in the sandbox or not at all; the users of all others are nobody on their nodes."""

from typing import Any

import pytest

from moorage.desired import agent, mover
from moorage.lifecycle import conditions
from moorage.model.errors import Permanent
from moorage.model.offer import Platform
from moorage.model.reasons import Reason
from tests import factories

AGENT = factories.agent(storage={"size": "1Gi"})
PLAIN = factories.platform()
SANDBOXED = factories.platform(sandbox_runtime_class="gvisor", user_namespaces=True).to_tenant(sandboxed=True)
NO_SANDBOX = factories.platform(user_namespaces=True).to_tenant(sandboxed=True)


def pods(platform: Platform) -> list[dict[str, Any]]:
    """The specs of an agent's pod and of both movers'."""
    children = agent.children(AGENT, volume_generation=1, incarnation=1, platform=platform, with_pod=True)
    jobs = [
        build(AGENT, attempt_id=factories.ATTEMPT_ID, volume_name="data-helper-1", limit_seconds=60, platform=platform)
        for build in (mover.capture_job, mover.restore_job)
    ]
    return [children[-1]["spec"], *(job["spec"]["template"]["spec"] for job in jobs)]


def test_agents_and_movers_of_a_sandboxed_tenant_run_in_the_sandbox() -> None:
    assert [spec["runtimeClassName"] for spec in pods(SANDBOXED)] == ["gvisor"] * 3
    assert not any("hostUsers" in spec for spec in pods(SANDBOXED))


def test_nothing_of_a_sandboxed_tenant_is_made_without_a_sandbox() -> None:
    assert agent.check(AGENT, NO_SANDBOX) is Reason.SANDBOX_UNAVAILABLE
    with pytest.raises(Permanent) as caught:
        mover.capture_job(
            AGENT, attempt_id=factories.ATTEMPT_ID, volume_name="data-helper-1", limit_seconds=60, platform=NO_SANDBOX
        )
    assert caught.value.reason is Reason.SANDBOX_UNAVAILABLE


def test_a_tenant_without_a_sandbox_is_said_not_to_be_isolated() -> None:
    status = conditions.tenant_status(
        factories.tenant(), problem=Reason.SANDBOX_UNAVAILABLE, wallet=None, agents=(0, 0, 0)
    )
    said = {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}
    assert said["Isolated"] == ("False", "SandboxUnavailable")


@pytest.mark.parametrize(("offered", "shown"), [(True, [False] * 3), (False, [None] * 3)])
def test_pods_have_users_of_their_own_where_nodes_can_do_that(offered: bool, shown: list[bool | None]) -> None:
    specs = pods(factories.platform(user_namespaces=offered, sandbox_runtime_class="gvisor"))
    assert [spec.get("hostUsers") for spec in specs] == shown
    assert not any("runtimeClassName" in spec for spec in specs)


def test_what_runs_is_replaced_when_its_tenant_is_sandboxed_and_not_when_the_nodes_learn_something() -> None:
    plain = agent.pod_hash(AGENT, PLAIN)
    assert agent.pod_hash(AGENT, SANDBOXED) != plain
    assert agent.pod_hash(AGENT, factories.platform(user_namespaces=True, sandbox_runtime_class="gvisor")) == plain
