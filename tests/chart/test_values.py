"""Values are checked: the good ones render, each bad one is refused by its place, and nothing unknown slips through."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.chart import rendering

pytestmark = pytest.mark.cluster

BAD_MIN = 15
INSTALL = rendering.ROOT / "docs" / "install.md"
TOGGLES: dict[str, tuple[Any, ...]] = {
    "ingress": ({"enabled": False}, {"enabled": True, "host": "api.example.com"}),
    "postgresql": ({"enabled": False}, {"enabled": True}),
    "api.tls": ({}, {"existingSecret": "mine"}, {"certManager": {"enabled": True, "issuerRef": {"name": "ca"}}}),
    "monitoring": ({}, {part: {"enabled": True, "labels": {}} for part in ("podMonitor", "rules", "dashboards")}),
}


@pytest.mark.parametrize("name", rendering.names("good"))
def test_good_values_render(name: str) -> None:
    kinds = {manifest["kind"] for manifest in rendering.good(name)}
    assert {"Deployment", "Service", "ServiceAccount", "ConfigMap", "ClusterRole"} <= kinds


def test_values_of_the_install_page_render(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```yaml\n# values\.yaml\n(.*?)^```", INSTALL.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "values.yaml").write_text(shown)
    assert rendering.template(tmp_path / "values.yaml").objects()


@pytest.mark.parametrize("name", rendering.names("bad"))
def test_bad_values_are_refused_by_their_place(name: str) -> None:
    path = rendering.VALUES / "bad" / f"{name}.yaml"
    place = path.read_text().splitlines()[0].removeprefix("#").strip()
    answer = rendering.template(path)
    assert not answer.accepted
    assert f"at '{place}'" in answer.text


def test_there_are_bad_values_of_many_kinds() -> None:
    assert len(rendering.names("bad")) >= BAD_MIN


@pytest.mark.parametrize(
    "choice", list(itertools.product(*TOGGLES.values())), ids=lambda choice: json.dumps(choice)[:100]
)
def test_all_combinations_render(choice: tuple[Any, ...]) -> None:
    objects = rendering.template(dict(zip(TOGGLES, choice, strict=True))).objects()
    keys = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in objects]
    assert len(keys) == len(set(keys)), "two objects of one name"
    kinds = {kind for kind, _, _ in keys}
    chosen = dict(zip(TOGGLES, choice, strict=True))
    assert ("Ingress" in kinds) is chosen["ingress"]["enabled"]
    assert ("Cluster" in kinds) is chosen["postgresql"]["enabled"]
    assert ("PrometheusRule" in kinds) is bool(chosen["monitoring"])
    assert ("Certificate" in kinds) is ("certManager" in chosen["api.tls"])


@pytest.mark.parametrize("chart", ["moorage", "moorage-crds"])
def test_helm_lints_without_a_complaint(chart: str) -> None:
    answer = rendering.helm("lint", "--strict", str(rendering.CHARTS / chart))
    assert answer.accepted, answer.text
    assert "[WARNING]" not in answer.text


def test_an_older_kubernetes_is_refused() -> None:
    answer = rendering.template(more=("--kube-version=1.29.0",))
    assert not answer.accepted
    assert "incompatible with Kubernetes v1.29.0" in answer.text


def test_ingress_without_a_host_is_refused() -> None:
    answer = rendering.template({"ingress.enabled": True})
    assert not answer.accepted
    assert "ingress.host" in answer.text
