"""What Artifact Hub shows of the chart is true: its kinds, their examples, its images, its version."""

import tomllib
from typing import Any

import pytest
import yaml

from dev import images
from tests.tidy.tree import ROOT

CHARTS = ("moorage", "moorage-crds")
HUB = "artifacthub.io/"


def _chart(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "charts" / name / "Chart.yaml").read_text())
    return found


def _hub(key: str) -> Any:  # Any: each annotation has its own format
    return yaml.safe_load(_chart("moorage")["annotations"][HUB + key])


@pytest.mark.parametrize("name", CHARTS)
def test_charts_have_the_version_of_the_platform(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = _chart(name)
    assert (chart["version"], str(chart["appVersion"]).removeprefix("v")) == (version, version)
    assert chart["annotations"][HUB + "license"] == "Apache-2.0"
    assert chart["annotations"][HUB + "prerelease"] == str(version.startswith("0.")).lower()


def test_kinds_on_show_are_the_kinds_there_are() -> None:
    kinds = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    there = {
        (kind["metadata"]["name"], kind["spec"]["names"]["kind"], kind["spec"]["versions"][0]["name"]) for kind in kinds
    }
    assert {(shown["name"], shown["kind"], shown["version"]) for shown in _hub("crds")} == there
    assert [shown for shown in _hub("crds") if not shown["description"] or not shown["displayName"]] == []


def test_examples_on_show_are_our_minimal_ones() -> None:
    examples = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds" / "examples" / "minimal").glob("*.yaml")]
    key = lambda manifest: manifest["kind"]  # noqa: E731 -- sorts both sides alike
    assert sorted(_hub("crdsExamples"), key=key) == sorted(examples, key=key)


def test_images_on_show_are_those_we_build() -> None:
    built = {recipe.name.rpartition("/")[2] for recipe in (images.PLATFORM, images.AGENT)}
    assert {shown["name"] for shown in _hub("images")} == built
    version = str(_chart("moorage")["appVersion"])
    assert [shown for shown in _hub("images") if not shown["image"].endswith(f"/{shown['name']}:{version}")] == []


def test_changes_on_show_are_of_a_kind_the_hub_knows() -> None:
    kinds = {"added", "changed", "deprecated", "removed", "fixed", "security"}
    changes = _hub("changes")
    assert changes
    assert [change for change in changes if change["kind"] not in kinds or not change["description"]] == []
    security = any(change["kind"] == "security" for change in changes)
    assert _hub("containsSecurityUpdates") is security
    assert _hub("operator") is True
    capabilities = ("Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot")
    assert _hub("operatorCapabilities") in capabilities


def test_release_finds_the_lines_that_it_fills_in() -> None:
    """The workflow writes registry and digest over these two; the chart then names the image that was signed."""
    lines = (ROOT / "charts" / "moorage" / "values.yaml").read_text().splitlines()
    workflow = (ROOT / ".github" / "workflows" / "release.yaml").read_text()
    for line, pattern in (
        ("  repository: moorage/moorage", "^  repository: moorage/moorage"),
        ('  digest: ""', "^  digest: "),
    ):
        assert lines.count(line) == 1
        assert pattern in workflow
