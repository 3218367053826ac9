"""The same way with a folder of the platform as the store: through the API's signed URLs, and nothing else differs."""

import os
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from moorage.model.record import AttemptKind, AttemptState
from moorage.model.snapshots import PART_BYTES, PART_URLS_FIRST, Failure
from moorage.providers.folder_objects import FolderObjects
from moorage.services.snapshots import Snapshots
from tests.integration.snapshots.test_steps import KILLS, Killed, drive
from tests.integration.snapshots.world import EPOCH, ROOT, World, open_world
from tests.store_server import VersityGateway

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
async def world(
    anyio_backend: str, database_url: str, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "operator"), str(ROOT)]))  # for the verifier
    never_started = VersityGateway(tmp_path / "unused")
    store = tmp_path / "objects"
    store.mkdir()
    async with open_world(database_url, never_started, scratch, folder=store) as opened:
        assert isinstance(opened.store, FolderObjects)
        yield opened


async def test_a_volume_of_many_parts_comes_back(world: World) -> None:
    volume, target = world.volume(), world.volume("restored")
    content = random.Random(4).randbytes(PART_URLS_FIRST * PART_BYTES)
    (volume / "memory").write_bytes(content)
    taken = await world.snapshot(volume)
    assert taken.state is AttemptState.VERIFIED, taken.failure
    assert taken.report is not None
    assert len(taken.report.parts) > PART_URLS_FIRST
    restored = await world.restore(target)
    assert restored.state is AttemptState.VERIFIED, restored.failure
    assert (target / "memory").read_bytes() == content
    found = await world.store.head(taken.object_key)
    assert found is not None
    assert found.size == taken.report.object_bytes


@pytest.mark.parametrize("dying", list(KILLS.values()), ids=list(KILLS))
async def test_an_attempt_converges_when_the_operator_is_killed(
    world: World, tmp_path: Path, dying: Callable[[World], Snapshots]
) -> None:
    volume = world.volume()
    (volume / "memory").write_text("the answer is 42")
    attempt_id = await world.snapshots.begin(
        epoch=EPOCH, record=await world.record(), kind=AttemptKind.SNAPSHOT, volume_name="data-bot-1"
    )
    assert attempt_id is not None
    for _ in range(2):  # the second life dies at the same point
        with pytest.raises(Killed):
            await drive(world, dying(world), attempt_id, volume)
    row = await drive(world, world.snapshots, attempt_id, volume)
    assert (row.state, row.failure) == (AttemptState.VERIFIED, None)
    assert [found.key async for found in world.store.listed("")] == [row.object_key]
    assert os.listdir(tmp_path / "objects" / "uploads") == []  # noqa: PTH208 - as names


async def test_an_object_that_was_changed_on_the_disk_is_not_restored(world: World, tmp_path: Path) -> None:
    volume = world.volume()
    (volume / "memory").write_bytes(random.Random(5).randbytes(2_000_000))
    taken = await world.snapshot(volume)
    with (tmp_path / "objects" / "objects" / taken.object_key).open("r+b") as file:
        file.seek(1_500_000)
        file.write(b"tampered")
    restored = await world.restore(world.volume("restored"))
    assert (restored.state, restored.failure) == (AttemptState.FAILED, Failure.OBJECT_DAMAGED)


async def test_a_failed_attempt_leaves_nothing_in_the_folder(world: World, tmp_path: Path) -> None:
    volume = world.volume()
    (volume / "memory").write_text("the answer is 42")
    attempt_id = await world.begin()
    assert (await world.mover("capture", attempt_id, volume)).code == 0
    uploads = tmp_path / "objects" / "uploads"
    assert list(uploads.iterdir()) != []
    await world.snapshots.fail(epoch=EPOCH, attempt_id=attempt_id, code=Failure.CALLED_OFF)
    assert list(uploads.iterdir()) == []


async def test_a_snapshot_whose_folder_is_not_mounted_is_not_called_gone(world: World, tmp_path: Path) -> None:
    volume = world.volume()
    (volume / "memory").write_text("the answer is 42")
    taken = await world.snapshot(volume)
    away = (tmp_path / "objects").rename(tmp_path / "away")
    (tmp_path / "objects").mkdir()
    with pytest.raises(Exception, match="not there"):
        await world.snapshots.exists(taken.snapshot_id)
    (tmp_path / "objects").rmdir()
    away.rename(tmp_path / "objects")
    assert await world.snapshots.exists(taken.snapshot_id)
