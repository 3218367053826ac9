"""The kinds we touch, and the paths of their objects in the Kubernetes API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moorage.model import names


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object; `str()` gives `apiVersion/Kind`."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def __str__(self) -> str:
        return f"{self.api_version}/{self.kind}"


AGENT = Kind(names.API_VERSION, "Agent", "agents")
DOMAIN = Kind(names.API_VERSION, "Domain", "domains")
WALLET = Kind(names.API_VERSION, "Wallet", "wallets", namespaced=False)
# The plural `namespaces` would be unreachable by name: the request path parser takes it for a namespace prefix.
TENANT_NAMESPACE = Kind(names.API_VERSION, "Namespace", "tenantnamespaces", namespaced=False)

CORE_NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
POD = Kind("v1", "Pod", "pods")
PERSISTENT_VOLUME_CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
SERVICE = Kind("v1", "Service", "services")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
RESOURCE_QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
JOB = Kind("batch/v1", "Job", "jobs")
# Written and never read: nobody of ours may read a Secret.
SECRET = Kind("v1", "Secret", "secrets")
INGRESS = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
# Of cert-manager, where a cluster has it and the platform is told to use it.
CERTIFICATE = Kind("cert-manager.io/v1", "Certificate", "certificates")
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
NODE = Kind("v1", "Node", "nodes", namespaced=False)
STORAGE_CLASS = Kind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
EVENT = Kind("events.k8s.io/v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")

VALIDATING_POLICY = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    namespaced=False,
)
VALIDATING_POLICY_BINDING = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)

# Of a CSI driver, where a cluster has one that can snapshot.
VOLUME_SNAPSHOT = Kind("snapshot.storage.k8s.io/v1", "VolumeSnapshot", "volumesnapshots")
VOLUME_SNAPSHOT_CLASS = Kind(
    "snapshot.storage.k8s.io/v1", "VolumeSnapshotClass", "volumesnapshotclasses", namespaced=False
)
VOLUME_SNAPSHOT_CONTENT = Kind(
    "snapshot.storage.k8s.io/v1", "VolumeSnapshotContent", "volumesnapshotcontents", namespaced=False
)

ALL: tuple[Kind, ...] = (
    AGENT,
    DOMAIN,
    WALLET,
    TENANT_NAMESPACE,
    CORE_NAMESPACE,
    POD,
    PERSISTENT_VOLUME_CLAIM,
    SERVICE,
    CONFIG_MAP,
    SERVICE_ACCOUNT,
    RESOURCE_QUOTA,
    NETWORK_POLICY,
    ROLE_BINDING,
    JOB,
    SECRET,
    INGRESS,
    HTTP_ROUTE,
    CERTIFICATE,
    ENDPOINT_SLICE,
    NODE,
    STORAGE_CLASS,
    LEASE,
    EVENT,
    VALIDATING_POLICY,
    VALIDATING_POLICY_BINDING,
    VOLUME_SNAPSHOT,
    VOLUME_SNAPSHOT_CLASS,
    VOLUME_SNAPSHOT_CONTENT,
)

# Compared with their manifests when they are applied, so all of them is kept.
LIVE: tuple[Kind, ...] = (
    PERSISTENT_VOLUME_CLAIM,
    SERVICE,
    CONFIG_MAP,
    CORE_NAMESPACE,
    NETWORK_POLICY,
    ROLE_BINDING,
    RESOURCE_QUOTA,
    SERVICE_ACCOUNT,
)

# Our own kinds by the word that stands in a work queue key.
OURS: Mapping[str, Kind] = {kind.kind: kind for kind in (AGENT, DOMAIN, WALLET, TENANT_NAMESPACE)}

_BY_TYPE = {(kind.api_version, kind.kind): kind for kind in ALL}


def of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of a manifest; a kind outside the table is a bug of the caller (KeyError)."""
    return _BY_TYPE[manifest["apiVersion"], manifest["kind"]]


def collection_path(kind: Kind, namespace: str | None = None) -> str:
    """The path that lists a kind: in one namespace, or everywhere."""
    root = f"/apis/{kind.api_version}" if "/" in kind.api_version else f"/api/{kind.api_version}"
    if namespace and kind.namespaced:
        return f"{root}/namespaces/{namespace}/{kind.plural}"
    return f"{root}/{kind.plural}"


def object_path(kind: Kind, namespace: str, name: str) -> str:
    """The path of one object; `namespace` is ignored for cluster-scoped kinds."""
    if not name or "/" in name or "/" in namespace or (kind.namespaced and not namespace):
        raise ValueError(f"no path for a {kind.kind} {name!r} in namespace {namespace!r}")
    return f"{collection_path(kind, namespace)}/{name}"


def path_of(manifest: Mapping[str, Any]) -> str:
    """The path of the object a manifest describes."""
    metadata = manifest["metadata"]
    return object_path(of(manifest), metadata.get("namespace", ""), metadata["name"])


def resource_of(path: str) -> str:
    """The resource a path is about, as a metric label: `pods`, `agents/status`."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if len(parts) > 2 and parts[0] == "namespaces" and parts[2] not in ("status", "finalize"):
        parts = parts[2:]
    return f"{parts[0]}/{parts[2]}" if len(parts) > 2 else "".join(parts[:1])
