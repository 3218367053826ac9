"""What the policies refuse whoever asks, what they let pass, and that the platform and the cluster go on working."""

from collections.abc import Callable
from typing import Any

import pytest

from tests import factories
from tests.chart import rendering
from tests.contract.guard import scene
from tests.contract.guard.cluster import (
    ADMINISTRATOR,
    BREAK_GLASS,
    COLLECTOR,
    DRY,
    JOBS,
    KUBELET,
    OPERATOR,
    OURS,
    SLICES,
    TENANT,
    THEIRS,
    Guarded,
    Manifest,
    Who,
    path_of,
)

pytestmark = pytest.mark.cluster

CORE = f"/api/v1/namespaces/{OURS}"
FOREIGN = "somebody-elses"
AGENT = f"/apis/moorage.dev/v1alpha1/namespaces/{OURS}/agents/helper"
Answer = tuple[int, Manifest]
Try = Callable[[Guarded, Who], Answer]


@pytest.fixture(scope="module")
def lived_in(guarded: Guarded) -> Guarded:
    """A tenant with an agent and everything that the operator makes for it, as the operator makes it."""
    for name in ("acme", "other"):
        guarded.make(scene.made("moorage.dev/v1alpha1", "Wallet", name, namespace=None, spec={}), ADMINISTRATOR)
        spec = {"walletRef": {"name": name}}
        guarded.make(scene.made("moorage.dev/v1alpha1", "Namespace", name, namespace=None, spec=spec), ADMINISTRATOR)
    guarded.make(scene.made("v1", "Namespace", FOREIGN, namespace=None), ADMINISTRATOR)
    guarded.make(scene.agent(finalizers=["moorage.dev/cleanup"]), TENANT)
    guarded.make(scene.made("v1", "Secret", "tls-mine", data={"password": "aHVzaA=="}), TENANT)
    for manifest in (*scene.children(), *scene.led(), scene.mover()):
        guarded.make(manifest, OPERATOR)
    guarded.make(scene.mover_pod(), JOBS)
    return guarded


def create(manifest: Manifest) -> Try:
    """Create it, for a try."""
    path = path_of(manifest).rpartition("/")[0]
    return lambda server, who: server.ask(who, "POST", f"{path}?{DRY}", manifest)


def patch(path: str, change: Any) -> Try:
    """Merge a change, for a try."""
    return lambda server, who: server.patch(who, path, change)


def replace(path: str, place: str, value: object) -> Try:
    """Replace one value, for a try."""
    ops = [{"op": "replace", "path": place, "value": value}]
    return lambda server, who: server.ask(who, "PATCH", f"{path}?{DRY}", ops, "application/json-patch+json")


def delete(path: str) -> Try:
    """Delete it, for a try."""
    return lambda server, who: server.ask(who, "DELETE", f"{path}?{DRY}")


def post(path: str, body: Manifest) -> Try:
    """A subresource that is asked by POST."""
    return lambda server, who: server.ask(who, "POST", path, body)


def labelled(**labels: str) -> Manifest:
    return {"metadata": {"labels": {name.replace("_", "/"): value for name, value in labels.items()}}}


def child(kind: str) -> str:
    return next(path_of(manifest) for manifest in scene.children() if manifest["kind"] == kind)


VOLUME = child("PersistentVolumeClaim")
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
CLUSTER_TOKEN = {"serviceAccountToken": {"path": "t"}}
TOKEN = {"serviceAccountToken": {"path": "t", "audience": "moorage-mover"}}
BUNDLE = {"clusterTrustBundle": {"name": "x", "path": "t"}}
CERTIFICATE = {"podCertificate": {"signerName": "example.com/x", "keyType": "ED25519", "credentialBundlePath": "t"}}
PORTS = [{"port": 80}]


def projected(source: Manifest) -> list[Manifest]:
    return [{"name": "t", "projected": {"sources": [source]}}]


def mover_like(**spec: Any) -> Manifest:
    found = scene.pod(**spec)
    found["metadata"]["labels"] = {"moorage.dev/component": "mover"}
    return found


def service(**spec: Any) -> Manifest:
    return scene.made("v1", "Service", spec={"ports": PORTS, **spec})


REQUEST = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["moorage-mover"]}}
QUOTA = f"{CORE}/resourcequotas/moorage-agents"
DENIAL = f"/apis/networking.k8s.io/v1/namespaces/{OURS}/networkpolicies/moorage-default-deny"
BINDING = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{OURS}/rolebindings/moorage-tenant-work"
MOVER = f"{CORE}/pods/{scene.mover_pod()['metadata']['name']}"

ROUTE, CERTIFICATE_SECRET = (path_of(manifest) for manifest in reversed(scene.led()))
WAITING = f"/apis/discovery.k8s.io/v1/namespaces/{OURS}/endpointslices/moorage-waiting-ipv4"
SNIPPET = "nginx.ingress.kubernetes.io/configuration-snippet"

# Sentence: the policy that says no, and what is tried with every right that a role can give.
REFUSED: dict[str, tuple[str, Try]] = {
    "an agent is born with a label of ours": (
        "reserved-metadata", create(scene.agent(name="other", labels={"moorage.dev/tenant": "other"}))),
    "an agent gets a label of ours": ("reserved-metadata", patch(AGENT, labelled(**{"moorage.dev_managed": "true"}))),
    "an agent gets an annotation of ours": (
        "reserved-metadata", patch(AGENT, {"metadata": {"annotations": {"moorage.dev/spec-hash": "x"}}})),
    "an agent gets kopf's progress": (
        "reserved-metadata", patch(AGENT, {"metadata": {"annotations": {"kopf.zalando.org/x": "{}"}}})),
    "an agent gets another finalizer of ours": (
        "reserved-metadata", patch(AGENT, {"metadata": {"finalizers": ["moorage.dev/cleanup", "moorage.dev/kopf"]}})),
    "an agent loses our finalizer": ("reserved-metadata", patch(AGENT, {"metadata": {"finalizers": None}})),
    "a config map pretends to be ours": (
        "reserved-metadata", create(scene.made("v1", "ConfigMap", metadata={"labels": scene.BAD_LABEL}))),
    "a volume loses its labels": ("reserved-metadata", patch(VOLUME, {"metadata": {"labels": None}})),
    "a volume is said to be another agent's": (
        "reserved-metadata", patch(VOLUME, labelled(**{"moorage.dev_agent-uid": "x"}))),
    "a wallet gets a label of ours": (
        "reserved-metadata-of-tenants",
        patch("/apis/moorage.dev/v1alpha1/wallets/acme", labelled(**{"moorage.dev_tenant": "acme"}))),
    "a tenant gets a finalizer of ours": (
        "reserved-metadata-of-tenants",
        patch("/apis/moorage.dev/v1alpha1/tenantnamespaces/acme", {"metadata": {"finalizers": ["moorage.dev/x"]}})),
    "a pod": ("made-by-the-platform", create(scene.pod())),
    "a pod of a job that is none": (
        "made-by-the-platform", create({**scene.pod(), "metadata": {
            "name": "bare", "namespace": OURS, "ownerReferences": scene.mover_pod()["metadata"]["ownerReferences"]}})),
    **{f"a {kind}": ("made-by-the-platform", create(scene.workload(kind)))
       for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController")},
    "a volume claim": ("made-by-the-platform", create(scene.made("v1", "PersistentVolumeClaim", spec=CLAIM))),
    "a network policy that opens everything": (
        "made-by-the-platform",
        create(scene.made("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}, "egress": [{}]}))),
    "an ingress": (
        "made-by-the-platform",
        create(scene.made("networking.k8s.io/v1", "Ingress",
                          spec={"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}}))),
    "a route of the Gateway API": (
        "made-by-the-platform", create(scene.made("gateway.networking.k8s.io/v1", "HTTPRoute", spec={}))),
    "a route of Traefik's own": (
        "made-by-the-platform", create(scene.made("traefik.io/v1alpha1", "IngressRoute", spec={}))),
    "somebody's host name on our route": (
        "managed-objects", replace(ROUTE, "/spec/rules/0/host", "bank.example")),
    "another certificate for our route": (
        "managed-objects", patch(CERTIFICATE_SECRET, {"data": {"tls.key": "AAAA"}})),
    "a waiting page elsewhere": (  # either answers first
        "managed-objects|services-lead-to-their-own-pods", replace(WAITING, "/endpoints/0/addresses/0", "203.0.113.1")),
    "addresses behind a service": (
        "services-lead-to-their-own-pods", create(scene.made("v1", "Endpoints", subsets=[
            {"addresses": [{"ip": "203.0.113.1"}], "ports": PORTS}]))),
    "slices of addresses behind a service": (
        "services-lead-to-their-own-pods", create(scene.made(
            "discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4", endpoints=[{"addresses": ["203.0.113.1"]}],
            metadata={"labels": {"kubernetes.io/service-name": "agent-helper"}}))),
    "a quota of one's own": ("made-by-the-platform", create(scene.made("v1", "ResourceQuota", spec={}))),
    "a limit range": ("made-by-the-platform", create(scene.made("v1", "LimitRange", spec={"limits": []}))),
    "a copy of a volume": (
        "made-by-the-platform",
        create(scene.made("snapshot.storage.k8s.io/v1", "VolumeSnapshot",
                          spec={"source": {"persistentVolumeClaimName": "data-helper-1"}}))),
    "a quota is raised": ("managed-objects", patch(QUOTA, {"spec": {"hard": {"pods": "1000"}}})),
    "a network policy is opened": ("managed-objects", patch(DENIAL, {"spec": {"egress": [{}]}})),
    "the operator's work is given to somebody else": (
        "managed-objects", patch(BINDING, {"subjects": [{"kind": "User", "name": "ann"}]})),
    "an agent's files are changed": ("managed-objects", patch(child("ConfigMap"), {"data": {"a.txt": "2"}})),
    "an agent's service leads elsewhere": (
        "managed-objects", patch(child("Service"), {"spec": {"selector": {"app": "elsewhere"}}})),
    "the movers' account gets a token": (
        "managed-objects", patch(f"{CORE}/serviceaccounts/moorage-mover", {"automountServiceAccountToken": True})),
    "a volume gets another owner": (
        "managed-objects",
        patch(VOLUME, {"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": factories.AGENT_UID}]}})),
    "an agent's pod gets another image": (
        "managed-objects", replace(child("Pod"), "/spec/containers/0/image", "localhost/evil")),
    "a service with a port on every node": ("services-stay-inside", create(service(type="NodePort"))),
    "a service with a balancer": ("services-stay-inside", create(service(type="LoadBalancer"))),
    "a service that is a name elsewhere": (
        "services-stay-inside", create(service(type="ExternalName", externalName="example.com"))),
    "a service that takes somebody's address": (
        "services-stay-inside", create(service(externalIPs=["203.0.113.1"]))),
    "a status of an agent": ("status", patch(f"{AGENT}/status", {"status": {"podName": "x"}})),
    "a status of a wallet": (
        "status", patch("/apis/moorage.dev/v1alpha1/wallets/acme/status", {"status": {"balance": "1000000"}})),
    "a status of a tenant": (
        "status", patch("/apis/moorage.dev/v1alpha1/tenantnamespaces/acme/status", {"status": {"coreNamespace": "x"}})),
    "a core namespace is no longer secured": (
        "core-namespaces",
        patch(f"/api/v1/namespaces/{OURS}", labelled(**{"pod-security.kubernetes.io_enforce": "privileged"}))),
    "a core namespace loses its security": (
        "core-namespaces",
        patch(f"/api/v1/namespaces/{OURS}", {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}})),
    "a core namespace is given away": (
        "core-namespaces", patch(f"/api/v1/namespaces/{OURS}", labelled(**{"moorage.dev_tenant": "other"}))),
    "a core namespace leaves the policies": (
        "core-namespaces", patch(f"/api/v1/namespaces/{OURS}", {"metadata": {"labels": {"moorage.dev/tenant": None}}})),
    "a foreign namespace becomes a core namespace": (
        "core-namespaces", patch("/api/v1/namespaces/default", labelled(**{"moorage.dev_tenant": "acme"}))),
    "a core namespace is made by hand": (
        "core-namespaces",
        create(scene.made("v1", "Namespace", "mn-x", namespace=None, metadata={"labels": {"moorage.dev/tenant": "x"}})),
    ),
    "a token of the movers' account": (
        "movers-are-left-alone", post(f"{CORE}/serviceaccounts/moorage-mover/token?{DRY}", REQUEST)),
    "the end of a volume": ("managed-objects", delete(child("PersistentVolumeClaim"))),
    "the end of a core namespace, and of all volumes in it": ("core-namespaces", delete(CORE)),
    "a look into a mover": ("movers-are-left-alone", post(f"{MOVER}/exec?command=id&stdout=1", {})),
    "a way into a mover": ("movers-are-left-alone", post(f"{MOVER}/portforward", {})),
}  # fmt: skip

# The same for the operator itself: what it never does, nobody does with its token.
REFUSED_TO_THE_OPERATOR: dict[str, tuple[str, Try]] = {
    "a pod with the movers' account": (
        "pods-hold-no-credentials", create(scene.pod(serviceAccountName="moorage-mover"))),
    "a pod with an account of the tenant's": ("pods-hold-no-credentials", create(scene.pod(serviceAccountName="rich"))),
    "a mover with another account": ("pods-hold-no-credentials", create(mover_like())),
    "a pod with a token": ("pods-hold-no-credentials", create(scene.pod(
        serviceAccountName="default", volumes=projected(TOKEN)))),
    "a pod that lets its token be mounted": (
        "pods-hold-no-credentials", create(scene.pod(automountServiceAccountToken=True))),
    "a mover with a token for the cluster": (
        "pods-hold-no-credentials",
        create(mover_like(serviceAccountName="moorage-mover", volumes=projected(CLUSTER_TOKEN)))),
    "a pod with a trust bundle": ("pods-hold-no-credentials", create(scene.pod(volumes=projected(BUNDLE)))),
    "a pod with a certificate": ("pods-hold-no-credentials", create(scene.pod(volumes=projected(CERTIFICATE)))),
    "a service with a balancer": ("services-stay-inside", create(service(type="LoadBalancer"))),
    "a look at a tenant's secret by a patch that changes nothing": (
        "operator-stays-home", lambda server, who: server.apply(who, scene.made("v1", "Secret", "tls-mine"), DRY)),
    "a tenant's secret is made the platform's": (
        "operator-stays-home", patch(f"{CORE}/secrets/tls-mine", labelled(**{"moorage.dev_managed": "true"}))),
    "the end of a tenant's secret": ("operator-stays-home", delete(f"{CORE}/secrets/tls-mine")),
    "a secret that is no certificate": (
        "operator-stays-home", create(scene.made("v1", "Secret", "tls-other", metadata={"labels": scene.BAD_LABEL}))),
    "a secret under a name of the tenant's": (
        "operator-stays-home", create(scene.led()[0] | {"metadata": scene.led()[0]["metadata"] | {"name": "mine"}})),
    "addresses behind an agent's service": (
        "operator-stays-home", create(scene.made(
            "discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4", endpoints=[{"addresses": ["203.0.113.1"]}]))),
    "a namespace that is not a tenant's": (
        "operator-stays-home", create(scene.made("v1", "Namespace", "mn-x", namespace=None))),
    "a label on a foreign namespace": (
        "operator-stays-home", patch("/api/v1/namespaces/kube-system", labelled(**{"moorage.dev_tenant": "x"}))),
    "the end of a foreign namespace": ("operator-stays-home", delete(f"/api/v1/namespaces/{FOREIGN}")),
    "its own work in a foreign namespace": (
        "operator-stays-home", create(scene.made(
            "rbac.authorization.k8s.io/v1", "RoleBinding", "moorage-tenant-work", namespace="kube-system",
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "moorage-tenant-work"}))),
    "its own work under another name": (
        "operator-stays-home", create(scene.made(
            "rbac.authorization.k8s.io/v1", "RoleBinding", "more",
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "moorage-tenant-work"}))),
}  # fmt: skip

PASSES: dict[str, tuple[Who, Try]] = {
    "a tenant asks for a snapshot": (
        TENANT, patch(AGENT, {"metadata": {"annotations": {"moorage.dev/snapshot-requested": "now"}}})),
    "a tenant labels its agent": (TENANT, patch(AGENT, labelled(team="one"))),
    "a tenant changes its agent": (TENANT, patch(AGENT, {"spec": {"size": "medium"}})),
    "a tenant deletes its agent": (TENANT, delete(AGENT)),
    "a tenant keeps a config map": (TENANT, create(scene.made("v1", "ConfigMap", data={"a": "b"}))),
    "a tenant keeps a secret": (TENANT, create(scene.made("v1", "Secret"))),
    "a tenant holds its agent with a finalizer of its own": (
        TENANT, patch(AGENT, {"metadata": {"finalizers": ["moorage.dev/cleanup", "example.com/mine"]}})),
    "a service of one's own": (TENANT, create(service())),
    "an administrator notes something on a route": (
        ADMINISTRATOR, patch(ROUTE, {"metadata": {"annotations": {"field.cattle.io/publicEndpoints": "[]"}}})),
    "the cluster finds the pods of a service": (SLICES, create(scene.made(
        "discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4", endpoints=[{"addresses": ["10.78.0.9"]}]))),
    "the operator renews a certificate": (
        OPERATOR, lambda server, who: server.apply(who, scene.led()[0], DRY)),
    "the operator removes a certificate": (OPERATOR, delete(CERTIFICATE_SECRET)),
    "the operator removes a route": (OPERATOR, delete(ROUTE)),
    "a driver notes something on a volume": (
        ADMINISTRATOR, patch(VOLUME, {"metadata": {"annotations": {"driver.example.com/x": "y"}}})),
    "an administrator deletes a pod": (ADMINISTRATOR, delete(child("Pod"))),
    "an administrator deletes a network policy": (ADMINISTRATOR, delete(DENIAL)),
    "an administrator deletes a foreign namespace": (ADMINISTRATOR, delete(f"/api/v1/namespaces/{FOREIGN}")),
    "an administrator labels a core namespace": (ADMINISTRATOR, patch(CORE, labelled(team="one"))),
    "an administrator makes what they like elsewhere": (ADMINISTRATOR, create({
        **scene.workload("Deployment"), "metadata": {"name": "x", "namespace": "default", "labels": scene.BAD_LABEL}})),
    "the collector takes away what nobody owns": (COLLECTOR, delete(child("ConfigMap"))),
    "the collector takes its finalizer off a pod": (
        COLLECTOR, patch(child("Pod"), {"metadata": {"finalizers": ["foregroundDeletion"]}})),
    "the job controller makes a mover's pod": (JOBS, create(
        scene.mover_pod() | {"metadata": {**scene.mover_pod()["metadata"], "name": "mover-other"}})),
    "the kubelet says what a pod does": (
        KUBELET, patch(f"{child('Pod')}/status", {"status": {"phase": "Running"}})),
    "the kubelet fetches a mover's token": (
        KUBELET, post(f"{CORE}/serviceaccounts/moorage-mover/token?{DRY}", REQUEST)),
    "the kubelet removes a pod that has ended": (KUBELET, delete(MOVER)),
    "the operator deletes a pod": (OPERATOR, delete(child("Pod"))),
    "the operator frees a volume": (OPERATOR, delete(child("PersistentVolumeClaim"))),
    "the operator drops a mover": (OPERATOR, delete(path_of(scene.mover()))),
    "the operator says what it saw": (OPERATOR, patch(f"{AGENT}/status", {"status": {"podName": "x"}})),
    "the operator lets an agent go": (OPERATOR, patch(AGENT, {"metadata": {"finalizers": None}})),
    "the operator lets a core namespace go": (OPERATOR, delete(CORE)),
    "who breaks the glass may delete a volume": (BREAK_GLASS, delete(child("PersistentVolumeClaim"))),
    "who breaks the glass may delete a core namespace": (BREAK_GLASS, delete(CORE)),
    "who breaks the glass may edit what is ours": (BREAK_GLASS, patch(QUOTA, {"spec": {"hard": {"pods": "1000"}}})),
    "who breaks the glass may free an agent": (BREAK_GLASS, patch(AGENT, {"metadata": {"finalizers": None}})),
    "who breaks the glass may start a pod": (BREAK_GLASS, create(scene.pod())),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_even_with_every_right_nobody_makes(lived_in: Guarded, name: str) -> None:
    policies, tried = REFUSED[name]
    status, answer = tried(lived_in, ADMINISTRATOR)
    named = any(f"'moorage-{policy}'" in answer["message"] for policy in policies.split("|"))
    assert (status, named) == (403, True), answer


@pytest.mark.parametrize("name", REFUSED)
def test_a_tenant_with_the_clusters_own_roles_gets_no(lived_in: Guarded, name: str) -> None:
    status, answer = REFUSED[name][1](lived_in, TENANT)
    assert status == 403, answer


@pytest.mark.parametrize("name", REFUSED_TO_THE_OPERATOR)
def test_even_the_operator_does_not_make(lived_in: Guarded, name: str) -> None:
    policy, tried = REFUSED_TO_THE_OPERATOR[name]
    status, answer = tried(lived_in, OPERATOR)
    assert (status, f"'moorage-{policy}'" in answer["message"]) == (403, True), answer


@pytest.mark.parametrize("name", PASSES)
def test_the_policies_let_pass(lived_in: Guarded, name: str) -> None:
    who, tried = PASSES[name]
    status, answer = tried(lived_in, who)
    assert status in (200, 201), answer


ORDERED = {"metadata": {"annotations": {SNIPPET: "return 200;"}}}


@pytest.mark.parametrize("path", [ROUTE, CERTIFICATE_SECRET, child("Service")])
@pytest.mark.parametrize("change", [ORDERED, labelled(team="one")], ids=["annotation", "label"])
def test_a_tenant_gives_the_ingress_controller_no_orders(lived_in: Guarded, path: str, change: Manifest) -> None:
    status, answer = lived_in.patch(TENANT, path, change)
    assert (status, "'moorage-managed-objects'" in answer["message"]) == (403, True), answer


MANAGED = [manifest for manifest in scene.children() if manifest["kind"] != "Pod"]


@pytest.mark.parametrize("manifest", MANAGED, ids=[manifest["kind"] for manifest in MANAGED])
def test_a_tenant_does_not_remove_what_the_platform_made(lived_in: Guarded, manifest: Manifest) -> None:
    status, answer = delete(path_of(manifest))(lived_in, TENANT)
    assert (status, "'moorage-managed-objects'" in answer["message"]) == (403, True), answer


def test_a_container_is_not_added_to_a_pod_that_runs(lived_in: Guarded) -> None:
    path = f"{child('Pod')}/ephemeralcontainers"
    change = {"spec": {"ephemeralContainers": [{**scene.CONTAINER, "name": "debugger", "resources": {}}]}}
    for who in (ADMINISTRATOR, TENANT, OPERATOR):
        status, answer = lived_in.patch(who, path, change)
        assert status == 403, answer
    status, answer = lived_in.patch(BREAK_GLASS, path, change)
    assert status == 200, answer


def test_an_agent_may_be_born_with_our_finalizer_and_no_other(guarded: Guarded) -> None:
    born = create(scene.agent(name="second", finalizers=["moorage.dev/cleanup"]))
    assert born(guarded, TENANT)[0] == 201
    assert create(scene.agent(name="second", finalizers=["moorage.dev/kopf"]))(guarded, TENANT)[0] == 403


def test_the_policies_leave_other_namespaces_alone(guarded: Guarded) -> None:
    assert THEIRS != OURS
    for manifest in (scene.workload("Job"), scene.pod(), service(type="NodePort"), scene.made("v1", "ResourceQuota")):
        manifest["metadata"] = {"name": "x", "namespace": "default", "labels": scene.BAD_LABEL}
        status, answer = create(manifest)(guarded, ADMINISTRATOR)
        assert status == 201, answer


def test_every_policy_refuses_something_here() -> None:
    tried = {policy for policy, _ in (*REFUSED.values(), *REFUSED_TO_THE_OPERATOR.values())}
    shipped = {path.stem for path in (rendering.ROOT / "charts" / "moorage" / "files" / "admission").glob("*.yaml")}
    assert shipped - tried == {"storage-classes"}, "which is tested where some are chosen"
