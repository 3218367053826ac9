"""The children of our objects as we read them: partial structs, for a full pod costs twenty times as much."""

from datetime import datetime
from typing import Any

import msgspec

from moorage.model.names import ANNOTATION_SPEC_HASH, API_VERSION, LABEL_AGENT, LABEL_AGENT_UID, LABEL_MANAGED

MANAGED = "true"  # value of the label every object we make carries


class Owner(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One owner reference."""

    uid: str
    api_version: str = ""
    kind: str = ""
    name: str = ""
    controller: bool | None = False
    block_owner_deletion: bool | None = None


class OwnLabels(msgspec.Struct, frozen=True, gc=False):
    """The one label we read of pods and jobs."""

    managed: str = msgspec.field(name=LABEL_MANAGED, default="")


class OwnAnnotations(msgspec.Struct, frozen=True, gc=False):
    """The one annotation we read of pods."""

    spec_hash: str = msgspec.field(name=ANNOTATION_SPEC_HASH, default="")


class Identity(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What every object has: its name, its uid, its version, its owners."""

    name: str
    uid: str = ""
    namespace: str = ""
    resource_version: str = "0"
    deletion_timestamp: str | None = None
    owner_references: tuple[Owner, ...] = ()

    @property
    def version(self) -> int:
        """The resource version as a number: comparable within one kind (guaranteed since Kubernetes 1.35)."""
        return int(self.resource_version)

    @property
    def deleting(self) -> bool:
        """Whether somebody asked for the deletion."""
        return self.deletion_timestamp is not None

    @property
    def controller(self) -> Owner | None:
        """The owner that controls the object."""
        for owner in self.owner_references:
            if owner.controller:
                return owner
        return None


class Metadata(Identity, frozen=True, rename="camel", gc=False):
    """metadata of pods and jobs."""

    labels: OwnLabels = OwnLabels()
    annotations: OwnAnnotations = OwnAnnotations()

    @property
    def managed(self) -> bool:
        """Whether our label is on it, without which no watch of ours sees it."""
        return self.labels.managed == MANAGED


class Running(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A container that runs."""

    started_at: datetime | None = None


class Terminated(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A container run that ended; of one that never began the kubelet says that it started in 1970."""

    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: str = ""
    exit_code: int | None = None


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A container that does not run yet, or not again yet."""

    reason: str = ""


class ContainerState(msgspec.Struct, frozen=True, gc=False):
    """One of three."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """status.containerStatuses[] of a pod."""

    name: str
    container_id: str = msgspec.field(name="containerID", default="")
    image_id: str = msgspec.field(name="imageID", default="")
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class ObjectCondition(msgspec.Struct, frozen=True, gc=False):
    """One condition of a pod, a job or a node."""

    type: str
    status: str
    reason: str | None = None


class PodSpec(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """spec of a pod."""

    node_name: str | None = None
    restart_policy: str = "Always"


class PodStatus(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """status of a pod; reason and message are those of its end."""

    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    conditions: tuple[ObjectCondition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(msgspec.Struct, frozen=True, gc=False):
    """A pod."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ConditionsStatus(msgspec.Struct, frozen=True, gc=False):
    """A status of which only the conditions matter."""

    conditions: tuple[ObjectCondition, ...] = ()

    def is_true(self, kind: str) -> bool:
        """Whether the condition is there and True."""
        return any(item.type == kind and item.status == "True" for item in self.conditions)


class Job(msgspec.Struct, frozen=True, gc=False):
    """A Job."""

    metadata: Metadata
    status: ConditionsStatus = ConditionsStatus()


class LiveMetadata(Identity, frozen=True, rename="camel"):
    """metadata of objects that are compared with what we want; managedFields are never decoded."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @property
    def managed(self) -> bool:
        """Whether our label is on it, without which no watch of ours sees it."""
        return self.labels.get(LABEL_MANAGED) == MANAGED

    @property
    def controller(self) -> Owner | None:
        """The owner that controls the object; of a volume claim, the agent that its labels name.

        A claim carries no owner reference, or the garbage collector would delete the data with its Agent.
        """
        owner = super().controller
        uid = self.labels.get(LABEL_AGENT_UID)
        if owner is not None or uid is None:
            return owner
        return Owner(
            uid=uid, api_version=API_VERSION, kind="Agent", name=self.labels.get(LABEL_AGENT, ""), controller=True
        )


class Live(msgspec.Struct, frozen=True, rename="camel"):
    """A service, volume claim, policy, ... with everything a manifest of ours may set."""

    metadata: LiveMetadata
    spec: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    immutable: bool | None = None
    automount_service_account_token: bool | None = None
    role_ref: dict[str, Any] | None = None
    subjects: list[dict[str, Any]] | None = None
    address_type: str | None = None
    endpoints: list[dict[str, Any]] | None = None
    ports: list[dict[str, Any]] | None = None
    status: dict[str, Any] | None = None

    def content(self) -> tuple[object, ...]:
        """What counts as a change; status is written by others all the time."""
        return (
            self.metadata.labels,
            self.metadata.annotations,
            self.metadata.owner_references,
            self.metadata.deletion_timestamp,
            self.spec,
            self.data,
            self.immutable,
            self.automount_service_account_token,
            self.role_ref,
            self.subjects,
            self.address_type,
            self.endpoints,
            self.ports,
        )
