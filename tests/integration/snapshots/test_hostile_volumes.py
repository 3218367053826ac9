"""Volumes as nobody would make them on purpose: twenty thousand odd files, writers that do not stop, endless depth."""

import contextlib
import hashlib
import os
import random
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moorage.model.record import AttemptState
from moorage.model.snapshots import Failure
from tests.integration.snapshots.test_roundtrip import capture_fails, through
from tests.integration.snapshots.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.store]

FILES = 20_000
SEED = 5
NANOS = 10**9
MODES = (0o644, 0o600, 0o755, 0o400, 0o777, 0o000, 0o111, 0o2755)
# Everything but the slash and the zero byte, which no name has.
BYTES = [byte for byte in range(1, 256) if byte != ord("/")]


def hostile_volume(root: Path, dice: random.Random) -> None:
    """Files, links, holes and folders under names of any bytes, with odd modes and times from 1970 to 2100."""
    folders = [root]
    for _ in range(FILES // 50):
        folder = dice.choice(folders) / name(dice)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            folders.append(folder)
    made: list[Path] = []
    while len(made) < FILES:
        path = dice.choice(folders) / name(dice)
        with contextlib.suppress(FileExistsError):
            make(path, made, dice)
            made.append(path)
    for folder in folders[:0:-1]:
        folder.chmod(dice.choice((0o755, 0o700, 0o500, 0o2711)))
        when = dice.randrange(NANOS * 4_000_000_000)
        os.utime(folder, ns=(when, when))


def name(dice: random.Random) -> str:
    length = dice.choice((1, 2, 5, 8, 8, 20, 60)) if dice.random() < 0.995 else 255
    return os.fsdecode(bytes(dice.choices(BYTES, k=length)).replace(b".", b"x"))


def make(path: Path, made: list[Path], dice: random.Random) -> None:
    kind = dice.random()
    if kind < 0.05:
        path.symlink_to(os.fsdecode(bytes(dice.choices(BYTES, k=30))))
        return
    if kind < 0.10 and made:
        os.link(dice.choice(made), path, follow_symlinks=False)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        for _ in range(dice.choice((0, 1, 1, 2))):
            os.write(descriptor, dice.randbytes(dice.randrange(3_000)))
            if dice.random() < 0.01:
                os.lseek(descriptor, dice.randrange(1 << 22), os.SEEK_CUR)
                os.write(descriptor, b"after a hole")
        os.fchmod(descriptor, dice.choice(MODES))
    finally:
        os.close(descriptor)
    when = dice.randrange(NANOS * 4_000_000_000)
    os.utime(path, ns=(when, when))


def everything(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Kind, mode, owner, group, size, time, links and bytes of all there is; set-id bits do not come back."""
    home, first_of = os.fsencode(root), dict[int, bytes]()
    found: dict[bytes, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(home):
        folders.sort()
        for entry in sorted([*folders, *files]):
            path = b"%s/%s" % (folder, entry)
            facts = os.lstat(path)
            known = os.path.relpath(path, home)
            is_link, is_folder = stat.S_ISLNK(facts.st_mode), stat.S_ISDIR(facts.st_mode)
            found[known] = (
                stat.S_IFMT(facts.st_mode),
                None if is_link else stat.S_IMODE(facts.st_mode) & 0o777,
                (facts.st_uid, facts.st_gid),
                None if is_folder else facts.st_size,
                facts.st_mtime_ns,
                None if is_folder else first_of.setdefault(facts.st_ino, known),
                os.readlink(path) if is_link else None if is_folder else content(path),  # noqa: PTH115 - a name of bytes
            )
    return found


def content(path: bytes) -> bytes:
    """What is in a file; a digest, so that a volume fits into memory twice."""
    with Path(os.fsdecode(path)).open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read a file of mode 0 to compare it")
async def test_twenty_thousand_hostile_files_come_back_byte_for_byte(world: World) -> None:
    volume, target = world.volume(), world.volume("restored")
    hostile_volume(volume, random.Random(SEED))
    with world.movers_with_all_rights():  # a file of mode 0 is nobody's to read but root's
        taken = await world.snapshot(volume)
        assert taken.state is AttemptState.VERIFIED, (taken.failure, f"seed {SEED}")
        restored = await world.restore(target)
        assert restored.state is AttemptState.VERIFIED, (restored.failure, f"seed {SEED}")
    before, after = everything(volume), everything(target)
    assert len(before) > FILES
    assert any(entry[1] == 0 for entry in before.values())
    wrong = [known for known in before | after if before.get(known) != after.get(known)]
    remove_deep(world.scratch)
    assert wrong == [], f"seed {SEED}"


@contextlib.contextmanager
def meanwhile(write: Callable[[], None]) -> Iterator[None]:
    """Somebody who writes all the time."""
    over = threading.Event()

    def keep_writing() -> None:
        while not over.is_set():
            write()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


async def test_capture_fails_when_a_file_grows(world: World) -> None:
    volume = world.volume()
    log = volume / "log"
    log.write_bytes(os.urandom(20_000_000))

    def grow() -> None:
        with log.open("ab") as file:
            file.write(b"one more line\n")

    with meanwhile(grow):
        assert await capture_fails(world, volume) == Failure.VOLUME_CHANGED
    assert log.stat().st_size >= 20_000_000


async def test_capture_fails_when_a_file_is_written_in_place(world: World) -> None:
    volume = world.volume()
    book = volume / "memory.db"
    book.write_bytes(os.urandom(20_000_000))

    def overwrite() -> None:
        with book.open("r+b") as file:
            file.write(b"page")

    with meanwhile(overwrite):
        assert await capture_fails(world, volume) == Failure.VOLUME_CHANGED


async def test_a_deep_tree_comes_back(world: World) -> None:
    volume = world.volume()
    bottom = volume.joinpath(*(["d"] * 900))
    for folder in (*reversed(bottom.parents), bottom):
        folder.mkdir(exist_ok=True)
    (bottom / "file").write_text("deep down")
    try:
        _, target = await through(world, volume)
        assert target.joinpath(*(["d"] * 900), "file").read_text() == "deep down"
    finally:
        remove_deep(world.scratch)


async def test_a_path_longer_than_the_kernel_takes_fails_and_is_left_alone(world: World) -> None:
    volume = world.volume()
    deep = os.open(volume, os.O_RDONLY)
    for _ in range(40):
        os.mkdir("n" * 120, dir_fd=deep)
        below = os.open("n" * 120, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)
    try:
        assert await capture_fails(world, volume) == Failure.VOLUME_UNREADABLE
    finally:
        remove_deep(world.scratch)


def remove_deep(scratch: Path) -> None:
    """Python's own tools recurse, and not that far."""
    for volume in scratch.iterdir():
        if volume.is_dir():
            subprocess.run(["rm", "-rf", volume], check=True)
