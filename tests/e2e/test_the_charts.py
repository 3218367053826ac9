"""The platform as its charts install it: upgraded, rolled back, uninstalled and installed again under living agents."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import environment, node, platform, release
from tests.e2e.cluster import Manifest, says
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Helper, Tenant

pytestmark = pytest.mark.cluster

NEXT = "9.9.9"
KEPT = ("wallets", "tenantnamespaces", "agents", "domains")
Seen = Mapping[str, Any]


@dataclass(frozen=True)
class Installed:
    """The release on the tests' cluster, and what may be done to it."""

    house: House

    def install(self, *, charts: Path | None = None, tag: str = "", **settings: str) -> None:
        """Install or upgrade, with these settings, another tag of the image, or other charts."""
        layout, running = self.house.layout, self.house.settings
        # The images that are there, whatever has been edited since.
        image, agent_image = running["MOORAGE_MOVER_IMAGE"], json.loads(running["MOORAGE_RUNTIMES"])["chatbot"]["image"]
        told = environment.of_pods(agent_image) | settings
        wanted = release.local(layout, told, f"{image.rpartition(':')[0]}:{tag}" if tag else image)
        release.install(layout, wanted, wait=True, charts=charts)

    def helm(self, *arguments: str) -> str:
        """Run helm."""
        return release.helm(self.house.layout, *arguments)

    def image(self, part: str) -> str:
        """The image that a part of the platform runs."""
        path = "{.spec.template.spec.containers[0].image}"
        where = f"--namespace={release.NAMESPACE}"
        return self.house.kubectl("get", "deployment", f"moorage-{part}", where, "-o", f"jsonpath={path}")


@pytest.fixture
def installed(house: House) -> Iterator[Installed]:
    """Operator and API as pods of the chart; afterwards they are programs of the source tree again."""
    if house.layout.external:
        pytest.skip("pods of a cluster that is not ours do not reach the servers of this machine")
    platform.stop_programs(house.layout)
    found = Installed(house)
    found.install()
    yield found
    platform.up(house.layout, with_story=False, from_source=True)


@pytest.fixture
def next_charts(house: House, tmp_path: Path) -> Path:
    """The charts as a next release would have them: another version, another application."""
    for chart in ("moorage-crds", "moorage"):
        shutil.copytree(house.layout.root / "charts" / chart, tmp_path / chart)
        page = tmp_path / chart / "Chart.yaml"
        page.write_text(yaml.safe_dump(yaml.safe_load(page.read_text()) | {"version": NEXT, "appVersion": NEXT}))
    return tmp_path


def test_upgrade_rollback_and_uninstall_leave_agents_and_their_data_alone(
    installed: Installed, tenant: Tenant, next_charts: Path
) -> None:
    house, layout = installed.house, installed.house.layout
    tenant.open(PLENTY_MICROS)
    archived, runs, rests = (tenant.agent(name) for name in ("archived", "runs", "rests"))
    for agent in (archived, runs, rests):
        agent.until_ready()
        agent.chat(f"remember {agent.name}")
    installed.install(warm_window_seconds="0")
    archived.patch(desiredState="Suspended")
    archived.until_says("VolumeReady", "VolumeFreed")
    installed.install()
    rests.patch(desiredState="Suspended")
    rests.until_suspended()
    before = _lives(tenant)

    image = installed.image("operator")
    other = f"{image.rpartition(':')[0]}:{NEXT}"
    node.ctr(layout, "images", "tag", "--force", image, other)
    installed.install(charts=next_charts, tag=NEXT)
    assert installed.image("operator") == installed.image("api") == other
    assert _lives(tenant) == before
    _comes_back(rests)

    before = _lives(tenant)
    installed.helm("rollback", release.NAME, "--wait=watcher", "--timeout=120s", "--force-conflicts")
    assert installed.image("operator") == installed.image("api") == image
    assert _lives(tenant) == before
    _comes_back(archived)

    before = _lives(tenant)
    for name in (release.NAME, f"{release.NAME}-crds"):
        installed.helm("uninstall", name, "--wait", "--timeout=120s")
    assert not house.kubectl("get", "deployments", f"--namespace={release.NAMESPACE}", "-o", "name")
    assert _lives(tenant) == before, "nothing of a tenant goes with the platform"
    for kind in KEPT:
        assert house.kubectl("get", "crd", f"{kind}.moorage.dev", "-o", "name")

    installed.install()
    runs.patch(env=[{"name": "CHATBOT_MEMORY_RETENTION", "value": "None"}])  # somebody has to answer again
    house.cluster.until("pods", tenant.namespace, lambda pods: "runs-2" in pods, "the pod with the new spec")
    runs.until_ready()
    assert _lives(tenant)["rests"] == before["rests"]
    house.books_are_right()


def _comes_back(agent: Helper) -> None:
    agent.patch(desiredState="Running")
    agent.until_ready()
    assert agent.name in agent.chat("recall")


def _lives(tenant: Tenant) -> Mapping[str, Seen]:
    """What an upgrade must not touch: the pods with their starts, the volumes, and what the agents say."""
    agents = {agent["metadata"]["name"]: agent for agent in tenant.house.cluster.find_all("agents", tenant.namespace)}
    return {
        name: {
            "uid": agent["metadata"]["uid"],
            "spec": agent["spec"],
            "suspended": says("Suspended", "UserRequested")(agent),
            "freed": says("VolumeReady", "VolumeFreed")(agent),
            "pods": {pod["metadata"]["uid"]: _restarts(pod) for pod in Helper(tenant, name).pods()},
            "volumes": [volume for volume in Helper(tenant, name).volumes() if name in volume],
        }
        for name, agent in agents.items()
    }


def _restarts(pod: Manifest) -> list[int]:
    return [each["restartCount"] for each in pod["status"]["containerStatuses"]]
