"""Our examples for Flux, judged by Flux itself: its real controller, over every reason that our kinds can give."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from tests import flux as fluxes
from tests import judgements
from tests.flux import Flux, Manifest
from tests.tidy.tree import ROOT

EXAMPLES = [*yaml.safe_load_all((ROOT / "examples/gitops/flux/acme.yaml").read_text())]
HEALTH = [check for each in EXAMPLES for check in each["spec"]["healthCheckExprs"]]
PLURALS = {"Agent": "agents", "Wallet": "wallets", "Namespace": "tenantnamespaces", "Domain": "domains"}
NAMESPACED = ("Agent", "Domain")
SPECS: dict[str, Manifest] = {
    "Agent": {"runtime": "chatbot", "size": "small"},
    "Wallet": {"displayName": "Judged"},
    "Namespace": {"walletRef": {"name": "judged"}},
    "Domain": {"hostname": "bot.example.com", "agentRef": {"name": "judged"}},
}
PLACE = "judged"
CASES = judgements.cases()

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def server(bare_kubeconfig: str) -> Any:
    """The API server with our kinds, where nobody writes a status but these tests."""
    api = config.new_client_from_config(bare_kubeconfig)
    extensions = client.ApiextensionsV1Api(api)
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        try:
            extensions.create_custom_resource_definition(yaml.safe_load(path.read_text()))
        except client.ApiException as error:
            if error.status != 409:  # another test of this server was first
                raise
    client.CoreV1Api(api).create_namespace({"metadata": {"name": PLACE}})
    return client.CustomObjectsApi(api)


@pytest.fixture(scope="module")
def flux(server: Any, bare_kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flux]:
    """A running Flux."""
    found = Flux(bare_kubeconfig, tmp_path_factory.mktemp("flux"))
    with found.running():
        yield found


def test_flux_judges_every_case_as_the_table_says(server: Any, flux: Flux) -> None:
    tree, expected = {}, {}
    for number, (name, (kind, status, judgement)) in enumerate(CASES.items()):
        tree[f"case-{number}/object.yaml"] = _manifest(kind, f"case-{number}")
        expected[f"case-{number}"] = (name, judgements.FLUX[judgement])
        _create(server, tree[f"case-{number}/object.yaml"], status)
    for kind in PLURALS:
        case = f"unseen-{kind.lower()}"
        tree[f"{case}/object.yaml"] = _manifest(kind, case)
        # Without a status there is nothing to evaluate; Flux waits as it does for what is in progress.
        expected[case] = (f"what the operator has not seen: {kind}", "Unknown")
    flux.publish(tree)

    # All at once, because Flux waits at least half a minute for what is in progress.
    asked = {
        case: flux.apply(case, f"./{case}", wait=True, timeout="30s", healthCheckExprs=HEALTH) for case in expected
    }
    found = {expected[case][0]: _judgement(flux.answer(case, token)) for case, token in asked.items()}

    assert found == dict(expected.values())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["metadata"]["name"]))
def test_flux_accepts_the_examples(server: Any, flux: Flux, example: Manifest) -> None:
    server.create_namespaced_custom_object(
        *fluxes.API, fluxes.HOME, "kustomizations", example, dry_run="All", field_validation="Strict"
    )


def _judgement(ready: Manifest) -> str:
    if ready["status"] == "True":
        return "Current"
    assert ready["reason"] == "HealthCheckFailed", ready
    found = re.search(r"status: '(\w+)'", ready["message"])
    return found[1] if found else str(ready["message"])


def _manifest(kind: str, name: str) -> Manifest:
    metadata = {"name": name, **({"namespace": PLACE} if kind in NAMESPACED else {})}
    return {"apiVersion": "moorage.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": SPECS[kind]}


def _create(server: Any, manifest: Manifest, status: Manifest) -> None:
    place, name = manifest["metadata"].get("namespace"), manifest["metadata"]["name"]
    of = ["moorage.dev", "v1alpha1", *([place] if place else []), PLURALS[manifest["kind"]]]
    scope = "namespaced" if place else "cluster"
    made = getattr(server, f"create_{scope}_custom_object")(*of, manifest)
    status = {**status, "observedGeneration": made["metadata"]["generation"]}
    getattr(server, f"patch_{scope}_custom_object_status")(*of, name, {"status": status})
