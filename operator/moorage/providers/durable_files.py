"""Files that survive a crash: on disk before they have a name, named before anybody is told."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def unnamed(home: Path) -> Iterator[tuple[Path, int]]:
    """A new file under a temporary name and its descriptor; what was not published is gone afterwards."""
    path = home / secrets.token_hex(16)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield path, fd
    finally:
        os.close(fd)
        path.unlink(missing_ok=True)


def write_all(fd: int, body: bytes) -> None:
    """Write everything; the kernel may take less than it is offered."""
    with memoryview(body) as rest:
        written = 0
        while written < len(rest):
            written += os.write(fd, rest[written:])


def append(source: int, target: int) -> None:
    """Copy a file to the end of another: inside the kernel, and where extents can be shared without copying at all."""
    while os.copy_file_range(source, target, 1 << 30):
        pass


def publish(temporary: Path, fd: int, final: Path, *, replace: bool) -> None:
    """Give a file its name in a folder that exists; without `replace` whoever has the name already keeps it."""
    os.fsync(fd)
    if replace:
        temporary.rename(final)
    else:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, final)
    synced(final.parent)


def synced(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folders(folder: Path, home: Path) -> None:
    """Make a folder below `home` and all between; also what an earlier life has made is durable afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    while folder != home:
        folder = folder.parent
        synced(folder)


def prune(folder: Path, home: Path) -> None:
    """Remove folders that have become empty, up to `home`."""
    while folder != home:
        try:
            folder.rmdir()
        except OSError:
            if folder.exists():
                return
        folder = folder.parent
