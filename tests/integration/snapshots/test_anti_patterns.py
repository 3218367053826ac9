"""What others got wrong when they kept and brought back data: each mistake is a test here, named after it."""

import hashlib
import io
import stat
import subprocess
from pathlib import Path

import pytest

from moorage.model.errors import Unavailable
from moorage.model.record import AttemptKind, AttemptState
from moorage.model.snapshots import Failure
from moorage.mover import stream
from moorage.services.key_export import export
from moorage.services.snapshots import Snapshots
from tests.integration.snapshots.test_roundtrip import listing, through
from tests.integration.snapshots.world import EPOCH, World, bucket_of

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.store]


def volume_with(world: World, text: str, name: str = "volume") -> Path:
    volume = world.volume(name)
    (volume / "memory").write_text(text)
    return volume


async def test_copying_with_symlinks_and_permissions_dropped(world: World) -> None:
    volume = volume_with(world, "data")
    (volume / "memory").chmod(0o640)
    (volume / "bin").mkdir()
    (volume / "bin" / "run").write_text("#!/bin/sh\n")
    (volume / "bin" / "run").chmod(0o750)
    (volume / "current").symlink_to("bin")
    (volume / "dangling").symlink_to("nowhere/at/all")
    _, target = await through(world, volume)
    assert listing(target) == listing(volume)
    assert (target / "current").readlink() == Path("bin")
    assert (target / "dangling").is_symlink()
    assert stat.S_IMODE((target / "bin" / "run").stat().st_mode) == 0o750


async def test_overwriting_the_previous_backup(world: World) -> None:
    volume = volume_with(world, "first")
    first = await world.snapshot(volume)
    before = {path: path.read_bytes() for path in world.gateway.objects(world.bucket)}
    (volume / "memory").write_text("second")
    second = await world.snapshot(volume)
    assert first.object_key != second.object_key
    assert len(world.gateway.objects(world.bucket)) == 2
    for path, content in before.items():
        assert path.read_bytes() == content
    await world.admin.execute("UPDATE moorage.agent SET snapshot_id = $1", first.snapshot_id)
    target = world.volume("restored")
    assert (await world.restore(target)).state is AttemptState.VERIFIED
    assert (target / "memory").read_text() == "first"


async def put_in_place(world: World, snapshot_id: str, archive: bytes) -> None:
    """An object under the right key with the right binding and hash, and with another archive inside."""
    exported = await export(world.database, world.keyring, snapshot_id, actor="test")
    assert exported is not None
    key = exported.key
    sealed = b"".join(stream.encrypt(io.BytesIO(archive), key.data_key, stream.associated_data(key.binding)))
    await world.store.write(exported.object_key, sealed)
    await world.admin.execute(
        "UPDATE moorage.snapshot SET sha256 = $2, object_bytes = $3 WHERE id = $1",
        *(snapshot_id, hashlib.sha256(sealed).digest(), len(sealed)),
    )


def packed(command: str) -> bytes:
    return subprocess.run(["sh", "-c", command], check=True, capture_output=True).stdout


NOTHING = {
    "an empty archive": ("tar -cf - -T /dev/null | zstd -q", Failure.COUNT_MISMATCH),
    "no archive": ("zstd -q </dev/null", Failure.EXTRACT_FAILED),
    "not even a frame": ("true", Failure.EXTRACT_FAILED),
}


@pytest.mark.parametrize("inside", list(NOTHING))
async def test_exit_0_with_nothing_restored(world: World, inside: str) -> None:
    command, failure = NOTHING[inside]
    taken = await world.snapshot(volume_with(world, "data"))
    await put_in_place(world, taken.snapshot_id, packed(command))
    restored = await world.restore(world.volume("restored"))
    assert (restored.state, restored.failure) == (AttemptState.FAILED, failure)


async def test_exit_0_with_half_of_it_restored(world: World) -> None:
    volume = volume_with(world, "data")
    (volume / "second").write_text("more")
    taken = await world.snapshot(volume)
    await put_in_place(world, taken.snapshot_id, packed(f"tar -C {volume} -cf - memory | zstd -q"))
    restored = await world.restore(world.volume("restored"))
    assert (restored.state, restored.failure) == (AttemptState.FAILED, Failure.COUNT_MISMATCH)


async def test_a_partial_read_treated_as_success(world: World) -> None:
    volume = volume_with(world, "data")
    for number in range(100):
        (volume / f"file-{number}").write_text("readable")
    (volume / "file-50").chmod(0)
    attempt_id = await world.begin()
    ended = await world.mover("capture", attempt_id, volume)
    row = await world.row(attempt_id)
    assert (ended.code, row.state, row.failure) == (1, AttemptState.FAILED, Failure.VOLUME_UNREADABLE)
    for step in (world.snapshots.commit, world.snapshots.verify):
        await step(epoch=EPOCH, attempt_id=attempt_id)
    assert await world.admin.fetchval("SELECT count(*) FROM moorage.snapshot") == 0
    assert world.gateway.objects(world.bucket) == []


async def test_missing_credentials_taken_for_nothing_to_do(world: World) -> None:
    taken = await world.snapshot(volume_with(world, "data"))
    async with bucket_of(world.gateway, world.bucket, secret_key="expired") as refused:
        snapshots = Snapshots(database=world.database, store=refused, keyring=world.keyring)
        with pytest.raises(Unavailable):
            await snapshots.exists(taken.snapshot_id)  # neither "it is there" nor "it is gone"
        attempt_id = await snapshots.begin(
            epoch=EPOCH, record=await world.record(), kind=AttemptKind.SNAPSHOT, volume_name="data-bot-1"
        )
        assert attempt_id is not None
        with pytest.raises(Unavailable):
            await snapshots.start(epoch=EPOCH, attempt_id=attempt_id)
    assert (await world.row(attempt_id)).state is AttemptState.CREATED
    assert len(world.gateway.objects(world.bucket)) == 1
