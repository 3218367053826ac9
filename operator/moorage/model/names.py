"""Names: API group, labels, finalizers, and the names of the objects we own, each derived in one place."""

import re
import uuid
from typing import NamedTuple, NewType

AgentUid = NewType("AgentUid", str)
TenantUid = NewType("TenantUid", str)
WalletId = NewType("WalletId", int)
PodUid = NewType("PodUid", str)
SnapshotId = NewType("SnapshotId", str)


class Key(NamedTuple):
    """One object of ours in the work queue; `namespace` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """As logs name it: Agent/acme/helper, Wallet/acme."""
        return "/".join(part for part in self if part)


GROUP = "moorage.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

# In the work queue, a Domain whose object is gone; its key carries the uid instead of the name.
VANISHED_DOMAIN = "VanishedDomain"

FIELD_MANAGER = "moorage"
STATUS_FIELD_MANAGER = "moorage-status"
FINALIZER = f"{GROUP}/cleanup"

LABEL_MANAGED = f"{GROUP}/managed"
LABEL_COMPONENT = f"{GROUP}/component"
LABEL_AGENT = f"{GROUP}/agent"
LABEL_AGENT_UID = f"{GROUP}/agent-uid"
LABEL_ATTEMPT = f"{GROUP}/attempt"
LABEL_GENERATION = f"{GROUP}/volume-generation"
LABEL_DOMAIN = f"{GROUP}/domain"
LABEL_TENANT = f"{GROUP}/tenant"
# On the core namespace: whose it is. A name can be taken by a successor or a stranger, a uid cannot.
LABEL_TENANT_UID = f"{GROUP}/tenant-uid"
# On the VolumeSnapshotClass that the platform has chosen for a driver.
LABEL_SNAPSHOT_CLASS = f"{GROUP}/snapshot-class"
ANNOTATION_SPEC_HASH = f"{GROUP}/spec-hash"

ANNOTATION_SNAPSHOT_REQUESTED = f"{GROUP}/snapshot-requested"

COMPONENT_AGENT = "agent"
COMPONENT_MOVER = "mover"
COMPONENT_ROUTE = "route"
COMPONENT_WAITING = "waiting"

# The Service of the page that visitors of an agent see while it is away: the platform's own, and in every core
# namespace one of the same name that leads there.
WAITING_SERVICE = "moorage-waiting"

# The policy without which nothing starts in a core namespace.
DEFAULT_DENY = "moorage-default-deny"

# The init container of an agent's pod that waits until the network is closed.
GATE_CONTAINER = "gate"

# The ClusterRole with all that the operator may write in a core namespace, and the RoleBinding there that grants it.
TENANT_WORK = "moorage-tenant-work"

OPERATOR_SERVICE_ACCOUNT = "moorage-operator"
MOVER_SERVICE_ACCOUNT = "moorage-mover"
MOVER_AUDIENCE = "moorage-mover"

CORE_NAMESPACE_PREFIX = "mn-"


def core_namespace(tenant_name: str) -> str:
    """The core namespace a tenant owns."""
    return f"{CORE_NAMESPACE_PREFIX}{tenant_name}"


def tenant_of(namespace: str) -> str:
    """The name of the tenant that owns a core namespace."""
    return namespace.removeprefix(CORE_NAMESPACE_PREFIX)


def agent_pod(agent_name: str, incarnation: int) -> str:
    """The pod of one incarnation; the counter never goes back, so a name is never used twice."""
    return f"{agent_name}-{incarnation}"


def agent_service(agent_name: str) -> str:
    """The service in front of an agent."""
    return f"agent-{agent_name}"


def agent_files(agent_name: str) -> str:
    """The config map with an agent's files."""
    return f"files-{agent_name}"


def agent_volume(agent_name: str, generation: int) -> str:
    """The claim of an agent's data; each restore goes into a new generation."""
    return f"data-{agent_name}-{generation}"


def domain_route(domain_name: str) -> str:
    """The Ingress or HTTPRoute of a Domain."""
    return f"domain-{domain_name}"


def domain_secret(domain_name: str) -> str:
    """The Secret with the certificate of a Domain."""
    return f"tls-{domain_name}"


def number_of(name: str) -> int:
    """The incarnation of a pod, or the generation of a volume; 0 for a name that is none of these."""
    number = name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def mover_job(attempt_id: str) -> str:
    """The Job of one snapshot or restore attempt (attempt ids are UUIDs)."""
    return f"mover-{attempt_id}"


def frozen_copy(attempt_id: str) -> str:
    """The VolumeSnapshot that an attempt reads from, and the claim made from it: named by the attempt, never reused."""
    return f"frozen-{attempt_id}"


def snapshot_object_key(tenant_uid: str, snapshot_id: str, attempt_id: str) -> str:
    """The key of a snapshot in the object store: opaque, never reused."""
    return f"s/{tenant_uid}/{snapshot_id}/{attempt_id}"


def challenge_name(hostname: str) -> str:
    """Where the proof that a host name is a tenant's own has to stand."""
    return f"_moorage-challenge.{hostname}"


def acme_challenge_name(hostname: str) -> str:
    """Where an ACME authority looks for its challenge."""
    return f"_acme-challenge.{hostname}"


_SNAPSHOT_NAME = re.compile(r"snp_[0-9a-f]{32}")


def snapshot_name(snapshot_id: SnapshotId) -> str:
    """A snapshot as people see it (its id is a UUID): snp_ and 32 hexadecimal digits."""
    return f"snp_{uuid.UUID(snapshot_id).hex}"


def snapshot_id(name: str) -> SnapshotId | None:
    """The snapshot that people call by this name; None when it is not such a name."""
    return SnapshotId(str(uuid.UUID(name.removeprefix("snp_")))) if _SNAPSHOT_NAME.fullmatch(name) else None
