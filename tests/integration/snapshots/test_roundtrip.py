"""A volume goes into the store and comes back: the whole way, with everything real but the cluster."""

import os
from pathlib import Path

import pytest

from moorage.model.record import AttemptState
from tests.integration.snapshots.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.store]


def fill(volume: Path) -> None:
    """One of everything an agent may leave behind."""
    (volume / "notes").mkdir()
    (volume / "notes" / "memory.db").write_bytes(os.urandom(3_000_000))
    (volume / "notes" / "empty").touch()
    (volume / "link").symlink_to("notes/memory.db")
    (volume / "loop").symlink_to("loop")
    os.link(volume / "notes" / "memory.db", volume / "hard")
    (volume / "script").write_text("#!/bin/sh\n")
    (volume / "script").chmod(0o4751)


async def test_a_restored_volume_equals_the_captured_one(world: World) -> None:
    volume, empty = world.volume(), world.volume("restored")
    fill(volume)
    taken = await world.snapshot(volume)
    assert taken.state is AttemptState.VERIFIED, taken.failure
    restored = await world.restore(empty)
    assert restored.state is AttemptState.VERIFIED, restored.failure
    assert (empty / "notes" / "memory.db").read_bytes() == (volume / "notes" / "memory.db").read_bytes()
