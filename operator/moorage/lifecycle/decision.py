"""What a look at an agent leads to: the wishes it starts from, the decision it ends in, and the questions between."""

from dataclasses import dataclass, replace
from datetime import timedelta

from moorage.lifecycle import effects as do
from moorage.model import names
from moorage.model.agent import DesiredState, Recovery
from moorage.model.observation import JobView, Observation, PodView, VolumeView
from moorage.model.reasons import Reason
from moorage.model.record import AgentRecord, AgentState, Attempt, SnapshotPurpose

LOOK_AGAIN_SECONDS = 2.0

# What a record says when no attempt is under way.
FRESH: dict[str, object] = {"attempt": None, "failures": 0, "retry_at": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What tenant and platform ask for at this moment."""

    state: DesiredState | None  # None: as the record says
    deleting: bool
    problem: Reason | None  # the spec cannot be used: nothing new starts, what runs goes on
    pod_hash: str | None  # None while there is a problem
    storage: bool
    warm_window: timedelta
    request: str | None  # changes when somebody asks for a snapshot
    schedule: str | None  # a cron line
    keep: int  # verified snapshots
    freezable: frozenset[str]  # storage classes whose volumes can be frozen
    recovery: Recovery = Recovery.MANUAL
    node_lost_after: timedelta = timedelta(minutes=5)  # how long a node is silent before it counts as lost
    grace: timedelta = timedelta(days=30)  # how long data is kept for an empty wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The record to save, the effects to run in order, and when to look again without news."""

    record: AgentRecord
    effects: tuple[do.Effect, ...] = ()
    wait_seconds: float | None = None
    again: bool = False  # the state moved: look again at once


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """An observation whose caches have listed, sorted for the questions the states ask."""

    pods: tuple[PodView, ...]
    strays: tuple[PodView, ...]  # left behind on a lost node: nobody waits for them
    volumes: tuple[VolumeView, ...]
    jobs: tuple[JobView, ...]
    seen: Observation


def wants_run(record: AgentRecord, desired: Desired) -> bool:
    """Whether nobody objects to this agent running: not the tenant, not the wallet, not a deletion."""
    return not (record.user_paused or record.veto or desired.deleting)


def comes_back(record: AgentRecord, desired: Desired) -> bool:
    """Whether it wants to run with the volume it has: nobody objects, and no other data is to take its place."""
    return wants_run(record, desired) and record.restore is None


def is_capture(attempt: Attempt | None) -> bool:
    """Whether an attempt is a snapshot of an agent that is to run on."""
    return attempt is not None and attempt.purpose in (SnapshotPurpose.DEMAND, SnapshotPurpose.SCHEDULE)


def current_pod(record: AgentRecord, pods: tuple[PodView, ...]) -> PodView | None:
    """The pod of the record's incarnation."""
    name = names.agent_pod(record.name, record.incarnation)
    return next((pod for pod in pods if pod.name == name), None)


def current_volume(record: AgentRecord, volumes: tuple[VolumeView, ...]) -> VolumeView | None:
    """The claim of the record's volume generation."""
    name = names.agent_volume(record.name, record.volume_generation)
    return next((volume for volume in volumes if volume.name == name), None)


def volume_lost(record: AgentRecord, volumes: tuple[VolumeView, ...]) -> bool:
    """Whether a claim that was seen before has vanished: never a reason to start with an empty disk."""
    volume = current_volume(record, volumes)
    return record.volume_uid is not None and (volume is None or volume.uid != record.volume_uid)


def enter(record: AgentRecord, state: AgentState, **changes: object) -> AgentRecord:
    """The record in another state."""
    return replace(record, state=state, state_since=record.now, stop_recorded=False, **changes)  # type: ignore[arg-type]  # checked by the dataclass


def next_generation(record: AgentRecord) -> int:
    """The volume generation after the current one."""
    return record.volume_generation + 1


def present(record: AgentRecord, pods: tuple[PodView, ...]) -> tuple[PodView, ...]:
    """The pods that count: not those that were left behind on a lost node."""
    return tuple(pod for pod in pods if not 0 < names.number_of(pod.name) <= record.fenced_incarnation)


def sooner(decision: Decision, seconds: float) -> Decision:
    """The same decision, looked at again after this time at the latest."""
    seconds = max(0.1, seconds)
    wait = seconds if decision.wait_seconds is None else min(seconds, decision.wait_seconds)
    return replace(decision, wait_seconds=wait)


def drop(jobs: tuple[JobView, ...]) -> tuple[do.Effect, ...]:
    """Mover Jobs that are no longer needed."""
    return tuple(do.DropMover(job.name, job.uid) for job in jobs if not job.deleting)


def free(record: AgentRecord, world: World) -> tuple[do.Effect, ...]:
    """Claims of earlier generations: the record gave them up after a verified snapshot, or they are half restored.

    What was left on a lost node may be newer than the snapshot, and stays for its time.
    """
    current = names.agent_volume(record.name, record.volume_generation)
    return tuple(
        do.FreeVolume(volume.name, volume.uid)
        for volume in world.volumes
        if volume.name != current and not volume.deleting and names.number_of(volume.name) > record.left_generation
    )
