"""A real Flux over a real tenant: our example reconciled a hundred times, while money stops and resumes an agent."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.cluster import Manifest, condition
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Tenant, seconds_of_demo
from tests.flux import HOME, Flux
from tests.tidy.tree import ROOT

pytestmark = pytest.mark.cluster

RECONCILIATIONS = 100
ROUNDS_MAX = 400
TEAM = ROOT / "examples" / "team"
EXAMPLES = [*yaml.safe_load_all((ROOT / "examples/gitops/flux/acme.yaml").read_text())]
TAKEN_OVER = ("wait", "timeout", "healthCheckExprs")


@pytest.fixture
def flux(house: House, tmp_path: Path) -> Iterator[Flux]:
    """A running Flux; what it has applied stays when it goes."""
    found = Flux(str(house.layout.kubeconfig), tmp_path)
    with found.running():
        yield found


def test_flux_applies_a_tenant_and_finds_no_drift_in_a_hundred_rounds(house: House, tenant: Tenant, flux: Flux) -> None:
    flux.publish(team(tenant.name))
    platform, mine = f"{tenant.name}-platform", tenant.name
    ready = flux.answer(platform, flux.apply(platform, "./platform", **of_example("acme-platform")))
    assert ready["status"] == "True", ready
    house.grant(tenant.name, seconds_of_demo(30))
    house.kubectl("-n", tenant.namespace, "create", "secret", "generic", "model", "--from-literal=key=none")
    token = flux.apply(mine, "./tenant", **of_example("acme"), dependsOn=[{"name": platform}])
    ready = flux.answer(mine, token)
    assert ready["status"] == "True", ready
    researcher, archivist = tenant.agent_named("researcher"), tenant.agent_named("archivist")
    assert condition(researcher.read(), "Ready") == ("True", "PodReady"), "Flux has waited for it"
    assert condition(archivist.read(), "Suspended") == ("True", "UserRequested")
    first = owned(researcher.read())

    rounds = reconciled_until(flux, mine, lambda: condition(researcher.read(), "Suspended")[0] == "True")
    assert condition(researcher.read(), "Suspended") == ("True", "ZeroBalance")
    house.grant(tenant.name, PLENTY_MICROS)
    rounds += reconciled_until(flux, mine, lambda: condition(researcher.read(), "Ready")[0] == "True")
    tenant.until_quiet()
    before = tenant.versions()
    while rounds < RECONCILIATIONS:
        rounds += reconciled_until(flux, mine, lambda: True)
        rounds += reconciled_until(flux, platform, lambda: True)

    assert tenant.versions() == before, "with nothing else going on, no round has written anything"
    assert owned(researcher.read()) == first, "since its first apply Flux has not written the agent"
    assert corrections(house) == []


def reconciled_until(flux: Flux, name: str, reached: Callable[[], bool]) -> int:
    """Reconcile until it is so; returns how often that was, and each time Flux was content."""
    for rounds in range(1, ROUNDS_MAX):
        ready = flux.answer(name, flux.ask(name))
        assert ready["status"] == "True", ready
        if reached():
            return rounds
    raise AssertionError(f"{name} did not get there in {ROUNDS_MAX} reconciliations")


def team(name: str) -> dict[str, Manifest]:
    """The example's tree as this tenant's; its agent costs so much that one sees the credit end."""
    tree = {
        str(path.relative_to(TEAM)): yaml.safe_load(path.read_text().replace("acme", name))
        for path in TEAM.glob("*/*.yaml")
    }
    tree["tenant/researcher.yaml"]["spec"]["size"] = "demo"
    return tree


def of_example(name: str) -> Manifest:
    """What the example says about waiting and health."""
    spec = next(each["spec"] for each in EXAMPLES if each["metadata"]["name"] == name)
    return {field: spec[field] for field in TAKEN_OVER}


def owned(agent: Manifest) -> list[Manifest]:
    """What Flux owns of an agent, and since when."""
    return [each for each in agent["metadata"]["managedFields"] if each["manager"] == "kustomize-controller"]


def corrections(house: House) -> list[str]:
    """What Flux says it has put right: `created` is the first apply, `configured` would be a drift."""
    events = json.loads(house.kubectl("-n", HOME, "get", "events", "-o", "json"))["items"]
    return [event["message"] for event in events if "configured" in event["message"]]
