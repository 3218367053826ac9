"""The states in which a mover works: writing a snapshot, reading it back, restoring it, and trying again."""

from dataclasses import replace
from datetime import timedelta

from moorage.lifecycle import effects as do
from moorage.lifecycle import frozen, storage
from moorage.lifecycle.decision import (
    FRESH,
    LOOK_AGAIN_SECONDS,
    Decision,
    Desired,
    World,
    comes_back,
    current_volume,
    drop,
    enter,
    free,
    is_capture,
    next_generation,
    wants_run,
)
from moorage.model import names
from moorage.model.observation import JobOutcome, VolumeView
from moorage.model.record import AgentRecord, AgentState, Attempt, AttemptKind, AttemptState, SnapshotPurpose

# A mover that has not come further in this time since its turn is given up; its Job carries the same limit. It grows
# with the data, so that a store of 1 MB/s delays a large snapshot and does not fail it for ever.
LIMIT_SECONDS_MIN = 3_600
LIMIT_SECONDS_PER_MIB = 1
LIMIT_SECONDS_MAX = 86_400
# Whose turn has come is told. This is the net.
QUEUE_LOOK_SECONDS = 15.0
# The mover has read the volume and needs it no more.
CAPTURED = (AttemptState.UPLOADED, AttemptState.COMMITTED, AttemptState.VERIFIED)
OVER = (AttemptState.VERIFIED, AttemptState.FAILED)
RETRY_SECONDS_FIRST = 10
RETRY_SECONDS_MAX = 900


def snapshotting(record: AgentRecord, desired: Desired, world: World) -> Decision:
    """The pod is gone; a mover writes the snapshot."""
    attempt = record.attempt
    if world.pods:  # nothing may write while the mover reads: what it has read is of no use
        if attempt is not None and attempt.state not in OVER:
            return Decision(record=record, effects=(do.FailAttempt(attempt.id, "CalledOff"),), again=True)
        return Decision(record=enter(record, AgentState.DRAINING, **FRESH), again=True)
    if comes_back(record, desired):
        read = attempt is not None and (attempt.state in CAPTURED or frozen.reads_copy(attempt))
        if read or (attempt is not None and attempt.state in OVER and is_capture(attempt)):
            return _leave(record, world)
        if attempt is None or not is_capture(attempt) or attempt.state is AttemptState.CREATED:
            return _call_off(record, world, AgentState.RUNNING)
        # The mover of a wished snapshot is at work: the agent comes back as soon as it is done.
    if attempt is None or attempt.kind is not AttemptKind.SNAPSHOT or attempt.state is AttemptState.FAILED:
        purpose = SnapshotPurpose.DELETION if desired.deleting else SnapshotPurpose.SUSPENSION
        return _try_again(record, world, AttemptKind.SNAPSHOT, purpose)
    match attempt.state:
        case AttemptState.CREATED:
            return queued(record, attempt)
        case AttemptState.STARTED:
            return frozen.step(record, desired, world) or moving(record, world)
        case AttemptState.UPLOADED:
            return Decision(record=record, effects=(do.CommitAttempt(attempt.id),), again=True)
        case _:
            return Decision(record=enter(record, AgentState.VERIFYING), again=True)


def verifying(record: AgentRecord, desired: Desired, world: World) -> Decision:
    """The object is complete; the platform reads it back."""
    attempt = record.attempt
    if comes_back(record, desired):
        return _leave(record, world)
    if attempt is None or attempt.state is AttemptState.FAILED:
        return Decision(record=enter(record, AgentState.SNAPSHOTTING), again=True)
    if attempt.state is not AttemptState.VERIFIED:
        return Decision(record=record, effects=(do.VerifyAttempt(attempt.id),), wait_seconds=LOOK_AGAIN_SECONDS)
    warm = timedelta(0) if desired.deleting else desired.warm_window
    settled = enter(record, AgentState.SUSPENDED, archive_at=record.now + warm, **FRESH)
    return Decision(record=settled, effects=drop(world.jobs), again=True)


def restoring(record: AgentRecord, desired: Desired, world: World) -> Decision:
    """A mover fills a new volume from the snapshot."""
    attempt = record.attempt
    if desired.deleting:
        return _call_off(record, world, AgentState.ARCHIVED)
    outdated = attempt is not None and record.restore is not None and attempt.snapshot_id != record.restore.id
    if attempt is not None and outdated and attempt.state not in OVER:  # somebody has chosen another snapshot meanwhile
        return Decision(record=record, effects=(do.FailAttempt(attempt.id, "CalledOff"),), again=True)
    if attempt is None or attempt.kind is not AttemptKind.RESTORE or attempt.state is AttemptState.FAILED or outdated:
        return _try_again(record, world, AttemptKind.RESTORE)
    match attempt.state:
        case AttemptState.CREATED:
            return queued(record, attempt)
        case AttemptState.STARTED:
            return moving(record, world)
        case AttemptState.UPLOADED | AttemptState.COMMITTED:
            return Decision(record=record, effects=(do.VerifyAttempt(attempt.id),), again=True)
        case _:
            return _restored(record, desired, world)


def _restored(record: AgentRecord, desired: Desired, world: World) -> Decision:
    volume = current_volume(record, world.volumes)
    if volume is None:
        return Decision(record=record, wait_seconds=LOOK_AGAIN_SECONDS)
    back = replace(record, volume_uid=volume.uid, incarnation=record.incarnation + 1, restore=None)
    if wants_run(record, desired):
        up = enter(back, AgentState.RUNNING, archive_at=None, **FRESH)
    elif record.restore is not None:  # what the volume holds now is not what its last snapshot holds
        up = enter(back, AgentState.DRAINING, archive_at=None, **FRESH)
    else:
        up = enter(back, AgentState.SUSPENDED, archive_at=record.now + desired.warm_window, **FRESH)
    return Decision(record=up, effects=drop(world.jobs), again=True)


def retry_seconds(failures: int) -> int:
    """Back-off after so many failed attempts in a row."""
    return int(min(RETRY_SECONDS_MAX, RETRY_SECONDS_FIRST * 2 ** min(failures - 1, 10)))


def limit_seconds(record: AgentRecord, volume: VolumeView | None) -> int:
    """How long a mover may take from its turn on, by what the volume can hold and what the snapshot has."""
    volume_mib = 0 if volume is None or volume.mib is None else volume.mib
    source = record.restore or record.snapshot
    snapshot_mib = 0 if source is None else source.bytes // storage.BYTES_PER_MIB
    wanted = LIMIT_SECONDS_MIN + max(volume_mib, snapshot_mib) * LIMIT_SECONDS_PER_MIB
    return min(LIMIT_SECONDS_MAX, wanted)


def queued(record: AgentRecord, attempt: Attempt) -> Decision:
    """An attempt waits for its turn, and starts when it has come."""
    if attempt.granted_at is None:
        return Decision(record=record, wait_seconds=QUEUE_LOOK_SECONDS)
    return Decision(record=record, effects=(do.StartAttempt(attempt.id),), again=True)


def moving(record: AgentRecord, world: World) -> Decision:
    """A mover is at work, until it reports or its time is over."""
    attempt = record.attempt
    assert attempt is not None
    assert attempt.granted_at is not None  # the database has a constraint that says the same
    job = next((job for job in world.jobs if job.attempt_id == attempt.id), None)
    limit = limit_seconds(record, current_volume(record, world.volumes))
    late = record.now - attempt.granted_at > timedelta(seconds=limit)
    if late or (job is not None and job.outcome is not JobOutcome.ACTIVE):
        # The record was read after the Job was seen: a mover that had reported would have moved the attempt on.
        return Decision(record=record, effects=(do.FailAttempt(attempt.id, "MoverFailed"),), again=True)
    target: tuple[do.Effect, ...] = (do.ApplyVolume(),) if attempt.kind is AttemptKind.RESTORE else ()
    if job is not None:
        return Decision(record=record, effects=target, wait_seconds=60.0)
    own = names.agent_volume(record.name, record.volume_generation)
    name = names.frozen_copy(attempt.id) if frozen.reads_copy(attempt) else own
    run = do.RunMover(attempt.id, attempt.kind, name, limit)
    return Decision(record=record, effects=(*target, run), wait_seconds=60.0)


def after_stop(record: AgentRecord) -> Decision:
    """The pod is gone: an attempt that waits for this is taken up, one that read the volume before is of no use now."""
    attempt = record.attempt
    if attempt is None or attempt.state in OVER:
        return Decision(record=enter(record, AgentState.SNAPSHOTTING, **FRESH), again=True)
    if attempt.state in CAPTURED or attempt.copy is not None:  # what was frozen is older than the volume
        return Decision(record=record, effects=(do.FailAttempt(attempt.id, "CalledOff"),), again=True)
    return Decision(record=enter(record, AgentState.SNAPSHOTTING), again=True)


def _leave(record: AgentRecord, world: World) -> Decision:
    """The volume was read, or frozen, and is free again: the agent runs on, the rest of the attempt is beside it."""
    if world.jobs and not frozen.reads_copy(record.attempt):
        return Decision(record=record, effects=drop(world.jobs), wait_seconds=LOOK_AGAIN_SECONDS)
    return Decision(record=enter(record, AgentState.RUNNING, incarnation=record.incarnation + 1), again=True)


def _try_again(
    record: AgentRecord, world: World, kind: AttemptKind, purpose: SnapshotPurpose = SnapshotPurpose.SUSPENSION
) -> Decision:
    """Begin an attempt; after a failed one first wait, with the old mover gone and a new volume to restore into."""
    attempt = record.attempt
    failed = attempt is not None and attempt.kind is kind and attempt.state is AttemptState.FAILED
    if failed and record.retry_at is None:
        failures = record.failures + 1
        retry_at = record.now + timedelta(seconds=retry_seconds(failures))
        generation = next_generation(record) if kind is AttemptKind.RESTORE else record.volume_generation
        waiting = replace(record, failures=failures, retry_at=retry_at, volume_generation=generation)
        return Decision(record=waiting, effects=drop(world.jobs), again=True)
    if record.retry_at is not None and record.retry_at > record.now:
        left = (record.retry_at - record.now).total_seconds()
        return Decision(record=record, effects=drop(world.jobs), wait_seconds=max(0.1, left))
    if world.jobs:
        return Decision(record=record, effects=drop(world.jobs), wait_seconds=LOOK_AGAIN_SECONDS)
    begun = replace(record, retry_at=None)
    if kind is AttemptKind.RESTORE:  # where its volume will be is not known before a mover needs it
        return Decision(record=begun, effects=(*free(record, world), do.BeginAttempt(kind, None)), again=True)
    return Decision(record=begun, effects=(begin(record, world, purpose),), again=True)


def begin(record: AgentRecord, world: World, purpose: SnapshotPurpose) -> do.BeginAttempt:
    """The intent of a snapshot, with the node of its volume if that is known."""
    volume = current_volume(record, world.volumes)
    return do.BeginAttempt(AttemptKind.SNAPSHOT, volume.node if volume else None, purpose)


def _call_off(record: AgentRecord, world: World, state: AgentState) -> Decision:
    """Leave a snapshot or restore half way: its mover must be gone before anything else touches the volume."""
    attempt = record.attempt
    if attempt is not None and attempt.state not in OVER:
        return Decision(record=record, effects=(do.FailAttempt(attempt.id, "CalledOff"),), again=True)
    if world.jobs:
        return Decision(record=record, effects=drop(world.jobs), wait_seconds=LOOK_AGAIN_SECONDS)
    changes: dict[str, object] = dict(FRESH)
    if state is AgentState.RUNNING:
        changes["incarnation"] = record.incarnation + 1
    else:
        changes["volume_generation"] = next_generation(record)
    return Decision(record=enter(record, state, **changes), again=True)
