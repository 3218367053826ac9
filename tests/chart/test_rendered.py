"""What the charts install, as dictionaries: hardened, bounded, probed, labelled, without a secret, valid Kubernetes."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from moorage import settings
from moorage.services import root_keys
from tests.chart import rendering
from tests.golden import client_schema

pytestmark = pytest.mark.cluster

# Kinds of other people's operators; their schemas are theirs.
FOREIGN = ("cert-manager.io/", "postgresql.cnpg.io/", "monitoring.coreos.com/")
OURS = {"app.kubernetes.io/name": "moorage", "app.kubernetes.io/instance": "moorage"}


@pytest.fixture(params=rendering.names("good"))
def objects(request: pytest.FixtureRequest) -> tuple[dict[str, Any], ...]:
    return rendering.good(request.param)


def _pods(objects: tuple[dict[str, Any], ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    found = [(f"{item['kind']} {item['metadata']['name']}", rendering.pod(item)) for item in objects]
    assert any(pod for _, pod in found)
    return ((name, pod) for name, pod in found if pod)


def _containers(objects: tuple[dict[str, Any], ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in _pods(objects):
        yield from ((f"{name}/{container['name']}", container) for container in rendering.containers(pod))


def test_every_pod_is_as_restricted_as_can_be(objects: tuple[dict[str, Any], ...]) -> None:
    for name, pod in _pods(objects):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert min(security["runAsUser"], security["runAsGroup"]) >= 10_000, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["serviceAccountName"] != "default", name
        assert {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod) <= {"hostUsers"}, name
        allowed = {"name", "configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        assert [volume for volume in pod.get("volumes", []) if set(volume) - allowed] == [], name


def test_every_container_can_do_little(objects: tuple[dict[str, Any], ...]) -> None:
    for name, container in _containers(objects):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["readOnlyRootFilesystem"] is True, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert set(security) <= {"allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"}, name


def test_every_container_has_bounds(objects: tuple[dict[str, Any], ...]) -> None:
    for name, container in _containers(objects):
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"]), name
        assert "memory" in resources["limits"], name
    for name, pod in _pods(objects):
        folders = [volume["emptyDir"] for volume in pod.get("volumes", []) if "emptyDir" in volume]
        assert [folder for folder in folders if "sizeLimit" not in folder] == [], name


def test_every_service_is_probed(objects: tuple[dict[str, Any], ...]) -> None:
    for item in objects:
        if item["kind"] == "Deployment":
            for container in item["spec"]["template"]["spec"]["containers"]:
                probes = {"startupProbe", "readinessProbe", "livenessProbe"}
                assert probes <= set(container), container["name"]


def test_selectors_find_their_pods_and_nobody_elses(objects: tuple[dict[str, Any], ...]) -> None:
    deployments = [item for item in objects if item["kind"] == "Deployment"]
    labels = {item["metadata"]["name"]: item["spec"]["template"]["metadata"]["labels"] for item in deployments}
    selectors = {item["metadata"]["name"]: item["spec"]["selector"]["matchLabels"] for item in deployments}
    for name, selector in selectors.items():
        assert [other for other, found in labels.items() if selector.items() <= found.items()] == [name]
        assert OURS.items() <= selector.items()
    for item in objects:
        if item["kind"] == "Service":
            (found,) = [name for name, given in labels.items() if item["spec"]["selector"].items() <= given.items()]
            ports = {port["name"] for port in _deployment(objects, found)["containers"][0]["ports"]}
            assert {port["targetPort"] for port in item["spec"]["ports"]} <= ports


def _deployment(objects: tuple[dict[str, Any], ...], name: str) -> dict[str, Any]:
    (found,) = [item for item in objects if (item["kind"], item["metadata"]["name"]) == ("Deployment", name)]
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def test_every_object_is_named_and_labelled_as_ours(objects: tuple[dict[str, Any], ...]) -> None:
    for item in objects:
        metadata = item["metadata"]
        assert metadata["name"].split("-")[0].split(".")[0] == "moorage" or "moorage" in metadata["name"], metadata
        assert OURS.items() <= metadata["labels"].items(), metadata["name"]
        assert "app.kubernetes.io/component" in metadata["labels"], metadata["name"]


def test_no_secret_is_in_a_config_map_an_argument_or_a_variable(objects: tuple[dict[str, Any], ...]) -> None:
    for item in objects:
        if item["kind"] == "ConfigMap":
            data = item.get("data", {})
            assert [key for key in data if re.search(r"PASSWORD|DATABASE_URL|MIGRATION_URL|_TOKEN$", key.upper())] == []
            assert [key for key, text in data.items() if "postgresql://" in text or "PRIVATE KEY" in text] == []
    for name, container in _containers(objects):
        words = [*container.get("command", []), *container.get("args", [])]
        assert [word for word in words if "://" in word or "$(" in word] == [], name
        # A variable with a fixed value is a setting; what is secret is a file or comes from a Secret.
        assert [entry for entry in container.get("env", []) if "value" in entry and "://" in entry["value"]] == [], name


def test_only_a_pair_made_at_the_first_install_is_a_secret(objects: tuple[dict[str, Any], ...]) -> None:
    assert {item["metadata"]["name"] for item in objects if item["kind"] == "Secret"} <= {"moorage-api-tls"}


def test_every_account_is_there_and_every_account_is_used(objects: tuple[dict[str, Any], ...]) -> None:
    made = {item["metadata"]["name"] for item in objects if item["kind"] == "ServiceAccount"}
    assert made == {pod["serviceAccountName"] for _, pod in _pods(objects)}
    bound = [subject for item in objects if item["kind"].endswith("RoleBinding") for subject in item["subjects"]]
    accounts = {subject["name"] for subject in bound if subject["kind"] == "ServiceAccount"}
    assert accounts <= made


def test_every_file_that_is_mounted_is_a_volume(objects: tuple[dict[str, Any], ...]) -> None:
    for name, pod in _pods(objects):
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        mounted = {mount["name"] for item in rendering.containers(pod) for mount in item.get("volumeMounts", [])}
        assert mounted == volumes, name


def test_objects_are_valid_for_the_newest_minor(objects: tuple[dict[str, Any], ...]) -> None:
    """By the official client of Kubernetes 1.37; the API server of 1.36 has its own word in tests/contract."""
    known = [item for item in objects if not item["apiVersion"].startswith(FOREIGN)]
    found = {f"{item['kind']} {item['metadata']['name']}": client_schema.problems(item) for item in known}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_root_keys_in_a_service_need_no_file_with_root_keys() -> None:
    objects = rendering.good("keys_in_a_service")
    (told,) = [item["data"] for item in objects if item["metadata"]["name"] == "moorage-settings"]
    loaded = settings.load(told)
    root_keys.check(loaded)
    assert (loaded.root_key_provider, loaded.root_key_file, len(loaded.kms_keys)) == ("aws-kms", None, 1)
    for name, container in _containers(objects):
        if name.endswith(("/operator", "/api")):
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert "kms" in mounted, name
            assert "root-key" not in mounted, name
            environment = {item["name"]: item.get("value") for item in container["env"]}
            assert environment["AWS_SHARED_CREDENTIALS_FILE"] == "/etc/moorage/kms/credentials"
