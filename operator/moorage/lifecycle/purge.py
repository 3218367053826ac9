"""The end of data that nobody pays for: a grace that counts down, a tombstone, and what is left to remove afterwards.

Here is decided when to ask; whether it may be done is asked once more in the database, under the wallet's lock.
"""

from dataclasses import replace
from datetime import timedelta

from moorage.lifecycle import effects as do
from moorage.lifecycle.decision import Decision, Desired, World, drop, enter
from moorage.model.record import AgentRecord, AgentState, Grace
from moorage.model.wallet import Veto

TOMBSTONE = timedelta(minutes=15)
NOTICE = timedelta(hours=24)  # from the last notice to the tombstone
HINDERED_SECONDS = 300.0

_AT_REST = (AgentState.SUSPENDED, AgentState.ARCHIVED, AgentState.PURGE_PENDING)


def counted(record: AgentRecord, grace: timedelta) -> AgentRecord:
    """The record with its grace as it is now: it counts while an empty wallet alone keeps verified data here.

    Anything else ends it, and the next time it begins anew. A longer grace moves its end, a shorter one does not.
    """
    if record.state is AgentState.PURGED:
        return record
    starved = record.veto is Veto.ZERO_BALANCE and record.wallet.empty
    # A new agent that waits to be filled from another's snapshot keeps that one alive.
    kept = record.snapshot is not None or record.restore is not None
    if not (starved and record.state in _AT_REST and kept):
        return record if record.grace == Grace() else replace(record, grace=Grace())
    since = record.grace.since or record.now
    ends_at = max(since + grace, record.grace.ends_at or since + grace)
    if (since, ends_at) == (record.grace.since, record.grace.ends_at):
        return record
    return replace(record, grace=Grace(since=since, ends_at=ends_at))


def due(record: AgentRecord) -> bool:
    """Whether the grace is over and its owner has known for long enough."""
    grace = record.grace
    if grace.ends_at is None or grace.told_at is None:
        return False
    return grace.ends_at <= record.now and grace.told_at + NOTICE <= record.now


def entomb(record: AgentRecord) -> Decision:
    """Put the tombstone on the data: a last while in which a top-up brings everything back."""
    grace = replace(record.grace, purge_after=record.now + TOMBSTONE)
    return Decision(record=enter(record, AgentState.PURGE_PENDING, grace=grace), again=True)


def pending(record: AgentRecord, desired: Desired, world: World) -> Decision:
    """Under the tombstone: ask to start when its time has come, and ask again while something stands in the way."""
    after = record.grace.purge_after
    back = AgentState.ARCHIVED if record.volume_uid is None else AgentState.SUSPENDED
    if after is None:  # it is no longer counted, or a longer grace moved its end
        return Decision(record=enter(record, back), again=True)
    if desired.deleting or (world.pods and back is AgentState.SUSPENDED):
        return Decision(record=enter(record, back, grace=Grace()), again=True)
    if after > record.now:
        left = (after - record.now).total_seconds()
        return Decision(record=record, effects=drop(world.jobs), wait_seconds=max(0.1, left))
    return Decision(record=record, effects=(*drop(world.jobs), do.StartPurge()), wait_seconds=HINDERED_SECONDS)


def purged(record: AgentRecord, desired: Desired, world: World) -> Decision:
    """Nothing can bring the data back; a volume that is left goes by its UID, and the agent stays where it is."""
    volumes = tuple(do.FreeVolume(volume.name, volume.uid) for volume in world.volumes if not volume.deleting)
    if desired.deleting and not world.volumes:
        return Decision(record=enter(record, AgentState.DELETED), again=True)
    return Decision(record=record, effects=(*drop(world.jobs), *volumes))
