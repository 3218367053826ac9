"""The examples for Argo CD and Flux: what they name exists, and what the guide warns of is not in them."""

from typing import Any

import pytest
import yaml

from tests.tidy.tree import ROOT

GITOPS = ROOT / "examples" / "gitops"
Manifest = dict[str, Any]  # other tools' kinds
OBJECTS: dict[str, Manifest] = {
    f"{path.parent.name}/{item['metadata']['name']}": item
    for path in sorted(GITOPS.glob("*/*.yaml"))
    for item in yaml.safe_load_all(path.read_text())
}
PLATFORM_HALVES = ("argocd/acme-platform", "flux/acme-platform")
TENANT_HALVES = ("argocd/acme", "flux/acme")


def folder_of(name: str) -> str:
    """The folder of the repository that an Application or Kustomization applies; empty for other kinds."""
    spec = OBJECTS[name].get("spec", {})
    return str(spec.get("path") or spec.get("source", {}).get("path") or "")


@pytest.mark.parametrize("name", [name for name in OBJECTS if folder_of(name).strip("./").startswith("examples")])
def test_every_folder_that_is_named_is_a_kustomization(name: str) -> None:
    assert (ROOT / folder_of(name) / "kustomization.yaml").is_file()


@pytest.mark.parametrize("name", PLATFORM_HALVES)
def test_no_namespace_is_given_to_the_platforms_half_and_nothing_of_it_is_pruned(name: str) -> None:
    spec = OBJECTS[name]["spec"]
    assert "namespace" not in spec.get("destination", {})
    assert "targetNamespace" not in spec
    assert spec.get("prune", spec.get("syncPolicy", {}).get("automated", {}).get("prune")) is False


def test_the_tenants_half_has_no_sync_waves_and_makes_no_namespace() -> None:
    spec = OBJECTS["argocd/acme"]["spec"]
    assert "CreateNamespace=true" not in spec["syncPolicy"]["syncOptions"]
    texts = [path.read_text() for path in sorted((ROOT / folder_of("argocd/acme")).glob("*.yaml"))]
    assert not any("sync-wave" in text for text in texts)


def test_the_tenants_half_waits_for_the_platforms() -> None:
    assert OBJECTS["flux/acme"]["spec"]["dependsOn"] == [{"name": "acme-platform"}]
    assert OBJECTS["argocd/acme"]["spec"]["syncPolicy"]["retry"]["limit"] == -1


def test_no_difference_has_to_be_ignored() -> None:
    assert not [name for name in OBJECTS if "ignoreDifferences" in str(OBJECTS[name])]


@pytest.mark.parametrize("tool", ["argocd", "flux"])
def test_the_kinds_are_installed_apart(tool: str) -> None:
    assert {f"{tool}/moorage-crds", f"{tool}/moorage"} <= OBJECTS.keys()
