"""What the answers of the probe's two pods mean, and that its policies are the tenants' own."""

import ast

import pytest

from moorage.cli.preflight import connections, nodes, probe
from moorage.cli.preflight.connections import NEIGHBOUR, Target
from moorage.cli.preflight.report import Outcome
from moorage.desired import network
from moorage.model import names
from moorage.model.namespace import EgressClass
from tests import factories

NONE = EgressClass.NONE


@pytest.mark.parametrize(
    ("must", "agent", "free", "outcome"),
    [
        (True, True, True, Outcome.OK),
        (True, True, False, Outcome.OK),
        (True, False, True, Outcome.FAIL),
        (True, False, False, Outcome.WARN),
        (False, False, True, Outcome.OK),
        (False, False, False, Outcome.WARN),
        (False, True, True, Outcome.FAIL),
        (False, True, False, Outcome.FAIL),
    ],
)
def test_a_destination_is_judged_by_both_pods(must: bool, agent: bool, free: bool, outcome: Outcome) -> None:
    wanted = {"there": Target("h", 1, open=must), NEIGHBOUR: Target("n", 1, open=False)}
    found = connections.judged(NONE, wanted, {"there": agent, NEIGHBOUR: False}, {"there": free, NEIGHBOUR: False})
    assert [item.outcome for item in found] == [outcome, Outcome.OK, Outcome.OK]


@pytest.mark.parametrize(("inside", "outside"), [(True, False), (False, True), (True, True)])
def test_an_agent_that_anybody_reaches_is_a_failure(inside: bool, outside: bool) -> None:
    wanted = {NEIGHBOUR: Target("n", 1, open=False)}
    beside, from_outside = connections.judged(NONE, wanted, {NEIGHBOUR: inside}, {NEIGHBOUR: outside})
    assert (beside.outcome is Outcome.FAIL, from_outside.outcome is Outcome.FAIL) == (inside, outside)


@pytest.mark.parametrize("egress", EgressClass)
def test_the_probe_obeys_the_rules_of_tenants(egress: EgressClass) -> None:
    offer = factories.platform()
    tenant = factories.tenant()
    spec = type(tenant.spec)(wallet_ref=tenant.spec.wallet_ref, egress=egress)
    theirs = network.policies(type(tenant)(metadata=tenant.metadata, spec=spec), offer)
    ours = probe.policies("moorage-preflight-x", offer, egress)

    assert [_rules(item) for item in ours] == [_rules(item) for item in theirs]
    for item in ours:
        assert item["metadata"]["namespace"] == "moorage-preflight-x"
        assert names.LABEL_AGENT not in str(item["metadata"]), "nothing takes it for an operator's object"


def test_a_pod_of_the_probe_is_hardened_like_an_agent() -> None:
    pod = probe.pod("n", "agent", factories.platform(), "image", {"x": Target("$NODE", 1, open=False)})
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    ast.parse(container["command"][-1])


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(0.0, Outcome.OK), (1.9, Outcome.OK), (2.0, Outcome.WARN), (30.0, Outcome.FAIL)]
)
def test_a_clock_is_judged_by_how_far_it_is_off(seconds: float, outcome: Outcome) -> None:
    assert nodes.skew("clock", seconds).outcome is outcome


def _rules(policy: dict[str, dict[str, object]]) -> dict[str, object]:
    return {name: part for name, part in policy["spec"].items() if name != "podSelector"}
