"""Folders for a moment: made, filled by somebody else, and removed, also those that a killed run has left."""

import asyncio
import contextlib
import fcntl
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from moorage.model.errors import Unavailable

PREFIX = "moorage-scratch-"
SPARE_BYTES = 64 << 20


class Scratch:
    """A place for folders of at most `bytes_max`; nothing may be in it that begins with our prefix but ours."""

    def __init__(self, home: Path | None, bytes_max: int) -> None:
        self._home = home or Path(tempfile.gettempdir())
        self._bytes_max = bytes_max

    async def room(self) -> int:
        """How many bytes a folder may get now; raises Unavailable when nobody can say."""
        try:
            return max(0, min(self._bytes_max, (await asyncio.to_thread(self._free)) - SPARE_BYTES))
        except OSError as error:
            raise Unavailable("the scratch folder cannot be used") from error

    def _free(self) -> int:
        space = os.statvfs(self._home)
        return space.f_bavail * space.f_frsize

    @contextlib.asynccontextmanager
    async def folder(self, wanted_bytes: int) -> AsyncIterator[Path]:
        """An empty folder, with this much room on its disk; raises Unavailable when there is not."""
        made, lock = await asyncio.to_thread(self._make, wanted_bytes)
        try:
            yield made / "volume"
        finally:
            os.close(lock)
            await asyncio.to_thread(_remove, made)

    def _make(self, wanted_bytes: int) -> tuple[Path, int]:
        try:
            for left in self._home.glob(f"{PREFIX}*"):
                if not _in_use(left):
                    _remove(left)
            if self._free() < wanted_bytes + SPARE_BYTES:
                raise Unavailable("the scratch folder has not enough room to test a restore")
            made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._home))
            (made / "volume").mkdir()
            return made, _locked(made)
        except OSError as error:
            raise Unavailable("the scratch folder cannot be used") from error


def _locked(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _in_use(folder: Path) -> bool:
    """Whether the process that made it still lives: its lock goes with it."""
    try:
        os.close(_locked(folder))
    except OSError:  # locked, another user's, or gone by now: not ours to remove
        return True
    return False


def _remove(folder: Path) -> None:
    """GNU's programs and not `shutil`: an agent's folders may be deeper than Python recurses, and closed."""
    for command in (["chmod", "--recursive", "u+rwx", "--"], ["rm", "--recursive", "--force", "--"]):
        subprocess.run([*command, str(folder)], stderr=subprocess.DEVNULL, check=False)
