"""What the charts render on a real API server: every object is taken as it is, no field is unknown or mistyped."""

import subprocess
from typing import Any

import pytest
import yaml

from dev.layout import Layout
from tests.chart import rendering

pytestmark = pytest.mark.cluster

FOREIGN = ("cert-manager.io/", "postgresql.cnpg.io/", "monitoring.coreos.com/")
SECONDS_MAX = 180


@pytest.fixture(scope="module")
def kubectl(bare_kubeconfig: str) -> list[str]:
    command = [str(Layout.current().bin / "kubectl"), f"--kubeconfig={bare_kubeconfig}"]
    objects = [item for name in rendering.names("good") for item in rendering.good(name)]
    names = sorted({item["metadata"]["namespace"] for item in objects if "namespace" in item["metadata"]})
    namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]
    apply = [*command, "apply", "--server-side", "--filename=-"]
    subprocess.run(apply, input=yaml.safe_dump_all(namespaces), text=True, check=True, timeout=SECONDS_MAX)
    return command


def _taken(kubectl: list[str], objects: list[dict[str, Any]]) -> None:
    argv = [*kubectl, "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-"]
    text = yaml.safe_dump_all(objects)
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(objects)


@pytest.mark.parametrize("name", rendering.names("good"))
def test_api_server_takes_every_object_of_the_platform(kubectl: list[str], name: str) -> None:
    _taken(kubectl, [item for item in rendering.good(name) if not item["apiVersion"].startswith(FOREIGN)])


def test_api_server_takes_every_kind(kubectl: list[str]) -> None:
    kinds = rendering.template(chart="moorage-crds").objects()
    assert {item["spec"]["names"]["kind"] for item in kinds} == {"Wallet", "Namespace", "Agent", "Domain"}
    assert {item["metadata"]["annotations"]["helm.sh/resource-policy"] for item in kinds} == {"keep"}
    _taken(kubectl, kinds)
