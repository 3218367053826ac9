"""Frozen copies: where its volume can be frozen, an agent that is to run on is started again before the mover reads."""

from datetime import timedelta

from moorage.lifecycle import effects as do
from moorage.lifecycle.decision import (
    LOOK_AGAIN_SECONDS,
    Decision,
    Desired,
    World,
    comes_back,
    current_volume,
)
from moorage.model.record import AgentRecord, Attempt, AttemptState, CopyState

# Drivers take seconds, some of them minutes. Whoever takes longer would make the stop longer, not shorter.
FREEZE_LIMIT = timedelta(minutes=10)


def reads_copy(attempt: Attempt | None) -> bool:
    """Whether the attempt's mover has a copy to read, and leaves the volume to the agent."""
    return attempt is not None and attempt.state is AttemptState.STARTED and attempt.copy is CopyState.READY


def step(record: AgentRecord, desired: Desired, world: World) -> Decision | None:
    """The next step towards a copy of the volume of an agent that is stopped; None when its mover may start.

    A mover never reads the volume itself while a copy is still asked for: first that is given up.
    """
    attempt, volume = record.attempt, current_volume(record, world.volumes)
    assert attempt is not None
    worth_it = volume is not None and volume.bound and comes_back(record, desired)
    if attempt.copy is None:
        # After a failure, whosever it was, the shortest way to a snapshot is the one with the fewest parts.
        simpler = record.failures > 0 or bool(world.jobs)
        if volume is None or not worth_it or simpler or volume.storage_class not in desired.freezable:
            return None
    elif attempt.copy is not CopyState.ASKED:
        return None
    else:
        assert attempt.copy_asked_at is not None
        if volume is None or not worth_it or record.now - attempt.copy_asked_at > FREEZE_LIMIT:
            return Decision(record=record, effects=(do.GiveUpCopy(attempt.id),), again=True)
    return Decision(record=record, effects=(do.FreezeVolume(attempt.id, volume),), wait_seconds=LOOK_AGAIN_SECONDS)
