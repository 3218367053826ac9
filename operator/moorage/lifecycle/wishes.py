"""Snapshots of an agent that is to run on: asked for by somebody, or by its schedule.

Only data that nobody writes makes a consistent copy. So the attempt first gets its turn while the agent runs; then the
pod is stopped, the mover reads the volume, and the agent is started again. Completing the object and reading it back
happen beside the agent, which has its volume back by then; where the volume can be frozen, so does the mover's work.
"""

from dataclasses import replace
from datetime import timedelta

from moorage.lifecycle import effects as do
from moorage.lifecycle import frozen, schedule, snapshot
from moorage.lifecycle.decision import (
    LOOK_AGAIN_SECONDS,
    Decision,
    Desired,
    World,
    current_pod,
    current_volume,
    drop,
    enter,
    is_capture,
    sooner,
)
from moorage.model import quantity
from moorage.model.agent import AgentSpec
from moorage.model.reasons import Reason
from moorage.model.record import (
    AgentRecord,
    AgentState,
    Attempt,
    AttemptState,
    SnapshotPurpose,
)

# States in which what the agent has written is, or will presently be, in a verified snapshot anyway.
AT_REST = frozenset(
    {
        AgentState.SUSPENDED,
        AgentState.ARCHIVED,
        AgentState.RESTORING,
        AgentState.PURGE_PENDING,
        AgentState.PURGED,
        AgentState.DELETED,
    }
)
# Each snapshot stops the agent for a moment, so one that fails is not tried for ever; the next wish is a new chance.
FAILURES_MAX = 3
REST_BETWEEN = timedelta(seconds=60)


def heard(record: AgentRecord, desired: Desired) -> AgentRecord:
    """The record with the wishes that came since the last look, and without one that is fulfilled or pointless."""
    if desired.request is not None and desired.request != record.request_seen:
        record = replace(record, request_seen=desired.request, wish=SnapshotPurpose.DEMAND)
    if desired.schedule != record.schedule:
        due = schedule.next_time(desired.schedule, record.now)
        record = replace(record, schedule=desired.schedule, next_snapshot_at=due)
    elif record.next_snapshot_at is not None and record.next_snapshot_at <= record.now:
        due = schedule.next_time(record.schedule, record.now)
        record = replace(record, next_snapshot_at=due, wish=record.wish or SnapshotPurpose.SCHEDULE)
    if record.wish is not None and (record.state in AT_REST or record.volume_uid is None):
        record = replace(record, wish=None)
    return record


def objection(record: AgentRecord, spec: AgentSpec) -> Reason | None:
    """What of a spec cannot be done, as far as its snapshots go; None when all of it can."""
    if spec.snapshots is not None and spec.snapshots.schedule is not None:
        problem = schedule.problem(spec.snapshots.schedule)
        if problem is not None:
            return problem
    # Of a new agent; one that goes back to older data of its own gets a claim that holds it.
    filled = record.restore if record.snapshot is None else None
    room = quantity.number(spec.storage.size) if spec.storage is not None else None
    if filled is not None and (room is None or filled.disk_bytes > room):
        return Reason.VOLUME_TOO_SMALL
    return None


def beside(decision: Decision, desired: Desired, world: World) -> Decision:
    """What a running agent's decision becomes with the next step of a snapshot; no mover reads its volume beside it."""
    record = decision.record
    if record.state is not AgentState.RUNNING:
        return decision
    step = _next(record, desired, world)
    if step.record.state is not AgentState.RUNNING:
        return step
    together = replace(step, effects=(*decision.effects, *step.effects), again=decision.again or step.again)
    return together if decision.wait_seconds is None else sooner(together, decision.wait_seconds)


def until_due(decision: Decision) -> Decision:
    """The decision with a look at the second at which the schedule wants a snapshot."""
    record = decision.record
    if record.next_snapshot_at is None or record.state in AT_REST:
        return decision
    return sooner(decision, (record.next_snapshot_at - record.now).total_seconds())


def _next(record: AgentRecord, desired: Desired, world: World) -> Decision:
    attempt = record.attempt
    if attempt is None:
        return _begun(record, desired, world)
    match attempt.state:
        case AttemptState.CREATED:
            return snapshot.queued(record, attempt)
        case AttemptState.STARTED if frozen.reads_copy(attempt):
            return snapshot.moving(record, world)
        case AttemptState.STARTED if is_capture(attempt) and record.wish is not None and desired.problem is None:
            # From here on the pod goes, whatever else is decided: the mover's turn has come.
            return Decision(record=replace(enter(record, AgentState.DRAINING), stop_recorded=True), again=True)
        case AttemptState.STARTED:
            return Decision(record=record, effects=(do.FailAttempt(attempt.id, "CalledOff"),), again=True)
        case AttemptState.UPLOADED:
            return Decision(record=record, effects=(do.CommitAttempt(attempt.id),), again=True)
        case AttemptState.COMMITTED:
            return Decision(record=record, effects=(do.VerifyAttempt(attempt.id),), wait_seconds=LOOK_AGAIN_SECONDS)
        case AttemptState.VERIFIED:
            wish = None if is_capture(attempt) else record.wish
            over = replace(record, wish=wish, attempt=None, failures=0, retry_at=None)
            return Decision(record=over, effects=drop(world.jobs), again=True)
        case AttemptState.FAILED:
            return replace(_failed(record, attempt), effects=drop(world.jobs))


def _begun(record: AgentRecord, desired: Desired, world: World) -> Decision:
    pod, volume = current_pod(record, world.pods), current_volume(record, world.volumes)
    if record.wish is None or desired.problem is not None:  # an agent that could not start again is not stopped
        return Decision(record=record)
    if pod is None or not pod.node_ready or volume is None or not volume.bound or volume.deleting:
        return Decision(record=record)
    if world.jobs:  # of the attempt before
        return Decision(record=record, effects=drop(world.jobs), wait_seconds=LOOK_AGAIN_SECONDS)
    earliest = record.retry_at or record.now
    if record.snapshot is not None:
        earliest = max(earliest, record.snapshot.taken_at + REST_BETWEEN)
    if earliest > record.now:
        return Decision(record=record, wait_seconds=(earliest - record.now).total_seconds())
    begin = snapshot.begin(record, world, record.wish)
    return Decision(record=replace(record, retry_at=None), effects=(begin,), again=True)


def _failed(record: AgentRecord, attempt: Attempt) -> Decision:
    if not is_capture(attempt) or record.wish is None:  # one of a suspension that was called off
        return Decision(record=replace(record, attempt=None, failures=0, retry_at=None), again=True)
    failures = record.failures + 1
    if failures >= FAILURES_MAX:
        return Decision(record=replace(record, wish=None, attempt=None, failures=failures, retry_at=None), again=True)
    retry_at = record.now + timedelta(seconds=snapshot.retry_seconds(failures))
    return Decision(record=replace(record, attempt=None, failures=failures, retry_at=retry_at), again=True)
