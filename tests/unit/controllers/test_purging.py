"""What a purge asks of the world: one question to the database, and a volume that goes by its UID, written down."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from moorage.controllers.actuator import Actuator
from moorage.controllers.leading import Epoch
from moorage.lifecycle import effects as do
from moorage.model.errors import Unavailable
from moorage.model.record import AgentRecord, AgentState
from moorage.observability import Metrics
from tests import factories

VOLUME = do.FreeVolume("data-helper-1", "volume-1")


class World:
    """A cluster and a database that remember what they were asked, in order."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.refuses = refuses

    async def delete(self, path: str, *, uid: str, propagation: str | None) -> None:
        """Delete an object of the cluster."""
        assert path.endswith("/persistentvolumeclaims/data-helper-1")
        if self.refuses:
            raise Unavailable("the API server does not answer")
        self.asked.append(("delete", uid))

    async def start(self, *, epoch: int, record: AgentRecord) -> None:
        """Start a purge."""
        self.asked.append(("purge", record.uid))

    async def note_volume(self, *, epoch: int, agent_uid: str, volume_uid: str) -> None:
        """Write a volume down."""
        self.asked.append(("note", volume_uid))


def _act(world: World, effect: do.Effect, state: AgentState) -> None:
    epoch = Epoch()
    epoch.lead(1)
    unused: Any = dict.fromkeys(("applier", "agents", "ledger", "meters", "snapshots", "copies"))
    used: Any = {"client": world, "purges": world}
    actuator = Actuator(
        **unused,
        **used,
        platform=factories.platform(),
        epoch=epoch,
        snapshot_grace=timedelta(days=1),
        ring=lambda *_: None,
        metrics=Metrics(),
    )
    asyncio.run(actuator.act(effect, factories.agent(), factories.agent_record(state=state)))


def test_the_database_is_asked_to_start_and_nothing_else_happens() -> None:
    world = World()
    _act(world, do.StartPurge(), AgentState.PURGE_PENDING)
    assert world.asked == [("purge", factories.AGENT_UID)]


def test_a_volume_goes_by_its_uid_before_it_is_written_down() -> None:
    world = World()
    _act(world, VOLUME, AgentState.PURGED)
    assert world.asked == [("delete", "volume-1"), ("note", "volume-1")]


def test_a_volume_that_could_not_be_deleted_is_not_written_down() -> None:
    world = World(refuses=True)
    with pytest.raises(Unavailable):
        _act(world, VOLUME, AgentState.PURGED)
    assert world.asked == []


def test_a_volume_that_an_agent_gave_up_after_a_snapshot_is_no_purge() -> None:
    world = World()
    _act(world, VOLUME, AgentState.ARCHIVED)
    assert world.asked == [("delete", "volume-1")]
