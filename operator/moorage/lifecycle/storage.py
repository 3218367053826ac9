"""What of an agent's storage is metered: the volume that it counts on, and its last verified snapshot.

What it gave up, or what was lost, is the platform's to remove; so is everything once the agent is deleted.
"""

from collections.abc import Iterator

from moorage.lifecycle import effects as do
from moorage.lifecycle.decision import World
from moorage.model.rates import Meter, Stored
from moorage.model.record import AgentRecord, AgentState

BYTES_PER_MIB = 1 << 20


def meters(record: AgentRecord, world: World) -> tuple[do.Effect, ...]:
    """What brings the ledger's meters to what is there."""
    there = tuple(_there(record, world))
    if there == record.stored:
        return ()
    kept = {one.object_id for one in there}
    gone = tuple(do.CloseStorage(one) for one in record.stored if one.object_id not in kept)
    return (*gone, *(do.OpenStorage(one) for one in there if one not in record.stored))


def _there(record: AgentRecord, world: World) -> Iterator[Stored]:
    if record.state is AgentState.DELETED:
        return
    volume = next((volume for volume in world.volumes if volume.uid == record.volume_uid), None)
    if volume is not None and volume.mib is not None:
        yield Stored(Meter.VOLUME, volume.uid, volume.mib)
    if record.snapshot is not None:
        yield Stored(Meter.SNAPSHOT, record.snapshot.id, max(1, record.snapshot.bytes // BYTES_PER_MIB))
