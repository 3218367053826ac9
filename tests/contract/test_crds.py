"""The kinds on a real API server: what it accepts, and the sentence with which it refuses bad input."""

import copy
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from moorage.lifecycle import conditions
from moorage.model.domain import Issuer
from moorage.model.domain_record import Certificate, Paid
from moorage.model.domain_seen import DomainSeen, Sight, Thing
from moorage.model.offer import DomainOffer
from moorage.model.reasons import Reason
from tests import factories

ROOT = Path(__file__).parents[2]
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
EXAMPLES = [
    *sorted((ROOT / "crds" / "examples").glob("*/*.yaml")),
    # What examples/gitops holds is for other controllers' kinds.
    *sorted(
        path
        for path in (ROOT / "examples").rglob("*.yaml")
        if path.name != "kustomization.yaml" and "gitops" not in path.parts
    ),
]
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*/*/expected.yaml"))
STRICT = "fieldManager=moorage-test&fieldValidation=Strict"
DRY = f"{STRICT}&dryRun=All"
NAME_SENTENCE = "metadata.name must have at most 40 characters"
SIZE_SENTENCE = "storage.size must be a quantity between 1Mi and 1Ti, such as 1Gi"

pytestmark = pytest.mark.cluster

Manifest = dict[str, Any]

SANDBOX: Manifest = {
    "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gvisor"}, "handler": "runsc",
}  # fmt: skip
PATHS = {
    "RuntimeClass": "apis/node.k8s.io/v1/runtimeclasses",
    "CustomResourceDefinition": "apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "Wallet": "apis/moorage.dev/v1alpha1/wallets",
    "moorage.dev/Namespace": "apis/moorage.dev/v1alpha1/tenantnamespaces",
    "Agent": "apis/moorage.dev/v1alpha1/namespaces/{namespace}/agents",
    "Domain": "apis/moorage.dev/v1alpha1/namespaces/{namespace}/domains",
    "Namespace": "api/v1/namespaces",
    "ConfigMap": "api/v1/namespaces/{namespace}/configmaps",
    "PersistentVolumeClaim": "api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "Pod": "api/v1/namespaces/{namespace}/pods",
    "ResourceQuota": "api/v1/namespaces/{namespace}/resourcequotas",
    "Secret": "api/v1/namespaces/{namespace}/secrets",
    "Service": "api/v1/namespaces/{namespace}/services",
    "ServiceAccount": "api/v1/namespaces/{namespace}/serviceaccounts",
    "EndpointSlice": "apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
    "Ingress": "apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses",
    "Job": "apis/batch/v1/namespaces/{namespace}/jobs",
    "NetworkPolicy": "apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
}


# Kinds that come with an installation of their own.
NOT_THERE = {"HTTPRoute", "Certificate"}

# A server that has just learnt a kind, or has much to do, asks to come again; that is no answer to our question.
BUSY = (429, 503, 504)
BUSY_TRIES_MAX = 100


class Server:
    """A real API server, asked without any client-side opinion."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self._client = config.new_client_from_config(str(kubeconfig))
        self.namespace = namespace

    def apply(self, manifest: Manifest, query: str = DRY, *, subresource: str = "") -> tuple[int, Manifest]:
        """Server-side apply into the namespace of these tests."""
        manifest = self._placed(manifest)
        path = f"{self._folder(manifest)}/{manifest['metadata']['name']}{subresource}"
        return self._call("PATCH", f"{path}?{query}&force=true", manifest, "application/apply-patch+yaml")

    def create(self, manifest: Manifest, query: str = DRY) -> tuple[int, Manifest]:
        """A plain create."""
        manifest = self._placed(manifest)
        return self._call("POST", f"{self._folder(manifest)}?{query}", manifest, "application/json")

    def delete(self, manifest: Manifest) -> None:
        """Ask for the deletion; nobody waits for it."""
        manifest = self._placed(manifest)
        self._call("DELETE", f"{self._folder(manifest)}/{manifest['metadata']['name']}", None, "application/json")

    def _placed(self, manifest: Manifest) -> Manifest:
        manifest = copy.deepcopy(manifest)
        manifest["metadata"].pop("uid", None)
        if "namespace" in manifest["metadata"]:
            manifest["metadata"]["namespace"] = self.namespace
        return manifest

    def _folder(self, manifest: Manifest) -> str:
        group = manifest["apiVersion"].partition("/")[0]
        path = PATHS.get(f"{group}/{manifest['kind']}") or PATHS[manifest["kind"]]
        return path.format(namespace=self.namespace)

    def _call(self, method: str, path: str, body: Manifest | None, content_type: str) -> tuple[int, Manifest]:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._client.configuration.host}/{path}"
        for _ in range(BUSY_TRIES_MAX):
            answer = self._client.call_api(method, url, header_params=headers, body=body)
            content = answer.read()
            if answer.status not in BUSY:
                break
        return answer.status, json.loads(content)


@pytest.fixture(scope="module")
def server(bare_kubeconfig: str) -> Iterator[Server]:
    """The API server with our kinds and a namespace for these tests."""
    found = Server(bare_kubeconfig, f"moorage-contract-{os.getpid()}")
    for path in CRDS:
        status, answer = found.apply(yaml.safe_load(path.read_text()), STRICT)
        assert status in (200, 201), answer
    api = client.CustomObjectsApi(config.new_client_from_config(str(bare_kubeconfig)))
    _until_served(api)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.namespace}}
    assert found.create(namespace, STRICT)[0] == 201
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": ""}}
    found.create(account, STRICT)  # 409 where the controller that makes it was faster
    assert found.apply(SANDBOX, STRICT)[0] in (200, 201)
    yield found
    found.delete(SANDBOX)
    found.delete(namespace)


def _until_served(api: Any) -> None:
    """The server announces new kinds a moment after it accepted them; it is asked until it does."""
    for _ in range(1000):
        try:
            for plural in ("wallets", "tenantnamespaces", "agents", "domains"):
                api.list_cluster_custom_object("moorage.dev", "v1alpha1", plural)
        except client.ApiException as error:
            if error.status != 404:
                raise
        else:
            return
    raise AssertionError("the API server does not serve our kinds")


def given(kind: str, **changes: Any) -> Manifest:
    """The minimal example of a kind; `x=1` replaces a field of its spec, `x=None` removes it."""
    manifest: Manifest = yaml.safe_load((ROOT / f"crds/examples/minimal/{kind}.yaml").read_text())
    manifest["metadata"]["name"] = changes.pop("name", f"contract-{os.getpid()}")
    for field, value in changes.items():
        if value is None:
            del manifest["spec"][field]
        else:
            manifest.setdefault("spec", {})[field] = value
    return manifest


def sentence_of(answer: Manifest) -> str:
    return str(answer.get("message", ""))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_example_is_accepted(server: Server, path: Path) -> None:
    status, answer = server.apply(yaml.safe_load(path.read_text()))
    assert status in (200, 201), answer


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_every_manifest_of_the_builders_is_accepted(server: Server, path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text()):
        if manifest["kind"] not in NOT_THERE:
            status, answer = server.apply(manifest)
            assert status in (200, 201), (manifest["kind"], answer)


def test_pods_of_agents_and_movers_pass_the_restricted_profile(server: Server) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": server.namespace, "labels": labels}}
    assert server.apply(namespace, STRICT)[0] == 200
    privileged: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bare", "namespace": ""},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    status, answer = server.create(privileged)
    assert (status, "violates PodSecurity" in sentence_of(answer)) == (403, True), answer
    for pod in golden_pods():
        status, answer = server.create(pod)
        assert status == 201, answer


def golden_pods() -> Iterator[Manifest]:
    """Every pod of the golden files, those that Jobs make among them."""
    for path in GOLDEN:
        for manifest in yaml.safe_load_all(path.read_text()):
            if manifest["kind"] == "Pod":
                yield manifest
            elif manifest["kind"] == "Job":
                template = manifest["spec"]["template"]
                metadata = {**template["metadata"], "name": "mover", "namespace": ""}
                # The mover's own account is not there in a dry run.
                spec = {**template["spec"], "serviceAccountName": "default"}
                yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


NO_AMOUNTS = ("0", "0.000000", "-1", "1.1234567", "1000000", ".5", "1e3", "")
BAD: list[tuple[str, Manifest, str]] = [
    ("agent", {"image": "registry.example.com/a"}, "exactly one of image and runtime must be set"),
    ("agent", {"runtime": None}, "exactly one of image and runtime must be set"),
    ("agent", {"size": None}, "spec.size: Required value"),
    ("agent", {"size": "Small"}, "size must be a name of lower-case letters, digits and '-', starting with a letter"),
    ("agent", {"runtime": "Chat Bot"}, "runtime must be a name of lower-case letters"),
    ("agent", {"runtime": None, "image": "a b"}, "image must be a container image reference"),
    ("agent", {"name": "a" * 41}, NAME_SENTENCE),
    ("agent", {"name": "1a"}, NAME_SENTENCE),
    ("agent", {"name": "a.b"}, NAME_SENTENCE),
    ("wallet", {"name": "a" * 41}, NAME_SENTENCE),
    ("namespace", {"name": "1a"}, NAME_SENTENCE),
    ("domain", {"name": "a.b"}, NAME_SENTENCE),
    ("agent", {"desiredState": "Paused"}, 'supported values: "Running", "Suspended"'),
    ("agent", {"env": [{"name": "A"}]}, "exactly one of value and secretKeyRef must be set"),
    (
        "agent",
        {"env": [{"name": "A", "value": "", "secretKeyRef": {"name": "a", "key": "b"}}]},
        "exactly one of value and secretKeyRef must be set",
    ),
    ("agent", {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, "Duplicate value"),
    (
        "agent",
        {"env": [{"name": "MOORAGE_TOKEN", "value": "1"}]},
        "environment names that start with MOORAGE_ are reserved for the platform",
    ),
    ("agent", {"env": [{"name": "1A", "value": "1"}]}, "an environment name has only letters, digits and '_'"),
    ("agent", {"env": [{"name": f"A{i}", "value": ""} for i in range(65)]}, "must have at most 64 items"),
    ("agent", {"env": [{"name": "A", "value": "x" * 4097}]}, "may not be more than 4096"),
    ("agent", {"files": {"../passwd": ""}}, "a file name has at most 128 letters"),
    ("agent", {"files": {".hidden": ""}}, "a file name has at most 128 letters"),
    ("agent", {"files": {"a": "x" * 131072, "b": "x" * 131073}}, "files may have at most 256 KiB together"),
    ("agent", {"files": {"a": "é" * 131073}}, "files may have at most 256 KiB together"),
    ("agent", {"storage": {"size": "-1Gi"}}, SIZE_SENTENCE),
    ("agent", {"storage": {"size": "0"}}, SIZE_SENTENCE),
    ("agent", {"storage": {"size": "1Ki"}}, SIZE_SENTENCE),
    ("agent", {"storage": {"size": "1025Gi"}}, SIZE_SENTENCE),
    ("agent", {"storage": {"size": "lots"}}, SIZE_SENTENCE),
    ("agent", {"storage": {}}, "spec.storage.size: Required value"),
    ("agent", {"http": {"port": 0}}, "should be greater than or equal to 1"),
    ("agent", {"http": {"port": 65536}}, "should be less than or equal to 65535"),
    ("agent", {"http": {"port": 80, "healthPath": "healthz"}}, "healthPath must be a plain path that starts with '/'"),
    ("agent", {"budget": {}}, "spec.budget.perDay: Required value"),
    *(("agent", {"budget": {"perDay": text}}, "budget.perDay must be a positive decimal") for text in NO_AMOUNTS),
    ("agent", {"recovery": "Manual"}, "snapshots, restoreFrom and recovery need storage"),
    ("agent", {"recovery": "Always", "storage": {"size": "1Gi"}}, 'supported values: "Manual", "FromSnapshot"'),
    ("agent", {"quiesce": {"httpPath": "/quiesce"}}, "quiesce needs http, whose port it asks"),
    ("agent", {"quiesce": {"httpPath": "http://x/"}, "http": {"port": 80}}, "quiesce.httpPath must be a plain path"),
    ("agent", {"quiesce": {"httpPath": "/", "timeoutSeconds": 31}, "http": {"port": 80}}, "less than or equal to 30"),
    ("agent", {"snapshots": {"schedule": "daily"}, "storage": {"size": "1Gi"}}, "a cron line of five fields"),
    ("agent", {"snapshots": {"keep": 0}, "storage": {"size": "1Gi"}}, "greater than or equal to 1"),
    ("agent", {"restoreFrom": {"snapshot": "../x"}, "storage": {"size": "1Gi"}}, "must be the name of a snapshot"),
    ("agent", {"placement": "here"}, 'unknown field "spec.placement"'),
    *(("wallet", {"lowBalance": {"credits": text}}, "lowBalance.credits must be a positive") for text in NO_AMOUNTS),
    ("wallet", {"spendLimit": {"perDay": "1" * 14}}, "may not be more than 13"),
    *(("wallet", {"spendLimit": {"perDay": text}}, "spendLimit.perDay must be a positive") for text in NO_AMOUNTS),
    ("wallet", {"displayName": "x" * 101}, "may not be more than 100"),
    (
        "agent",
        {"env": [{"name": "A", "secretKeyRef": {"name": "../x", "key": "a"}}]},
        "secretKeyRef.name must be the bare name of a Secret",
    ),
    (
        "agent",
        {"env": [{"name": "A", "secretKeyRef": {"name": "x", "key": "../a"}}]},
        "secretKeyRef.key has only letters, digits",
    ),
    ("namespace", {"walletRef": {"name": "a/b"}}, "walletRef.name must be the bare name of a Wallet"),
    ("domain", {"agentRef": {"name": "mn-other/a"}}, "agentRef.name must be the bare name of an Agent"),
    ("namespace", {"walletRef": None}, "spec.walletRef: Required value"),
    ("namespace", {"quota": {"cpu": "0"}}, "quota.cpu must be a positive quantity such as 8"),
    ("namespace", {"quota": {"memory": "-1Gi"}}, "quota.memory must be a positive quantity such as 16Gi"),
    ("namespace", {"quota": {"storage": "much"}}, "quota.storage must be a positive quantity such as 100Gi"),
    ("namespace", {"quota": {"agents": -1}}, "should be greater than or equal to 0"),
    ("domain", {"hostname": "Bot.example.com"}, "hostname must be a full host name in lower case"),
    ("domain", {"hostname": "https://bot.example.com"}, "hostname must be a full host name in lower case"),
    ("domain", {"hostname": "localhost"}, "hostname must be a full host name in lower case"),
    ("domain", {"agentRef": {}}, "spec.agentRef.name: Required value"),
]


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"), BAD, ids=[f"{kind} {json.dumps(changes)[:60]}" for kind, changes, _ in BAD]
)
def test_bad_input_is_refused_with_a_sentence(server: Server, kind: str, changes: Manifest, sentence: str) -> None:
    status, answer = server.create(given(kind, **changes))
    assert status in (400, 422), answer
    assert sentence in sentence_of(answer)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("agent", {"name": "a" * 40}),
        ("agent", {"storage": {"size": "1Mi"}}),
        ("agent", {"storage": {"size": "1Ti"}}),
        ("agent", {"storage": {"size": "1.5Gi"}}),
        ("agent", {"files": {"a.txt": "x" * 262144}}),
        ("agent", {"files": {f"file-{number}": "x" * 4096 for number in range(64)}}),
        ("agent", {"env": [{"name": f"A{number}", "value": "x" * 4096} for number in range(64)]}),
        ("agent", {"http": {"port": 65535}}),
        ("agent", {"budget": {"perDay": "0.000001"}}),
        ("wallet", {"lowBalance": {"credits": "0.000001"}}),
        ("wallet", {"spendLimit": {"perDay": "999999.999999"}}),
        ("namespace", {"quota": {"agents": 0, "cpu": "100m"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value)[:40],
)
def test_the_limits_themselves_are_accepted(server: Server, kind: str, changes: Manifest) -> None:
    status, answer = server.create(given(kind, **changes))
    assert status == 201, answer


def test_storage_can_be_added_but_neither_changed_nor_removed(server: Server) -> None:
    plain = given("agent", name="storage")
    small, large = given("agent", name="storage", storage={"size": "1Gi"}), {"size": "2Gi"}
    assert server.apply(plain, STRICT)[0] == 201
    assert server.apply(small, STRICT)[0] == 200
    for changed in (plain, given("agent", name="storage", storage=large)):
        status, answer = server.apply(changed)
        assert status == 422, answer
        assert "storage cannot be changed or removed once it is set" in sentence_of(answer)


def test_restore_from_is_set_at_creation_or_never(server: Server) -> None:
    storage = {"size": "1Gi"}
    restored = given("agent", name="restored", storage=storage, restoreFrom={"snapshot": f"snp_{'a' * 32}"})
    plain = given("agent", name="restored", storage=storage)
    other = given("agent", name="restored", storage=storage, restoreFrom={"snapshot": f"snp_{'b' * 32}"})
    assert server.apply(restored, STRICT)[0] == 201
    for changed in (plain, other):
        status, answer = server.apply(changed)
        assert status == 422, answer
        assert "restoreFrom can only be set when the agent is created" in sentence_of(answer)


def _of_a_domain_that_says_all_it_can() -> dict[str, Any]:
    there, now = Thing(sight=Sight.THERE), factories.NOW
    seen = DomainSeen(record=there, certificate=there, route=there, agent_ready=True, agent_port=8080)
    certificate = Certificate(id="c", issuer=Issuer.ACME, fingerprint="f", not_before=now, not_after=now)
    record = factories.domain_record(
        own=True,
        proven_at=now,
        certificate=certificate,
        paid=Paid(until=now, unpaid_since=now, release_at=now + timedelta(days=7)),
    )
    offer = DomainOffer(zone="agents.example", target="203.0.113.7", issuers=(Issuer.ACME,))
    status = conditions.domain_status(factories.domain(), record, seen, problem=None, offer=offer)
    assert {"url", "challenge", "target", "delegation", "certificateExpiresAt", "paidUntil", "releaseAt"} <= set(status)
    return status


def test_every_status_is_accepted_and_shown_in_the_columns(server: Server) -> None:
    agent = factories.agent(storage={"size": "1Gi"}, http={"port": 8080})
    record = factories.agent_record(snapshot=factories.snapshot_facts())
    wallet, view = factories.wallet(), factories.wallet_view(missing_micros=6_000)
    tenant = conditions.tenant_status(
        factories.tenant(), problem=Reason.WALLET_NOT_FOUND, wallet=None, agents=(3, 1, 2)
    )
    statuses = {
        "agent": conditions.agent_status(agent, record, factories.observation(), problem=None, rate_picos=10_000_000),
        "wallet": conditions.wallet_status(wallet, view, problem=None),
        "namespace": tenant,
        "domain": _of_a_domain_that_says_all_it_can(),
    }
    for kind, status in statuses.items():
        made = given(kind)
        assert server.apply(made, STRICT)[0] in (200, 201)
        for item in status["conditions"]:
            item["lastTransitionTime"] = "2026-05-01T12:00:00Z"
        body = {key: made[key] for key in ("apiVersion", "kind", "metadata")} | {"status": status}
        code, answer = server.apply(body, subresource="/status")
        assert code == 200, answer
        assert answer["status"].keys() == status.keys(), "nothing was dropped"
        server.delete(made)


def test_nothing_in_the_kinds_starts_or_resumes_an_agent_by_default(server: Server) -> None:
    status, answer = server.create(given("agent"))
    assert status == 201, answer
    assert answer["spec"] == {"runtime": "chatbot", "size": "small"}
