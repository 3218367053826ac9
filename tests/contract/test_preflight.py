"""`moorage preflight` on a real API server: what it says of a good cluster, and of each thing that can be wrong."""

import copy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from kubernetes import client, config, dynamic

from moorage.cli import main
from tests.tidy.tree import ROOT

pytestmark = pytest.mark.cluster

Manifest = dict[str, Any]  # JSON for a server that is not ours
HOME = "moorage-system"
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
LEASES = "kube-node-lease"
AT_ONCE_SECONDS, BEATS_SECONDS_MAX = 1.0, 120.0


def an_object(kind: str, name: str, api: str = "v1", *, namespace: str = "", **content: Any) -> Manifest:
    """A manifest."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **content.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}


def storage_class(name: str, provisioner: str = "csi.example.com") -> Manifest:
    """A default StorageClass."""
    mode = {"volumeBindingMode": "WaitForFirstConsumer"}
    api = "storage.k8s.io/v1"
    return an_object("StorageClass", name, api, metadata={"annotations": DEFAULT}, provisioner=provisioner, **mode)


def pods_of(kind: str, name: str, image: str, namespace: str = "kube-system") -> Manifest:
    """A DaemonSet or Deployment; nothing runs it here."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return an_object(kind, name, "apps/v1", namespace=namespace, spec=spec)


def policy(name: str) -> Manifest:
    """A ValidatingAdmissionPolicy that forbids nothing."""
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    spec = {"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": "true"}]}
    return an_object("ValidatingAdmissionPolicy", name, "admissionregistration.k8s.io/v1", spec=spec)


def binding(name: str) -> Manifest:
    """Its binding."""
    spec = {"policyName": name, "validationActions": ["Deny"]}
    return an_object("ValidatingAdmissionPolicyBinding", name, "admissionregistration.k8s.io/v1", spec=spec)


def secret(name: str, key: str) -> Manifest:
    """A Secret of the platform."""
    return an_object("Secret", name, namespace=HOME, stringData={key: "canary"})


def lease(name: str, ahead: timedelta = timedelta(0)) -> Manifest:
    """A node's heartbeat by a clock that is so much ahead."""
    said = (datetime.now(UTC) + ahead).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": name, "renewTime": said}
    return an_object("Lease", name, "coordination.k8s.io/v1", namespace=LEASES, spec=spec)


def runtime_class(name: str, handler: str) -> Manifest:
    """A RuntimeClass."""
    return an_object("RuntimeClass", name, "node.k8s.io/v1", handler=handler)


GOOD = [
    storage_class("standard"),
    pods_of("DaemonSet", "calico-node", "calico"),
    runtime_class("gvisor", "runsc"),
    secret("moorage-root-key", "root-key"),
    secret("moorage-database", "url"),
    secret("moorage-store", "secret-key"),
    pods_of("Deployment", "moorage-operator", "moorage", HOME),
    policy("moorage-guard"),
    binding("moorage-guard"),
]


class Cluster:
    """The server, changed for one test and put back."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig
        api = config.new_client_from_config(kubeconfig)
        self._any = dynamic.DynamicClient(api)
        self._core = client.CoreV1Api(api)

    def apply(self, manifest: Manifest) -> None:
        """Make it be so."""
        found = self._any.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        self._any.server_side_apply(
            found, body=copy.deepcopy(manifest), name=manifest["metadata"]["name"],
            namespace=manifest["metadata"].get("namespace"), field_manager="test", force_conflicts=True,
        )  # fmt: skip

    def delete(self, manifest: Manifest) -> None:
        """Take it away."""
        found = self._any.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        metadata = manifest["metadata"]
        self._any.delete(found, name=metadata["name"], namespace=metadata.get("namespace"))

    def node(self, *, kernel: str = "6.8.0", runtime: str = "containerd://2.1.0", ready: str = "True") -> None:
        """A node that says this of itself."""
        self.apply(an_object("Node", "one"))
        info = {
            **dict.fromkeys(("machineID", "systemUUID", "bootID", "osImage", "kubeProxyVersion"), "none"),
            "operatingSystem": "linux",
            "architecture": "amd64",
            "kubeletVersion": "v1.36.3",
            "kernelVersion": kernel,
            "containerRuntimeVersion": runtime,
        }
        condition = {"type": "Ready", "status": ready, "reason": "Told", "message": "", "lastHeartbeatTime": None}
        self._core.patch_node_status("one", {"status": {"nodeInfo": info, "conditions": [condition]}})

    def beat(self, ahead: timedelta = timedelta(0)) -> None:
        """The node's heartbeat by a clock that is so much ahead; one long under way would look like a slow clock."""
        deadline = time.monotonic() + BEATS_SECONDS_MAX
        begun = float("-inf")
        while time.monotonic() - begun > AT_ONCE_SECONDS:
            begun = time.monotonic()
            assert begun < deadline, "the server never takes a heartbeat at once"
            self.apply(lease("one", ahead))

    def preflight(self, **environment: str) -> tuple[int, dict[str, tuple[str, str]]]:
        """Exit code, and outcome and finding by check."""
        empty = dict.fromkeys(("MOORAGE_DATABASE_URL", "MOORAGE_STORAGE_CLASS"))
        env = {"KUBECONFIG": self.kubeconfig, "MOORAGE_SANDBOX_RUNTIME_CLASS": "gvisor", **empty, **environment}
        done = CliRunner().invoke(main, ["preflight", "--json"], env=env)
        assert "canary" not in done.output
        return done.exit_code, {item["check"]: (item["outcome"], item["found"]) for item in json.loads(done.output)}

    @contextmanager
    def without(self, manifest: Manifest) -> Iterator[None]:
        """Let something be away for a while."""
        self.delete(manifest)
        try:
            yield
        finally:
            self.apply(manifest)

    @contextmanager
    def with_(self, manifest: Manifest) -> Iterator[None]:
        """Let something be there for a while."""
        self.apply(manifest)
        try:
            yield
        finally:
            self.delete(manifest)


@pytest.fixture(scope="module")
def made(lone_kubeconfig: str) -> Cluster:
    """A cluster as the platform wants it."""
    found = Cluster(lone_kubeconfig)
    found.apply(an_object("Namespace", HOME))
    found.apply(an_object("Namespace", LEASES))
    for manifest in [*GOOD, *(yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml")))]:
        found.apply(manifest)
    return found


@pytest.fixture
def cluster(made: Cluster) -> Cluster:
    """The same, with a node that is as it should be."""
    made.node()
    made.beat()
    return made


def test_an_empty_server_is_told_what_it_lacks(lone_kubeconfig: str, request: pytest.FixtureRequest) -> None:
    assert "made" not in request.fixturenames
    exit_code, found = Cluster(lone_kubeconfig).preflight()
    assert exit_code == 1
    assert {check: outcome for check, (outcome, _) in found.items()} == {
        "API server": "ok",
        "kinds": "warn",
        "admission policies": "ok",
        "network policies": "warn",
        "sandbox": "fail",
        "nodes": "fail",
        "clock of this machine": "ok",
        "Secrets": "warn",
        "storage": "fail",
        "database": "warn",
        "root key": "warn",
        "object store": "warn",
        "host names": "warn",
    }


def test_a_good_cluster_is_told_so(cluster: Cluster) -> None:
    exit_code, found = cluster.preflight()
    wrong = {check: told for check, told in found.items() if told[0] != "ok"}
    assert wrong.keys() == {"database", "root key", "object store", "host names"}, "which nobody has named here"
    assert exit_code == 0


@pytest.mark.parametrize(
    ("check", "outcome", "words", "change"),
    [
        ("user namespaces", "warn", "one: kernel 6.1.0", lambda it: it.node(kernel="6.1.0-18-amd64")),
        ("user namespaces", "warn", "containerd 1.7.27", lambda it: it.node(runtime="containerd://1.7.27")),
        ("nodes", "warn", "not ready: one", lambda it: it.node(ready="Unknown")),
        ("clock of node one", "warn", "s beside", lambda it: it.beat(timedelta(seconds=8))),
        ("clock of node one", "fail", "s beside", lambda it: it.beat(timedelta(seconds=-90))),
    ],
    ids=["an old kernel", "an old runtime", "a silent node", "a fast clock", "a slow clock"],
)
def test_what_is_wrong_with_a_node_is_told(
    cluster: Cluster, check: str, outcome: str, words: str, change: Callable[[Cluster], None]
) -> None:
    change(cluster)
    exit_code, found = cluster.preflight()
    assert found[check][0] == outcome
    assert words in found[check][1]
    assert exit_code == (1 if outcome == "fail" else 0)


@pytest.mark.parametrize(
    ("image", "outcome", "words"),
    [
        ("r/local-path-provisioner:v0.0.30", "warn", "local-path-provisioner:v0.0.30"),
        ("r/local-path-provisioner:v0.0.34", "ok", "local-path-provisioner:v0.0.34"),
        ("r/local-path-provisioner@sha256:0", "warn", "local-path-provisioner@sha256:0"),
        ("r/other", "warn", "not known"),
    ],
)
def test_a_local_path_that_can_be_led_astray_is_told(cluster: Cluster, image: str, outcome: str, words: str) -> None:
    provisioner = pods_of("Deployment", "provisioner", image)
    with cluster.with_(storage_class("local-path", "rancher.io/local-path")), cluster.with_(provisioner):
        _, found = cluster.preflight(MOORAGE_STORAGE_CLASS="local-path")
    assert found["local-path"][0] == outcome
    assert words in found["local-path"][1]


def test_two_default_classes_are_told(cluster: Cluster) -> None:
    with cluster.with_(storage_class("second")):
        assert cluster.preflight()[1]["storage"] == ("warn", "several default classes: second, standard")


def test_a_policy_without_its_binding_is_told(cluster: Cluster) -> None:
    with cluster.with_(policy("moorage-loose")):
        assert cluster.preflight()[1]["admission policies"] == ("fail", "not bound: moorage-loose")


def test_a_policy_that_somebody_has_deleted_is_told(cluster: Cluster) -> None:
    written_down = {"policies.json": json.dumps({"moorage-guard": {}, "moorage-gone": {}})}
    with cluster.with_(an_object("ConfigMap", "moorage-policies", namespace=HOME, data=written_down)):
        assert cluster.preflight()[1]["admission policies"] == ("fail", "missing: moorage-gone")


@pytest.mark.parametrize(
    ("check", "outcome", "words", "gone"),
    [
        ("storage", "fail", "no default class", GOOD[0]),
        ("network policies", "warn", "no engine that we know", GOOD[1]),
        ("sandbox", "fail", "no RuntimeClass gvisor", GOOD[2]),
        ("Secrets", "fail", "moorage-root-key is not in", GOOD[3]),
        ("Secrets", "warn", "moorage-database is not in", GOOD[4]),
        ("admission policies", "fail", "not bound", GOOD[8]),
    ],
    ids=["default class", "policy engine", "runtime class", "root key", "database", "binding"],
)
def test_what_is_missing_is_told(cluster: Cluster, check: str, outcome: str, words: str, gone: Manifest) -> None:
    with cluster.without(gone):
        exit_code, found = cluster.preflight()
    assert found[check][0] == outcome
    assert words in found[check][1]
    assert exit_code == (1 if outcome == "fail" else 0)


def test_a_chosen_class_that_is_not_there_is_told(cluster: Cluster) -> None:
    assert cluster.preflight(MOORAGE_STORAGE_CLASS="fast")[1]["storage"] == ("fail", "no class fast")


def test_a_sandbox_that_nobody_has_chosen_is_told(cluster: Cluster) -> None:
    found = cluster.preflight(MOORAGE_SANDBOX_RUNTIME_CLASS="")[1]["sandbox"]
    assert found == ("warn", "none chosen of gvisor")


def test_the_settings_of_the_installed_platform_count(cluster: Cluster) -> None:
    settings = an_object("ConfigMap", "moorage-settings", namespace=HOME, data={"MOORAGE_STORAGE_CLASS": "fast"})
    with cluster.with_(settings):
        assert cluster.preflight()[1]["storage"] == ("fail", "no class fast")


def test_the_table_says_what_to_do(cluster: Cluster) -> None:
    with cluster.without(GOOD[3]):
        env = {"KUBECONFIG": cluster.kubeconfig, "MOORAGE_DATABASE_URL": None}
        done = CliRunner().invoke(main, ["preflight"], env=env)
    assert "fail  Secrets" in done.output
    assert "→ kubectl -n moorage-system create secret generic moorage-root-key" in done.output
    assert done.output.rstrip().splitlines()[-1].endswith("1 fail")


def test_a_server_that_does_not_answer_is_a_sentence(tmp_path: Path, lone_kubeconfig: str) -> None:
    dead = yaml.safe_load(Path(lone_kubeconfig).read_text())
    dead["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(dead))
    done = CliRunner().invoke(main, ["preflight"], env={"KUBECONFIG": str(path)})
    assert done.exit_code == 1
    assert "the API server does not answer" in done.output
