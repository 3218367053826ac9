"""The agent's life: `transition(record, desired, seen)` says the next record and what to ask of the world.

Pure and total. One call moves at most one state; the caller saves the record, then acts, then looks again.
Every effect is asked for again until the observation shows that it has happened.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from moorage.lifecycle import backoff, frozen, purge, recovery, snapshot, storage, wishes
from moorage.lifecycle import effects as do
from moorage.lifecycle.decision import (
    FRESH,
    LOOK_AGAIN_SECONDS,
    Decision,
    Desired,
    World,
    comes_back,
    current_pod,
    current_volume,
    drop,
    enter,
    free,
    next_generation,
    present,
    volume_lost,
    wants_run,
)
from moorage.lifecycle.edges import DECIDED
from moorage.model.agent import DesiredState
from moorage.model.observation import JobOutcome, Observation, PodPhase, PodView, Unknown
from moorage.model.record import AgentRecord, AgentState

# The operator was away, or many wallets reached zero at once.
BACKLOG_MAX = timedelta(seconds=60)


def transition(record: AgentRecord, desired: Desired, seen: Observation) -> Decision:
    """Decide one step. An observation that is not complete decides nothing."""
    if isinstance(seen.pods, Unknown) or isinstance(seen.volumes, Unknown) or isinstance(seen.jobs, Unknown):
        return Decision(record=record, wait_seconds=LOOK_AGAIN_SECONDS)
    pods = present(record, seen.pods)
    strays = tuple(pod for pod in seen.pods if pod not in pods)
    world = World(pods=pods, strays=strays, volumes=seen.volumes, jobs=seen.jobs, seen=seen)
    record = recovery.heard(purge.counted(_with_wishes(record, desired), desired.grace), desired, world)
    decision = recovery.elsewhere(record, desired) or _STATES[record.state](record, desired, world)
    if record.state is AgentState.RUNNING:
        decision = wishes.beside(decision, desired, world)
    after = storage.with_room(decision.record)
    if after.state is not record.state and (record.state, after.state) not in DECIDED:
        raise AssertionError(f"no agent goes from {record.state} to {after.state}")
    around = (*storage.meters(after, world), *recovery.fence(after, world), *_pruned(after, desired))
    decision = replace(decision, record=after, effects=(*around, *decision.effects))
    return wishes.until_due(recovery.until_due(decision, desired))


def _pruned(record: AgentRecord, desired: Desired) -> tuple[do.Effect, ...]:
    surplus = len(record.kept) > desired.keep and record.state is not AgentState.DELETED
    return (do.KeepNewest(desired.keep),) if surplus else ()


def _with_wishes(record: AgentRecord, desired: Desired) -> AgentRecord:
    """Bring both vetoes up to date, each from its own source, neither clears the other; and hear what was asked for."""
    paused = record.user_paused if desired.state is None else desired.state is DesiredState.SUSPENDED
    # Derived again at each look, so that a grant which committed beside this reconcile cannot be lost.
    return wishes.heard(replace(record, user_paused=paused, veto=record.wallet.veto), desired)


def _nothing_to_keep(record: AgentRecord) -> bool:
    return not record.has_storage or record.volume_uid is None


def _running(record: AgentRecord, desired: Desired, world: World) -> Decision:
    if not comes_back(record, desired):
        return Decision(record=enter(record, AgentState.DRAINING), again=True)
    record = _with_volume(record, desired, world)
    closing = _close_vanished(record, world)
    if closing is not None:
        return closing
    pod = current_pod(record, world.pods)
    leftovers = tuple(other for other in world.pods if other is not pod)
    if leftovers:  # never two at once: the others go first
        return Decision(record=record, effects=_delete(leftovers), wait_seconds=LOOK_AGAIN_SECONDS)
    if pod is None:
        return _starting(record, desired, world)
    if pod.deleting:
        return Decision(record=record, effects=_open(record, pod))
    if pod.phase in (PodPhase.FAILED, PodPhase.SUCCEEDED):
        # Its number is given up before it is deleted, so that one end is counted once.
        closed = (*_open(record, pod), do.CloseRun(pod.uid, pod.ended_at), do.DeletePod(pod.name, pod.uid))
        return Decision(record=backoff.ended(record, pod), effects=closed)
    if _outdated(pod, desired):
        return Decision(record=record, effects=(*_open(record, pod), do.DeletePod(pod.name, pod.uid)))
    keep: tuple[do.Effect, ...] = () if desired.problem else (do.ApplyChildren(with_pod=True),)
    opened = _open(record, pod)
    # When the credit ends is known once the first run is open, and nobody rings for it. Later ones only move it.
    look = LOOK_AGAIN_SECONDS if opened and record.wallet.zero_at is None else None
    return Decision(record=record, effects=(*opened, *keep), wait_seconds=look)


def _starting(record: AgentRecord, desired: Desired, world: World) -> Decision:
    """No pod is there: make one, unless something speaks against it."""
    if _overdue(record):
        return Decision(record=record, wait_seconds=LOOK_AGAIN_SECONDS)
    if (pause := backoff.left_seconds(record)) is not None:
        return Decision(record=record, wait_seconds=pause)
    if any(job.outcome is JobOutcome.ACTIVE for job in world.jobs) and not frozen.reads_copy(record.attempt):
        # Its last word is given, but until its process has ended it may still have the volume open.
        return Decision(record=record, effects=drop(world.jobs), wait_seconds=LOOK_AGAIN_SECONDS)
    blocked = desired.problem is not None or volume_lost(record, world.volumes)
    return Decision(record=record, effects=() if blocked else (do.ApplyChildren(with_pod=True),))


def _overdue(record: AgentRecord) -> bool:
    """Whether its wallet should have been stopped a while ago: until that is charged, nothing new starts."""
    return record.wallet.zero_at is not None and record.now - record.wallet.zero_at > BACKLOG_MAX


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


def _draining(record: AgentRecord, desired: Desired, world: World) -> Decision:
    if comes_back(record, desired) and not record.stop_recorded:
        return Decision(record=enter(record, AgentState.RUNNING), again=True)
    if world.pods:
        # The decision is durable before the first delete: from here on a top-up lets the agent stop and come back.
        opened = tuple(effect for pod in world.pods for effect in _open(record, pod))
        return Decision(record=replace(record, stop_recorded=True), effects=(*opened, *_delete(world.pods)))
    if record.pod_uid is not None:
        return Decision(record=record, effects=(_close(record, world),), again=True)
    record = _with_volume(record, desired, world)
    if _nothing_to_keep(record):
        return Decision(record=enter(record, AgentState.SUSPENDED, archive_at=record.now), again=True)
    if volume_lost(record, world.volumes):
        # Nothing is left to write; the last verified snapshot is all there is, and it stays.
        return Decision(record=record, wait_seconds=60.0)
    return snapshot.after_stop(record)


def _suspended(record: AgentRecord, desired: Desired, world: World) -> Decision:
    # A pod here can only be one that somebody else made appear or that a stale cache shows: it goes.
    if world.pods:
        return Decision(record=enter(record, AgentState.DRAINING), again=True)
    if wants_run(record, desired):
        if desired.problem is not None:
            return Decision(record=record, effects=drop(world.jobs))
        if record.restore is not None:
            return _make_room(record)
        up = enter(record, AgentState.RUNNING, incarnation=record.incarnation + 1, archive_at=None)
        return Decision(record=up, effects=drop(world.jobs), again=True)
    if _nothing_to_keep(record):
        return _deleted(record) if desired.deleting else Decision(record=record, effects=drop(world.jobs))
    if volume_lost(record, world.volumes):
        return Decision(
            record=enter(record, AgentState.ARCHIVED, volume_uid=None, volume_generation=next_generation(record))
        )
    due = desired.deleting or (record.archive_at is not None and record.archive_at <= record.now)
    if due:
        return Decision(record=record, effects=(do.Archive(),), again=True)
    if purge.due(record):
        return purge.entomb(record)
    assert record.archive_at is not None
    left = (record.archive_at - record.now).total_seconds()
    return Decision(record=record, effects=drop(world.jobs), wait_seconds=max(0.1, left))


def _make_room(record: AgentRecord) -> Decision:
    """Other data is to take the place of what the volume holds, which is in a verified snapshot by now."""
    if not _nothing_to_keep(record):
        return Decision(record=record, effects=(do.Archive(),), again=True)
    given_up = enter(record, AgentState.ARCHIVED, volume_uid=None, volume_generation=next_generation(record))
    return Decision(record=given_up, again=True)


def _archived(record: AgentRecord, desired: Desired, world: World) -> Decision:
    leftovers = free(record, world)
    if wants_run(record, desired) and desired.problem is None:
        return Decision(record=enter(record, AgentState.RESTORING, **FRESH), effects=leftovers, again=True)
    if desired.deleting and not world.volumes:
        return _deleted(record)
    if purge.due(record) and not desired.deleting:
        return purge.entomb(record)
    return Decision(record=record, effects=(*leftovers, *drop(world.jobs)))


def _deleted(record: AgentRecord) -> Decision:
    return Decision(record=enter(record, AgentState.DELETED), again=True)


def _gone(record: AgentRecord, desired: Desired, world: World) -> Decision:
    if not desired.deleting:
        return Decision(record=record)
    return Decision(record=record, effects=(*drop(world.jobs), do.Finish()))


_STATES: dict[AgentState, Callable[[AgentRecord, Desired, World], Decision]] = {
    AgentState.RUNNING: _running,
    AgentState.DRAINING: _draining,
    AgentState.SNAPSHOTTING: snapshot.snapshotting,
    AgentState.VERIFYING: snapshot.verifying,
    AgentState.SUSPENDED: _suspended,
    AgentState.ARCHIVED: _archived,
    AgentState.RESTORING: snapshot.restoring,
    AgentState.PURGE_PENDING: purge.pending,
    AgentState.PURGED: purge.purged,
    AgentState.DELETED: _gone,
}
