"""What a tenant would make past its Agents, with the cluster's own role `admin` in its namespace and without it."""

import copy
from collections.abc import Iterator
from typing import Any

from moorage.model import names
from tests import pod_security
from tests.chart import rendering
from tests.contract.guard import scene
from tests.contract.guard.cluster import OPERATOR, OURS, TENANT, THEIRS, Manifest, path_of, tenant
from tests.contract.guard.probes import probe
from tests.contract.guard.probes.probe import EDITOR, Probe

RBAC = "rbac.authorization.k8s.io"
WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController")
PORTS = [{"port": 80}]
SERVICES: dict[str, Manifest] = {
    "a port on every node": {"type": "NodePort", "ports": PORTS},
    "a chosen port on every node": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]},
    "a balancer": {"type": "LoadBalancer", "ports": PORTS},
    "a balancer of a class": {"type": "LoadBalancer", "ports": PORTS, "loadBalancerClass": "example.com/x"},
    "a balancer's address": {"type": "LoadBalancer", "ports": PORTS, "loadBalancerIP": "203.0.113.1"},
    "another's name": {"type": "ExternalName", "externalName": "kubernetes.default.svc"},
    "the name of a metadata service": {"type": "ExternalName", "externalName": "metadata.google.internal"},
    "an address from outside": {"ports": PORTS, "externalIPs": ["203.0.113.1"]},
    "the address of the resolver": {"ports": PORTS, "externalIPs": ["10.123.0.10"]},
    "a v6 address from outside": {"ports": PORTS, "externalIPs": ["2001:db8::1"]},
}
BINDINGS = (
    "cluster-admin", "moorage-operator", "moorage-tenant-work", "moorage-api", "system:node", "system:kube-scheduler",
    "system:controller:job-controller", "system:persistent-volume-provisioner",
)  # fmt: skip
ROLES: dict[str, Manifest] = {
    "everything": {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    "more rights": {"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["escalate"]},
    "other people": {"apiGroups": [""], "resources": ["users", "groups", "serviceaccounts"], "verbs": ["impersonate"]},
    "any role": {"apiGroups": [RBAC], "resources": ["clusterroles"], "verbs": ["bind"]},
    "statuses": {"apiGroups": [names.GROUP], "resources": ["agents/status"], "verbs": ["patch"]},
    "quotas": {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["create", "delete"]},
    "endpoints": {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["create"]},
}
ADDRESSES = [{"addresses": ["169.254.169.254"]}]
VALID_CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def pods() -> Iterator[Probe]:
    """Pods outside the restricted profile: by a tenant, and by the operator's own hand, where Pod Security says no."""
    for who in (OPERATOR, TENANT, EDITOR):
        for name, spoil in pod_security.breaches().items():
            pod = scene.pod("spoiled", securityContext=dict(scene.SECURED), containers=[copy.deepcopy(scene.CONTAINER)])
            spoil(pod)
            yield probe.create(who, pod, f"a pod with {name}")


def objects() -> list[tuple[str, Manifest]]:
    """Everything that runs, holds data, opens a way in or out, or gives rights."""
    made = scene.made
    found = [(f"a {kind}", scene.workload(kind)) for kind in WORKLOADS]
    found += [("a pod", scene.pod()), ("a mover", scene.mover()), ("a pod like a mover's", scene.mover_pod())]
    found += [(f"an agent's own {each['kind']}", each) for each in scene.children() if each["kind"] != "ConfigMap"]
    for account in ("moorage-mover", "default", "rich"):
        found.append((f"a pod as {account}", scene.pod(serviceAccountName=account)))
    for source in ({"serviceAccountToken": {"path": "t", "audience": "moorage-mover"}}, {"downwardAPI": {"items": []}}):
        volumes = [{"name": "t", "projected": {"sources": [source]}}]
        found.append((f"a pod with {next(iter(source))}", scene.pod(volumes=volumes)))
    found += [(f"a service with {name}", made("v1", "Service", "fresh", spec=spec)) for name, spec in SERVICES.items()]
    found += [
        ("a claim", made("v1", "PersistentVolumeClaim", spec=VALID_CLAIM)),
        ("a claim on a chosen volume", made("v1", "PersistentVolumeClaim", spec={**VALID_CLAIM, "volumeName": "pv"})),
        ("a way in", made("networking.k8s.io/v1", "Ingress", spec={"rules": [{"host": "x.example.com"}]})),
        ("a way out", made("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}, "egress": [{}]})),
        ("no way in for others", made("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}})),
        ("a quota", made("v1", "ResourceQuota", spec={})),
        ("a limit", made("v1", "LimitRange", spec={"limits": []})),
        ("addresses of somebody else", made("v1", "Endpoints", subsets=[{"addresses": [{"ip": "169.254.169.254"}]}])),
        ("slices of somebody else's addresses",
         made("discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4", endpoints=ADDRESSES)),
    ]  # fmt: skip
    return found + _rights()


def _rights() -> list[tuple[str, Manifest]]:
    version = f"{RBAC}/v1"
    found = [(f"a binding to {role}", scene.binding(role, "prober")) for role in BINDINGS]
    found += [
        (f"a binding for all to {role}", scene.binding(role, "prober", kind="ClusterRoleBinding")) for role in BINDINGS
    ]
    for name, rule in ROLES.items():
        found.append((f"a role for {name}", scene.made(version, "Role", rules=[rule])))
        found.append(
            (f"a role of the cluster for {name}", scene.made(version, "ClusterRole", namespace=None, rules=[rule]))
        )
    return found


def probes() -> Iterator[Probe]:
    """All of it in the tenant's own namespace, and in those that are not."""
    for who in (TENANT, EDITOR):
        for name, manifest in objects():
            yield probe.create(who, manifest, f"{name}, at home")
            if "namespace" in manifest["metadata"]:
                for place in (THEIRS, "kube-system", rendering.NAMESPACE):
                    there = {**manifest, "metadata": {**manifest["metadata"], "namespace": place}}
                    yield probe.create(who, there, f"{name} in {place}")


def managed() -> Iterator[Probe]:
    """What the operator has made, changed or removed by somebody else."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "a0000000-0000-4000-8000-00000000000f"}
    changes: dict[str, Manifest] = {
        "no labels": {"metadata": {"labels": None}},
        "another tenant": {"metadata": {"labels": {names.LABEL_TENANT: "other"}}},
        "another agent": {"metadata": {"labels": {names.LABEL_AGENT_UID: "x"}}},
        "nobody who manages it": {"metadata": {"labels": {names.LABEL_MANAGED: None}}},
        "another owner": {"metadata": {"ownerReferences": [owner]}},
        "a finalizer of ours": {"metadata": {"finalizers": [f"{names.GROUP}/x"]}},
    }
    known = [each for each in (*tenant(OURS), *scene.children(), scene.mover()) if "namespace" in each["metadata"]]
    for who in (TENANT, EDITOR):
        for manifest in known:
            kind, path = manifest["kind"], path_of(manifest)
            for name, change in changes.items():
                yield probe.merge(who, path, change, f"{name} into our {kind}", gained=_is_nobodys)
            # An agent's pod is followed by the next one, so a tenant with the role for it may delete it.
            if kind != "Pod" or who == EDITOR:
                yield probe.delete(who, path, f"our {kind}")
                yield Probe(f"deletes every {kind}", who, "DELETE", f"{path.rpartition('/')[0]}?dryRun=All")
    for who in (TENANT, EDITOR):
        home = f"/api/v1/namespaces/{OURS}"
        for name, value in {"pod-security.kubernetes.io/enforce": "privileged", names.LABEL_TENANT: "other"}.items():
            for wanted in (value, None):
                yield probe.merge(who, home, {"metadata": {"labels": {name: wanted}}}, f"{name}={wanted} into {OURS}")
        yield probe.delete(who, home, OURS)


def _is_nobodys(answer: Manifest) -> bool:
    """Whether a change went through. The server itself gives a Job without labels those of its pods again."""
    return answer["kind"] != "Job" or answer["metadata"].get("labels", {}).get(names.LABEL_MANAGED) != "true"


def doors() -> Iterator[Probe]:
    """Ways into pods, and tokens of accounts."""
    mover, pod = (path_of(each) for each in (scene.mover_pod(), scene.children()[-1]))
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["moorage-mover"]}}
    container: dict[str, Any] = {**copy.deepcopy(scene.CONTAINER), "name": "debugger", "resources": {}}
    for who in (TENANT, EDITOR, OPERATOR):
        for door in ("exec?command=id&stdout=1", "attach?stdout=1", "portforward?ports=80", "proxy/"):
            for method in ("GET", "POST"):
                yield Probe(f"goes into a mover by {door} ({method})", who, method, f"{mover}/{door}")
        for name, path in {"a mover": mover, "an agent": pod}.items():
            change = {"spec": {"ephemeralContainers": [container]}}
            yield probe.merge(who, f"{path}/ephemeralcontainers", change, f"a container into {name}")
            yield probe.merge(who, f"{path}/status", {"status": {"phase": "Succeeded"}}, f"the end of {name}")
            yield probe.merge(who, f"{path}/resize", {"spec": {"containers": []}}, f"another size of {name}")
        accounts = {OURS: ["moorage-mover"], THEIRS: ["moorage-mover", "default"], "kube-system": ["default"],
                    rendering.NAMESPACE: ["moorage-operator", "moorage-api"]}  # fmt: skip
        for place, accounts_there in accounts.items():
            for account in accounts_there:
                path = f"/api/v1/namespaces/{place}/serviceaccounts/{account}/token"
                yield Probe(f"asks for a token of {place}/{account}", who, "POST", f"{path}?dryRun=All", token)


def allowed() -> Iterator[Probe]:
    """What the same people may do: the restricted pod passes, and a tenant keeps what is its own."""
    pod = scene.pod("fine", securityContext=dict(scene.SECURED), containers=[copy.deepcopy(scene.CONTAINER)])
    yield probe.create(OPERATOR, pod, "a pod that fits the profile")
    yield probe.create(TENANT, scene.made("v1", "Service", "fresh", spec={"ports": PORTS}), "a service")
    yield probe.create(TENANT, scene.made("v1", "ConfigMap", "fresh"), "a config map")
    yield probe.create(TENANT, scene.binding("moorage-tenant-view", "friend"), "a binding for a friend")
    yield probe.delete(TENANT, path_of(scene.children()[-1]), "its agent's pod, which the next one follows")
    yield probe.delete(EDITOR, path_of(probe.ours("Agent")), "its agent")
