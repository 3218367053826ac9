"""A lost node: the agent comes back elsewhere from its snapshot if its tenant wants that, and what was left is fenced.

Nothing is forced. The old pod is deleted and stays until its node obeys; from the moment of the decision it is no pod
of the agent any more, its volume is not the agent's volume, and its service does not lead there.
"""

from dataclasses import replace

from moorage.lifecycle import effects as do
from moorage.lifecycle.decision import (
    FRESH,
    Decision,
    Desired,
    World,
    current_volume,
    enter,
    next_generation,
    sooner,
    wants_run,
)
from moorage.model import names
from moorage.model.agent import Recovery
from moorage.model.observation import VolumeView
from moorage.model.record import AgentRecord, AgentState


def heard(record: AgentRecord, desired: Desired, world: World) -> AgentRecord:
    """The record with what is now known of its node, and of one it has left behind."""
    silent_since = (record.silent_since or record.now) if _is_lost(record, world) else None
    record = replace(record, silent_since=silent_since)
    if not record.left_generation:
        return record
    left = _left(record, world)
    if not left and not world.strays:
        return replace(record, left_generation=0, left_until=None)
    if desired.deleting:  # its tenant gives up everything but the snapshots
        return replace(record, left_until=min(record.left_until or record.now, record.now))
    back = not world.strays and not any(volume.node_lost for volume in left)
    if back and record.left_until is None:
        return replace(record, left_until=record.now + desired.warm_window)
    return record


def elsewhere(record: AgentRecord, desired: Desired) -> Decision | None:
    """Leave a lost node behind, once it was silent for long enough and there is something to come back from."""
    if not _recovers(record, desired) or _seconds_left(record, desired) > 0:
        return None
    moved = enter(
        record,
        AgentState.RESTORING,
        fenced_incarnation=record.incarnation,
        incarnation=record.incarnation + 1,
        left_generation=record.volume_generation,
        left_until=None,
        volume_generation=next_generation(record),
        volume_uid=None,
        silent_since=None,
        start_at=None,
        **FRESH,
    )
    return Decision(record=moved, again=True)


def until_due(decision: Decision, desired: Desired) -> Decision:
    """Look again when the node's time, or that of a volume left behind, is over."""
    record = decision.record
    if _recovers(record, desired):
        decision = sooner(decision, _seconds_left(record, desired))
    if record.left_until is not None and record.left_until > record.now:
        decision = sooner(decision, (record.left_until - record.now).total_seconds())
    return decision


def fence(record: AgentRecord, world: World) -> tuple[do.Effect, ...]:
    """What is asked of the things left behind: end their run, delete the pods, and in time the volumes."""
    asked: list[do.Effect] = []
    if record.pod_uid is not None and _is_left(record, world):
        # Without the node's word the run ends with its last proof.
        asked.append(do.CloseRun(record.pod_uid, dict(world.seen.ended).get(record.pod_uid)))
    asked += [do.DeletePod(pod.name, pod.uid) for pod in world.strays if not pod.deleting]
    due = record.left_until is not None and record.left_until <= record.now
    # Until the snapshot is restored, what was left may be all there is.
    if due and record.state is not AgentState.RESTORING:
        asked += [do.FreeVolume(volume.name, volume.uid) for volume in _left(record, world) if not volume.deleting]
    return tuple(asked)


def _recovers(record: AgentRecord, desired: Desired) -> bool:
    wanted = desired.recovery is Recovery.FROM_SNAPSHOT and desired.problem is None and wants_run(record, desired)
    somewhere = record.state in (AgentState.RUNNING, AgentState.DRAINING) and record.silent_since is not None
    return wanted and somewhere and record.snapshot is not None


def _seconds_left(record: AgentRecord, desired: Desired) -> float:
    assert record.silent_since is not None
    return (record.silent_since + desired.node_lost_after - record.now).total_seconds()


def _is_lost(record: AgentRecord, world: World) -> bool:
    """Whether its pod is on a lost node, or cannot start because its volume is."""
    volume = current_volume(record, world.volumes)
    stuck = volume is not None and volume.node_lost and any(pod.unschedulable for pod in world.pods)
    return stuck or any(pod.node_lost for pod in world.pods)


def _is_left(record: AgentRecord, world: World) -> bool:
    """Whether the metered pod is one that was left behind; while restoring there is no other."""
    return record.state is AgentState.RESTORING or any(pod.uid == record.pod_uid for pod in world.strays)


def _left(record: AgentRecord, world: World) -> list[VolumeView]:
    return [volume for volume in world.volumes if names.number_of(volume.name) <= record.left_generation]
