"""What of an agent's storage is metered: the volume that it counts on, and the verified snapshots that are kept.

What it gave up, or what was lost, is the platform's to remove; so is everything once the agent is purged or deleted.
"""

from collections.abc import Iterator
from dataclasses import replace

from moorage.lifecycle import effects as do
from moorage.lifecycle.decision import World
from moorage.model.observation import VolumeView
from moorage.model.rates import Meter, Stored
from moorage.model.record import AgentRecord, AgentState, SnapshotFacts

BYTES_PER_MIB = 1 << 20


def meters(record: AgentRecord, world: World) -> tuple[do.Effect, ...]:
    """What brings the ledger's meters to what is there."""
    there = tuple(_there(record, world))
    if there == record.stored:
        return ()
    kept = {one.object_id for one in there}
    gone = tuple(do.CloseStorage(one) for one in record.stored if one.object_id not in kept)
    return (*gone, *(do.OpenStorage(one) for one in there if one not in record.stored))


def held_mib(snapshot: SnapshotFacts | None) -> int:
    """What a volume held when it was captured, in whole MiB; nobody can say it of a volume at work."""
    return 0 if snapshot is None else -(-snapshot.disk_bytes // BYTES_PER_MIB)


def is_overfull(record: AgentRecord, volumes: tuple[VolumeView, ...]) -> bool:
    """Whether the volume holds more than its size: where the storage class does not enforce it, nothing else would."""
    volume = next((volume for volume in volumes if volume.uid == record.volume_uid), None)
    return volume is not None and volume.mib is not None and held_mib(record.snapshot) > volume.mib


def with_room(record: AgentRecord) -> AgentRecord:
    """The record of an agent that is about to be restored: its new volume must hold what is in the snapshot."""
    if record.state is not AgentState.RESTORING or record.attempt is not None:
        return record
    return replace(record, volume_floor_mib=held_mib(record.restore or record.snapshot))


def _there(record: AgentRecord, world: World) -> Iterator[Stored]:
    if record.state in (AgentState.PURGED, AgentState.DELETED):
        return
    volume = next((volume for volume in world.volumes if volume.uid == record.volume_uid), None)
    if volume is not None and volume.mib is not None:
        yield Stored(Meter.VOLUME, volume.uid, max(volume.mib, held_mib(record.snapshot)))
    for snapshot in record.kept:
        yield Stored(Meter.SNAPSHOT, snapshot.id, max(1, snapshot.bytes // BYTES_PER_MIB))
