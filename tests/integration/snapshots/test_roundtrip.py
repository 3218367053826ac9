"""A volume goes into the store and comes back: the whole way, with everything real but the cluster."""

import os
import random
import socket
import stat
from pathlib import Path

import pytest

from moorage.model.record import AttemptState
from moorage.model.snapshots import PART_BYTES, PART_URLS_FIRST, Failure
from moorage.store.attempt_row import AttemptRow
from tests.integration.snapshots.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.store]

TEBIBYTE = 1 << 40
SET_ID_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


def listing(volume: Path) -> dict[str, tuple[object, ...]]:
    """Everything that must survive, by path; set-id bits must not."""
    found: dict[str, tuple[object, ...]] = {}
    links: dict[int, str] = {}
    for path in sorted(volume.rglob("*")):
        facts, name = path.lstat(), str(path.relative_to(volume))
        if not (stat.S_ISLNK(facts.st_mode) or stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
            continue
        found[name] = (
            stat.S_IFMT(facts.st_mode),
            None if path.is_symlink() else stat.S_IMODE(facts.st_mode) & ~SET_ID_BITS,
            None if path.is_dir() else facts.st_size,
            facts.st_mtime_ns,
            links.setdefault(facts.st_ino, name),
            content(path, facts),
        )
    return found


def content(path: Path, facts: os.stat_result) -> object:
    if path.is_symlink():
        return path.readlink()
    if path.is_file():
        return path.read_bytes(), {name: os.getxattr(path, name) for name in os.listxattr(path)}
    return None


async def through(world: World, volume: Path) -> tuple[AttemptRow, Path]:
    """Snapshot a volume and restore it into another one."""
    taken = await world.snapshot(volume)
    assert taken.state is AttemptState.VERIFIED, taken.failure
    target = world.volume("restored")
    restored = await world.restore(target)
    assert restored.state is AttemptState.VERIFIED, restored.failure
    return taken, target


async def test_a_restored_volume_equals_the_captured_one(world: World) -> None:
    volume = world.volume()
    (volume / "notes" / "deep").mkdir(parents=True)
    (volume / "notes" / "memory.db").write_bytes(random.Random(1).randbytes(300_000))
    os.setxattr(volume / "notes" / "memory.db", "user.colour", b"blue\0\xff")
    (volume / "notes" / "empty").touch()
    (volume / "link").symlink_to("notes/memory.db")
    (volume / "absolute").symlink_to("/etc/passwd")
    (volume / "loop").symlink_to("loop")
    os.link(volume / "notes" / "memory.db", volume / "hard")
    (volume / "script").write_text("#!/bin/sh\n")
    (volume / "script").chmod(0o751)
    (volume / "notes" / "deep").chmod(0o2700)
    os.utime(volume / "notes" / "empty", ns=(1, 1_600_000_000_123_456_789))
    os.utime(volume / "notes", ns=(1, 1_500_000_000_000_000_001))
    _, target = await through(world, volume)
    assert listing(target) == listing(volume)


async def test_an_empty_volume_is_a_snapshot_too(world: World) -> None:
    taken, target = await through(world, world.volume())
    assert taken.report is not None
    assert (taken.report.file_count, taken.report.plain_bytes) == (0, 0)
    assert list(target.iterdir()) == []


ODD_NAMES = {
    "a line break": b"two\nlines",
    "invalid UTF-8": b"\xff\xfe\x80",
    "the longest name": b"n" * 255,
    "an option of tar": b"--checkpoint-action=exec=sh",
    "a short option of tar": b"-C",
    "blanks at both ends": b"  name  ",
    "a backslash": b"a\\nb",
    "a wildcard": b"*",
    "a quote": b'it\'s "one"',
    "a carriage return and a bell": b"a\r\x07b",
}


async def test_names_of_any_bytes_come_back(world: World) -> None:
    volume = world.volume()
    for name in ODD_NAMES.values():
        folder = volume / os.fsdecode(name)
        folder.mkdir()
        (folder / os.fsdecode(name)).write_bytes(name)
    taken, target = await through(world, volume)
    assert listing(target) == listing(volume)
    assert taken.report is not None
    assert taken.report.file_count == 2 * len(ODD_NAMES)


async def test_objects_of_several_parts_come_back(world: World) -> None:
    volume = world.volume()
    (volume / "random").write_bytes(random.Random(2).randbytes(PART_URLS_FIRST * PART_BYTES))
    taken, target = await through(world, volume)
    assert taken.report is not None
    assert len(taken.report.parts) == PART_URLS_FIRST + 1  # so a second batch of URLs was needed
    assert listing(target) == listing(volume)


async def test_a_sparse_file_of_a_tebibyte_stays_sparse(world: World) -> None:
    volume = world.volume()
    with (volume / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(TEBIBYTE - 3)
        file.write(b"end")
    taken, target = await through(world, volume)
    assert taken.report is not None
    assert taken.report.plain_bytes == TEBIBYTE
    assert taken.report.disk_bytes < 1 << 20
    restored = (target / "sparse").stat()
    assert (restored.st_size, restored.st_blocks < 1000) == (TEBIBYTE, True)
    with (target / "sparse").open("rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek(-4, os.SEEK_END)
        assert file.read() == b"\0end"


async def test_sockets_and_pipes_are_left_out_and_counted(world: World) -> None:
    volume = world.volume()
    (volume / "kept").write_text("kept")
    os.mkfifo(volume / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(volume / "socket"))
        taken, target = await through(world, volume)
    assert taken.report is not None
    assert (taken.report.file_count, taken.report.skipped_count) == (1, 2)
    assert [path.name for path in target.iterdir()] == ["kept"]


async def test_set_id_bits_do_not_come_back(world: World) -> None:
    volume = world.volume()
    (volume / "tool").write_text("#!/bin/sh\n")
    (volume / "tool").chmod(0o6755)
    _, target = await through(world, volume)
    assert stat.S_IMODE((target / "tool").stat().st_mode) == 0o755


async def test_what_mkfs_leaves_at_the_root_is_not_the_agents(world: World) -> None:
    volume = world.volume()
    (volume / "lost+found").mkdir(mode=0o700)
    (volume / "kept").write_text("kept")
    taken = await world.snapshot(volume)
    assert taken.report is not None
    assert taken.report.file_count == 1
    target = world.volume("restored")
    (target / "lost+found").mkdir(mode=0o700)
    restored = await world.restore(target)
    assert restored.state is AttemptState.VERIFIED, restored.failure


async def test_data_in_lost_and_found_is_kept(world: World) -> None:
    volume = world.volume()
    (volume / "lost+found").mkdir()
    (volume / "lost+found" / "#12").write_text("found")
    _, target = await through(world, volume)
    assert listing(target) == listing(volume)


async def capture_fails(world: World, volume: Path) -> str | None:
    attempt_id = await world.begin()
    ended = await world.mover("capture", attempt_id, volume)
    assert ended.code == 1
    row = await world.row(attempt_id)
    assert row.state is AttemptState.FAILED
    return row.failure


async def test_capture_fails_when_a_file_cannot_be_read(world: World) -> None:
    volume = world.volume()
    (volume / "secret").write_text("no")
    (volume / "secret").chmod(0)
    assert await capture_fails(world, volume) == Failure.VOLUME_UNREADABLE


async def test_capture_fails_when_a_folder_cannot_be_read(world: World) -> None:
    volume = world.volume()
    (volume / "closed").mkdir()
    (volume / "closed").chmod(0)
    assert await capture_fails(world, volume) == Failure.VOLUME_UNREADABLE


async def test_restore_refuses_a_volume_with_content(world: World) -> None:
    volume, target = world.volume(), world.volume("restored")
    (volume / "old").write_text("old")
    await world.snapshot(volume)
    (target / "new").write_text("new")
    restored = await world.restore(target)
    assert (restored.state, restored.failure) == (AttemptState.FAILED, Failure.VOLUME_NOT_EMPTY)
    assert [path.name for path in target.iterdir()] == ["new"]


async def test_restore_fails_when_the_object_is_gone(world: World) -> None:
    volume = world.volume()
    (volume / "file").write_text("data")
    taken = await world.snapshot(volume)
    await world.store.delete(taken.object_key)
    restored = await world.restore(world.volume("restored"))
    assert (restored.state, restored.failure) == (AttemptState.FAILED, Failure.OBJECT_MISSING)


async def test_restore_fails_when_the_object_was_changed(world: World) -> None:
    volume = world.volume()
    (volume / "file").write_bytes(random.Random(3).randbytes(2_000_000))
    await world.snapshot(volume)
    (stored,) = world.gateway.objects(world.bucket)
    with stored.open("r+b") as file:
        file.seek(1_500_000)
        file.write(b"tampered")
    restored = await world.restore(world.volume("restored"))
    assert (restored.state, restored.failure) == (AttemptState.FAILED, Failure.OBJECT_DAMAGED)
