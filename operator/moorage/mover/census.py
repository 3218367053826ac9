"""Walk a volume: what a snapshot must contain, counted independently of tar."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from moorage.model.snapshots import Failure
from moorage.mover.failures import MoverFailure

BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own blocks are
LOST_AND_FOUND = b"lost+found"


@dataclass(slots=True)
class Census:
    """Entries and bytes of a volume; complete once its walk has ended."""

    file_count: int = 0  # files, directories, links; the root of the volume is not counted
    plain_bytes: int = 0  # apparent size of regular files, each inode once
    disk_bytes: int = 0  # what they and the directories take up: a sparse file less, many small ones more
    skipped_count: int = 0  # sockets, FIFOs, devices
    _seen: set[int] = field(default_factory=set)

    def walk(self, root: str) -> Iterator[bytes]:
        """Yield every entry as a path relative to the root, directories before their content, sorted by name."""
        device = os.lstat(root).st_dev
        pending = [os.fsencode(root)]
        prefix_length = len(pending[0].rstrip(b"/")) + 1
        while pending:
            folder = pending.pop()
            children: list[bytes] = []
            for entry in _sorted_entries(folder):
                facts = entry.stat(follow_symlinks=False)
                relative = entry.path[prefix_length:]
                if relative == LOST_AND_FOUND and is_lost_and_found(entry):
                    continue
                if not self._count(facts):
                    continue
                yield relative
                if stat.S_ISDIR(facts.st_mode):
                    if facts.st_dev != device:
                        # Data below another mount would be missing from the snapshot, and then be deleted.
                        raise MoverFailure(Failure.VOLUME_UNREADABLE)
                    children.append(entry.path)
            pending.extend(reversed(children))

    def _count(self, facts: os.stat_result) -> bool:
        mode = facts.st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            self.skipped_count += 1
            return False
        self.file_count += 1
        regular = stat.S_ISREG(mode)
        if not regular or self._first_link(facts):
            self.plain_bytes += facts.st_size if regular else 0
            self.disk_bytes += facts.st_blocks * BLOCK_BYTES
        return True

    def _first_link(self, facts: os.stat_result) -> bool:
        if facts.st_nlink == 1:
            return True
        if facts.st_ino in self._seen:
            return False
        self._seen.add(facts.st_ino)
        return True


def take(root: str) -> Census:
    """The census of a whole volume."""
    census = Census()
    try:
        for _ in census.walk(root):
            pass
    except OSError as error:
        raise MoverFailure(Failure.VOLUME_UNREADABLE) from error
    return census


def has_content_in_lost_and_found(root: bytes) -> bool:
    """Whether somebody has put something where mkfs leaves an empty folder."""
    with os.scandir(root) as entries:
        return any(entry.name == LOST_AND_FOUND and not is_lost_and_found(entry) for entry in entries)


def is_lost_and_found(entry: "os.DirEntry[bytes]") -> bool:
    """Whether this is the folder that mkfs leaves at the root: a directory without content or without access."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    try:
        with os.scandir(entry.path) as entries:
            return next(entries, None) is None
    except PermissionError:
        return True


def _sorted_entries(folder: bytes) -> "list[os.DirEntry[bytes]]":
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)
