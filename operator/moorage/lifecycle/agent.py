"""The agent's life: `transition(record, desired, seen)` says the next record and what to ask of the world.

Pure and total. One call moves at most one state; the caller saves the record, then acts, then looks again.
Every effect is asked for again until the observation shows that it has happened.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from moorage.lifecycle import effects as do
from moorage.model import names
from moorage.model.agent import DesiredState
from moorage.model.conditions import Reason
from moorage.model.observation import JobOutcome, JobView, Observation, PodPhase, PodView, Unknown, VolumeView
from moorage.model.record import AgentRecord, AgentState, AttemptKind, AttemptState
from moorage.model.wallet import Standing

# An attempt that has not come further in this time is given up; the mover's Job carries the same limit.
ATTEMPT_LIMIT = timedelta(hours=1)
RETRY_SECONDS_FIRST = 10
RETRY_SECONDS_MAX = 900
LOOK_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What tenant and platform ask for at this moment."""

    state: DesiredState | None  # None: as the record says
    deleting: bool
    problem: Reason | None  # the spec cannot be used: nothing new starts, what runs goes on
    pod_hash: str | None  # None while there is a problem
    storage: bool
    warm_window: timedelta


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
    volumes: tuple[VolumeView, ...]
    jobs: tuple[JobView, ...]
    seen: Observation


def transition(record: AgentRecord, desired: Desired, seen: Observation) -> Decision:
    """Decide one step. An observation that is not complete decides nothing."""
    if isinstance(seen.pods, Unknown) or isinstance(seen.volumes, Unknown) or isinstance(seen.jobs, Unknown):
        return Decision(record=record, wait_seconds=LOOK_AGAIN_SECONDS)
    world = World(pods=seen.pods, volumes=seen.volumes, jobs=seen.jobs, seen=seen)
    record = _with_wishes(record, desired)
    return _STATES[record.state](record, desired, world)


def wants_run(record: AgentRecord, desired: Desired) -> bool:
    """Whether nobody objects to this agent running: not the tenant, not the wallet, not a deletion."""
    return not (record.user_paused or record.money_veto or desired.deleting)


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


def retry_seconds(failures: int) -> int:
    """Back-off after so many failed attempts in a row."""
    return int(min(RETRY_SECONDS_MAX, RETRY_SECONDS_FIRST * 2 ** min(failures - 1, 10)))


def _with_wishes(record: AgentRecord, desired: Desired) -> AgentRecord:
    """Bring both vetoes up to date: each from its own source, neither clears the other."""
    paused = record.user_paused if desired.state is None else desired.state is DesiredState.SUSPENDED
    # Derived again at each look, so that a grant which committed beside this reconcile cannot be lost.
    veto = record.wallet.standing is Standing.EXHAUSTED
    return replace(record, user_paused=paused, money_veto=veto)


def _enter(record: AgentRecord, state: AgentState, **changes: object) -> AgentRecord:
    return replace(record, state=state, state_since=record.now, stop_recorded=False, **changes)  # type: ignore[arg-type]  # checked by the dataclass


def _nothing_to_keep(record: AgentRecord) -> bool:
    return not record.has_storage or record.volume_uid is None


# Running ------------------------------------------------------------------------------------------------------------


def _running(record: AgentRecord, desired: Desired, world: World) -> Decision:
    if not wants_run(record, desired):
        return Decision(record=_enter(record, AgentState.DRAINING), again=True)
    record = _with_volume(record, desired, world)
    closing = _close_vanished(record, world)
    if closing is not None:
        return closing
    pod = current_pod(record, world.pods)
    leftovers = tuple(other for other in world.pods if other is not pod)
    if leftovers:  # never two at once: the others go first
        return Decision(record=record, effects=_delete(leftovers), wait_seconds=LOOK_AGAIN_SECONDS)
    if pod is None:
        blocked = desired.problem is not None or volume_lost(record, world.volumes)
        return Decision(record=record, effects=() if blocked else (do.ApplyChildren(with_pod=True),))
    if pod.deleting:
        return Decision(record=record, effects=_open(record, pod))
    if pod.phase in (PodPhase.FAILED, PodPhase.SUCCEEDED) or _outdated(pod, desired):
        return Decision(record=record, effects=(*_open(record, pod), do.DeletePod(pod.name, pod.uid)))
    keep: tuple[do.Effect, ...] = () if desired.problem else (do.ApplyChildren(with_pod=True),)
    return Decision(record=record, effects=(*_open(record, pod), *keep))


def _with_volume(record: AgentRecord, desired: Desired, world: World) -> AgentRecord:
    volume = current_volume(record, world.volumes)
    if record.volume_uid is None and volume is not None and not volume.deleting:
        return replace(record, has_storage=True, volume_uid=volume.uid)
    if desired.storage and not record.has_storage:
        return replace(record, has_storage=True)
    return record


def _close_vanished(record: AgentRecord, world: World) -> Decision | None:
    """A metered pod that is gone ends its run, and its name is never used again."""
    if record.pod_uid is None or any(pod.uid == record.pod_uid for pod in world.pods):
        return None
    closed = replace(record, incarnation=record.incarnation + 1)
    return Decision(record=closed, effects=(_close(record, world),), again=True)


def _close(record: AgentRecord, world: World) -> do.CloseRun:
    assert record.pod_uid is not None
    ended = dict(world.seen.ended).get(record.pod_uid)
    return do.CloseRun(record.pod_uid, ended)


def _open(record: AgentRecord, pod: PodView) -> tuple[do.Effect, ...]:
    if pod.started_at is None or pod.container_id is None or pod.node is None or record.pod_uid == pod.uid:
        return ()
    return (do.OpenRun(pod),)


def _outdated(pod: PodView, desired: Desired) -> bool:
    return desired.pod_hash is not None and pod.spec_hash != desired.pod_hash


def _delete(pods: tuple[PodView, ...]) -> tuple[do.Effect, ...]:
    return tuple(do.DeletePod(pod.name, pod.uid) for pod in pods if not pod.deleting)


# On the way down ----------------------------------------------------------------------------------------------------


def _draining(record: AgentRecord, desired: Desired, world: World) -> Decision:
    if wants_run(record, desired) and not record.stop_recorded:
        return Decision(record=_enter(record, AgentState.RUNNING), again=True)
    if world.pods:
        # The decision is durable before the first delete: from here on a top-up lets the agent stop and come back.
        opened = tuple(effect for pod in world.pods for effect in _open(record, pod))
        return Decision(record=replace(record, stop_recorded=True), effects=(*opened, *_delete(world.pods)))
    if record.pod_uid is not None:
        return Decision(record=record, effects=(_close(record, world),), again=True)
    record = _with_volume(record, desired, world)
    if _nothing_to_keep(record):
        return Decision(record=_enter(record, AgentState.SUSPENDED, archive_at=record.now), again=True)
    if volume_lost(record, world.volumes):
        # Nothing is left to write; the last verified snapshot is all there is, and it stays.
        return Decision(record=record, wait_seconds=60.0)
    return Decision(record=_enter(record, AgentState.SNAPSHOTTING, **_FRESH), again=True)


_FRESH: dict[str, object] = {"attempt": None, "failures": 0, "retry_at": None}


def _snapshotting(record: AgentRecord, desired: Desired, world: World) -> Decision:
    attempt = record.attempt
    if world.pods:  # nothing may write while the mover reads
        return Decision(record=_enter(record, AgentState.DRAINING), again=True)
    if wants_run(record, desired):
        return _call_off(record, world, AgentState.RUNNING)
    if attempt is None or attempt.kind is not AttemptKind.SNAPSHOT or attempt.state is AttemptState.FAILED:
        return _try_again(record, world, AttemptKind.SNAPSHOT)
    match attempt.state:
        case AttemptState.CREATED:
            return Decision(record=record, effects=(do.StartAttempt(attempt.id),), again=True)
        case AttemptState.STARTED:
            return _moving(record, world, AttemptKind.SNAPSHOT)
        case AttemptState.UPLOADED:
            return Decision(record=record, effects=(do.CommitAttempt(attempt.id),), again=True)
        case _:
            return Decision(record=_enter(record, AgentState.VERIFYING), again=True)


def _verifying(record: AgentRecord, desired: Desired, world: World) -> Decision:
    attempt = record.attempt
    if attempt is None or attempt.state is AttemptState.FAILED:
        return Decision(record=_enter(record, AgentState.SNAPSHOTTING), again=True)
    if attempt.state is not AttemptState.VERIFIED:
        return Decision(record=record, effects=(do.VerifyAttempt(attempt.id),), wait_seconds=LOOK_AGAIN_SECONDS)
    warm = timedelta(0) if desired.deleting else desired.warm_window
    settled = _enter(record, AgentState.SUSPENDED, archive_at=record.now + warm, **_FRESH)
    return Decision(record=settled, effects=_drop(world.jobs), again=True)


def _suspended(record: AgentRecord, desired: Desired, world: World) -> Decision:
    # A pod here can only be one that somebody else made appear or that a stale cache shows: it goes.
    if world.pods:
        return Decision(record=_enter(record, AgentState.DRAINING), again=True)
    if wants_run(record, desired):
        if desired.problem is not None:
            return Decision(record=record, effects=_drop(world.jobs))
        up = _enter(record, AgentState.RUNNING, incarnation=record.incarnation + 1, archive_at=None)
        return Decision(record=up, effects=_drop(world.jobs), again=True)
    if _nothing_to_keep(record):
        return _deleted(record) if desired.deleting else Decision(record=record, effects=_drop(world.jobs))
    if volume_lost(record, world.volumes):
        return Decision(record=_enter(record, AgentState.ARCHIVED, volume_uid=None, volume_generation=_next(record)))
    due = desired.deleting or (record.archive_at is not None and record.archive_at <= record.now)
    if due:
        return Decision(record=record, effects=(do.Archive(),), again=True)
    assert record.archive_at is not None
    left = (record.archive_at - record.now).total_seconds()
    return Decision(record=record, effects=_drop(world.jobs), wait_seconds=max(0.1, left))


def _next(record: AgentRecord) -> int:
    return record.volume_generation + 1


def _archived(record: AgentRecord, desired: Desired, world: World) -> Decision:
    free = _free(record, world)
    if wants_run(record, desired) and desired.problem is None:
        return Decision(record=_enter(record, AgentState.RESTORING, **_FRESH), effects=free, again=True)
    if desired.deleting and not world.volumes:
        return _deleted(record)
    return Decision(record=record, effects=(*free, *_drop(world.jobs)))


def _deleted(record: AgentRecord) -> Decision:
    return Decision(record=_enter(record, AgentState.DELETED), again=True)


def _gone(record: AgentRecord, desired: Desired, world: World) -> Decision:
    if not desired.deleting:
        return Decision(record=record)
    return Decision(record=record, effects=(*_drop(world.jobs), do.Finish()))


# On the way back ----------------------------------------------------------------------------------------------------


def _restoring(record: AgentRecord, desired: Desired, world: World) -> Decision:
    attempt = record.attempt
    if desired.deleting:
        return _call_off(record, world, AgentState.ARCHIVED)
    if attempt is None or attempt.kind is not AttemptKind.RESTORE or attempt.state is AttemptState.FAILED:
        return _try_again(record, world, AttemptKind.RESTORE)
    match attempt.state:
        case AttemptState.CREATED:
            return Decision(record=record, effects=(do.StartAttempt(attempt.id),), again=True)
        case AttemptState.STARTED:
            return _moving(record, world, AttemptKind.RESTORE)
        case AttemptState.UPLOADED | AttemptState.COMMITTED:
            return Decision(record=record, effects=(do.VerifyAttempt(attempt.id),), again=True)
        case _:
            return _restored(record, desired, world)


def _restored(record: AgentRecord, desired: Desired, world: World) -> Decision:
    volume = current_volume(record, world.volumes)
    if volume is None:
        return Decision(record=record, wait_seconds=LOOK_AGAIN_SECONDS)
    back = replace(record, volume_uid=volume.uid, incarnation=record.incarnation + 1)
    if wants_run(record, desired):
        up = _enter(back, AgentState.RUNNING, archive_at=None, **_FRESH)
    else:
        up = _enter(back, AgentState.SUSPENDED, archive_at=record.now + desired.warm_window, **_FRESH)
    return Decision(record=up, effects=_drop(world.jobs), again=True)


# Attempts -----------------------------------------------------------------------------------------------------------


def _moving(record: AgentRecord, world: World, kind: AttemptKind) -> Decision:
    attempt = record.attempt
    assert attempt is not None
    job = next((job for job in world.jobs if job.attempt_id == attempt.id), None)
    late = record.now - attempt.created_at > ATTEMPT_LIMIT
    if late or (job is not None and job.outcome is not JobOutcome.ACTIVE):
        # The record was read after the Job was seen: a mover that had reported would have moved the attempt on.
        return Decision(record=record, effects=(do.FailAttempt(attempt.id, "MoverFailed"),), again=True)
    volume: tuple[do.Effect, ...] = (do.ApplyVolume(),) if kind is AttemptKind.RESTORE else ()
    if job is None:
        return Decision(record=record, effects=(*volume, do.RunMover(attempt.id, kind)), wait_seconds=60.0)
    return Decision(record=record, effects=volume, wait_seconds=60.0)


def _try_again(record: AgentRecord, world: World, kind: AttemptKind) -> Decision:
    """Begin an attempt; after a failed one first wait, with the old mover gone and a new volume to restore into."""
    attempt = record.attempt
    failed = attempt is not None and attempt.kind is kind and attempt.state is AttemptState.FAILED
    if failed and record.retry_at is None:
        failures = record.failures + 1
        retry_at = record.now + timedelta(seconds=retry_seconds(failures))
        generation = _next(record) if kind is AttemptKind.RESTORE else record.volume_generation
        waiting = replace(record, failures=failures, retry_at=retry_at, volume_generation=generation)
        return Decision(record=waiting, effects=_drop(world.jobs), again=True)
    if record.retry_at is not None and record.retry_at > record.now:
        left = (record.retry_at - record.now).total_seconds()
        return Decision(record=record, effects=_drop(world.jobs), wait_seconds=max(0.1, left))
    if world.jobs:
        return Decision(record=record, effects=_drop(world.jobs), wait_seconds=LOOK_AGAIN_SECONDS)
    free = _free(record, world) if kind is AttemptKind.RESTORE else ()
    return Decision(record=replace(record, retry_at=None), effects=(*free, do.BeginAttempt(kind)), again=True)


def _call_off(record: AgentRecord, world: World, state: AgentState) -> Decision:
    """Leave a snapshot or restore half way: its mover must be gone before anything else touches the volume."""
    attempt = record.attempt
    if attempt is not None and attempt.state not in (AttemptState.FAILED, AttemptState.VERIFIED):
        return Decision(record=record, effects=(do.FailAttempt(attempt.id, "CalledOff"),), again=True)
    if world.jobs:
        return Decision(record=record, effects=_drop(world.jobs), wait_seconds=LOOK_AGAIN_SECONDS)
    changes: dict[str, object] = dict(_FRESH)
    if state is AgentState.RUNNING:
        changes["incarnation"] = record.incarnation + 1
    else:
        changes["volume_generation"] = _next(record)
    return Decision(record=_enter(record, state, **changes), again=True)


def _drop(jobs: tuple[JobView, ...]) -> tuple[do.Effect, ...]:
    return tuple(do.DropMover(job.name, job.uid) for job in jobs if not job.deleting)


def _free(record: AgentRecord, world: World) -> tuple[do.Effect, ...]:
    """Claims of earlier generations: the record gave them up after a verified snapshot, or they are half restored."""
    current = names.agent_volume(record.name, record.volume_generation)
    return tuple(
        do.FreeVolume(volume.name, volume.uid)
        for volume in world.volumes
        if volume.name != current and not volume.deleting
    )


_STATES: dict[AgentState, Callable[[AgentRecord, Desired, World], Decision]] = {
    AgentState.RUNNING: _running,
    AgentState.DRAINING: _draining,
    AgentState.SNAPSHOTTING: _snapshotting,
    AgentState.VERIFYING: _verifying,
    AgentState.SUSPENDED: _suspended,
    AgentState.ARCHIVED: _archived,
    AgentState.RESTORING: _restoring,
    AgentState.DELETED: _gone,
}
