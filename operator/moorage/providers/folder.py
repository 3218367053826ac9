"""A folder that keeps objects, whole and durable, and the parts of those that are still being uploaded.

<root>/moorage-objects        says that the folder is there; without it nothing is believed to be absent
<root>/objects/<key>          whole objects
<root>/uploads/<key>/@<id>/   parts of an upload, each <number>-<sha256>
<root>/temporary/             what is being written; swept at the next start
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from moorage.model.errors import Unavailable
from moorage.providers import durable_files
from moorage.providers.ports import FoundObject, StoreFull, UploadedPart, UploadLost

MARKER = "moorage-objects"
ABANDONED_SECONDS = 86_400
# A segment of a key: no dot in front, so neither `..` nor a hidden file; no `@`, which marks uploads.
SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
ETAG = re.compile(r'"([0-9a-f]{64})"')
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
ABSENT = (FileNotFoundError, NotADirectoryError)


class Folder:
    """Everything here blocks, and may raise Unavailable or StoreFull."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects, self._uploads, self._temporary = root / "objects", root / "uploads", root / "temporary"

    def begin(self) -> None:
        """Take an empty folder over, or recognise our own; raises Unavailable for anybody else's."""
        with _errors():
            if not (self._root / MARKER).exists():
                if {entry.name for entry in self._root.iterdir()} - {"lost+found", self._temporary.name}:
                    raise Unavailable("the folder of the object store is not empty and not ours")
                self._temporary.mkdir(exist_ok=True)
                self._make(self._root / MARKER, b"An object store of Moorage.\n", replace=True)
            for folder in (self._objects, self._uploads, self._temporary):
                durable_files.make_folders(folder, self._root)
            for stale in self._temporary.iterdir():
                if time.time() - stale.stat().st_mtime > ABANDONED_SECONDS:
                    stale.unlink(missing_ok=True)

    def create_upload(self, key: str) -> str:
        """Open an upload, or take up the one that is there."""
        with self._present():
            for found in self._open_uploads(key):
                return found.name
            made = _below(self._uploads, key) / f"@{secrets.token_hex(16)}"
            durable_files.make_folders(made, self._uploads)
            return made.name

    def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Keep a part and return its tag; a part of the same number is replaced. Raises UploadLost."""
        digest = hashlib.sha256(body).hexdigest()
        with self._present():
            upload = self._upload(key, upload_id)
            mine = _part(upload, number, digest)
            try:
                self._make(mine, body, replace=True)
            except FileNotFoundError as error:
                if upload.exists():
                    raise
                raise UploadLost("the upload was aborted") from error
            for other in upload.glob(f"{number:05}-*"):
                if other != mine:
                    other.unlink(missing_ok=True)
        return f'"{digest}"'

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart], object_bytes: int) -> None:
        """Join the parts into an object where there is none, and forget the upload. Raises UploadLost."""
        final = _below(self._objects, key)
        with self._present():
            if not final.exists():
                self._join(final, self._upload(key, upload_id), parts, object_bytes)
            if final.stat().st_size != object_bytes:
                raise UploadLost("another object stands under this key")
            durable_files.make_folders(final.parent, self._objects)  # durable, before the parts go
            durable_files.synced(final.parent)
            self._remove_uploads(key)

    def _join(self, final: Path, upload: Path, parts: Sequence[UploadedPart], object_bytes: int) -> None:
        numbers = [part.number for part in parts]
        if numbers != sorted(set(numbers)):
            raise UploadLost("the parts are not in order")
        with durable_files.unnamed(self._temporary) as (temporary, fd):
            for part in parts:
                tag = ETAG.fullmatch(part.etag)
                try:
                    with _part(upload, part.number, tag[1] if tag else "").open("rb") as source:
                        durable_files.append(source.fileno(), fd)
                except FileNotFoundError as error:
                    raise UploadLost("the store does not have the parts that were reported") from error
            if os.fstat(fd).st_size != object_bytes:
                raise UploadLost("the parts have another size than was reported")
            durable_files.make_folders(final.parent, self._objects)
            durable_files.publish(temporary, fd, final, replace=False)

    def abort(self, key: str) -> None:
        """Remove every upload under this key."""
        with self._present():
            self._remove_uploads(key)

    def size(self, key: str) -> int | None:
        """Size in bytes; None when there is no such object."""
        with self._present(), contextlib.suppress(*ABSENT):
            return _below(self._objects, key).stat().st_size
        return None

    def open(self, key: str) -> IO[bytes] | None:
        """The object as a file to read; None when there is no such object."""
        with self._present(), contextlib.suppress(*ABSENT):
            return _below(self._objects, key).open("rb", buffering=0)
        return None

    def write(self, key: str, body: bytes, *, replace: bool) -> None:
        """Keep a small object; without `replace` the first stays."""
        with self._present():
            final = _below(self._objects, key)
            durable_files.make_folders(final.parent, self._objects)
            self._make(final, body, replace=replace)

    def delete(self, key: str) -> None:
        """Remove the object for good."""
        with self._present():
            place = _below(self._objects, key)
            with contextlib.suppress(*ABSENT):
                place.unlink()
                durable_files.synced(place.parent)
            durable_files.prune(place.parent, self._objects)

    def walk(self, prefix: str) -> Iterator[FoundObject]:
        """Every object whose key begins with the prefix."""
        with self._present():
            for folder, _, files in os.walk(self._objects, onerror=_unless_gone):
                for name in files:
                    path = Path(folder, name)
                    key = path.relative_to(self._objects).as_posix()
                    if key.startswith(prefix):
                        with contextlib.suppress(FileNotFoundError):  # deleted while we walked
                            yield FoundObject(key, path.stat().st_size)

    def _upload(self, key: str, upload_id: str) -> Path:
        found = [upload for upload in self._open_uploads(key) if upload.name == upload_id]
        if not found:
            raise UploadLost("the store does not know the upload")
        return found[0]

    def _open_uploads(self, key: str) -> list[Path]:
        return sorted(_below(self._uploads, key).glob("@*"))

    def _remove_uploads(self, key: str) -> None:
        for upload in self._open_uploads(key):
            shutil.rmtree(upload)
        durable_files.prune(_below(self._uploads, key), self._uploads)

    def _make(self, final: Path, body: bytes, *, replace: bool) -> None:
        with durable_files.unnamed(self._temporary) as (temporary, fd):
            durable_files.write_all(fd, body)
            durable_files.publish(temporary, fd, final, replace=replace)

    @contextlib.contextmanager
    def _present(self) -> Iterator[None]:
        """A volume that is not mounted looks like an empty folder; nothing may be called missing because of it."""
        with _errors():
            if not (self._root / MARKER).exists():
                raise Unavailable("the folder of the object store is not there")
            yield


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StoreFull("the object store has no room left") from error
        raise Unavailable("the folder of the object store cannot be used") from error


def _below(home: Path, key: str) -> Path:
    segments = key.split("/")
    if not all(SEGMENT.fullmatch(segment) for segment in segments):
        raise ValueError("this can be no key of an object")
    return home.joinpath(*segments)


def _part(upload: Path, number: int, digest: str) -> Path:
    return upload / f"{number:05}-{digest}"


def _unless_gone(error: OSError) -> None:
    """What is deleted while we walk is not there; anything else that cannot be read is no reason to call it missing."""
    if not isinstance(error, FileNotFoundError):
        raise error
