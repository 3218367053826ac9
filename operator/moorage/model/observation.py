"""Observation: what one look at the cluster showed of an agent, frozen; a failed or incomplete read is UNKNOWN."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Final

from moorage.model.exits import Exit
from moorage.model.names import PodUid


class Unknown(Enum):
    """The value of something that could not be read: neither present nor absent."""

    UNKNOWN = "Unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class PodPhase(StrEnum):
    """status.phase of a pod."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """One pod of an agent; times are the kubelet's."""

    name: str
    uid: PodUid
    phase: PodPhase
    ready: bool
    deleting: bool
    node: str | None
    node_lost: bool  # the control plane says that the node is silent, or there is no such node any more
    node_ready: bool  # False when the node's Lease is stale or its Ready condition is not True
    spec_hash: str
    container_id: str | None
    started_at: datetime | None  # start of the first container run of this pod
    ended_at: datetime | None  # finishedAt of a terminated container that will not run again
    waiting_reason: str | None  # CrashLoopBackOff, ImagePullBackOff, ErrImagePull, CreateContainerConfigError, ...
    gate_refused: bool = False  # the network was still open when the gate before the agent gave up
    unschedulable: bool
    restarts: int
    last_exit: Exit | None  # of its container, or of the pod when that is over; None: it never ended by itself
    image_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeView:
    """The claim of an agent's data."""

    name: str
    uid: str
    bound: bool
    deleting: bool
    mib: int | None  # its capacity, once it is bound
    node: str | None  # where its first pod was placed; None when nobody says
    node_lost: bool  # the node it was made for is silent or gone
    storage_class: str | None


class JobOutcome(StrEnum):
    """How a mover Job stands."""

    ACTIVE = "Active"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A mover Job of an agent."""

    name: str
    uid: str
    attempt_id: str
    outcome: JobOutcome
    deleting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """An agent's world at one moment; `UNKNOWN` when the caches have not listed yet."""

    pods: tuple[PodView, ...] | Unknown
    volumes: tuple[VolumeView, ...] | Unknown
    jobs: tuple[JobView, ...] | Unknown
    ended: tuple[tuple[PodUid, datetime], ...]  # pods seen to vanish, with the end the kubelet had reported
