"""The object store over a folder of the platform: parts and objects pass through `moorage api` under signed URLs."""

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from moorage.model.errors import Transient
from moorage.providers.folder import Folder
from moorage.providers.ports import FoundObject, StoredObject, UploadedPart
from moorage.providers.signed_urls import PART, UPLOAD, SignedUrls

LISTED_AT_ONCE = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenObject:
    """An object to read; its file closes itself when nobody has it any more, as when a client has gone at once."""

    file: IO[bytes]
    size: int


class FolderObjects:
    """One folder, mounted by operator and API alike; every call that touches it runs in a thread."""

    def __init__(self, folder: Folder, urls: SignedUrls, authority_pem: str) -> None:
        self._folder = folder
        self._urls = urls
        self.authority_pem = authority_pem

    @classmethod
    async def connect(cls, root: Path, urls: SignedUrls, authority_pem: str) -> "FolderObjects":
        """A store over the folder, which is taken over if it is empty.

        A folder that is not there is no reason not to start: agents are metered and stopped without it.
        """
        folder = Folder(root)
        try:
            await asyncio.to_thread(folder.begin)
        except Transient as error:
            log.warning("the object store is not ready", extra={"why": str(error)})
        return cls(folder, urls, authority_pem)

    async def create_multipart(self, key: str) -> str:
        """Open an upload, or take up the one that a run killed right here has left behind."""
        return await asyncio.to_thread(self._folder.create_upload, key)

    async def presign_parts(self, key: str, upload_id: str, *, first: int, count: int, seconds: int) -> list[str]:
        """Sign one URL per part."""
        return [self._urls.for_part(key, upload_id, number, seconds=seconds) for number in range(first, first + count)]

    async def presign_get(self, key: str, *, seconds: int) -> str:
        """Sign one URL for reading."""
        return self._urls.for_reading(key, seconds=seconds)

    async def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart], *, object_bytes: int) -> None:
        """Join the parts; for a moment they and the object both take room."""
        await asyncio.to_thread(self._folder.complete, key, upload_id, parts, object_bytes)

    async def abort(self, key: str) -> None:
        """Remove every upload under this key."""
        await asyncio.to_thread(self._folder.abort, key)

    async def head(self, key: str) -> StoredObject | None:
        """Look at the file; its tag is its size, for nothing ever replaces a snapshot."""
        size = await asyncio.to_thread(self._folder.size, key)
        return None if size is None else StoredObject(size=size, etag=f'"{size}"')

    async def read(self, key: str) -> bytes | None:
        """Read a small object."""
        return await asyncio.to_thread(self._read, key)

    async def write(self, key: str, body: bytes) -> None:
        """Put a small object."""
        await asyncio.to_thread(self._folder.write, key, body, replace=True)

    async def write_once(self, key: str, body: bytes) -> None:
        """Put a small object where there is none."""
        await asyncio.to_thread(self._folder.write, key, body, replace=False)

    async def delete(self, key: str) -> None:
        """Delete the object; a folder keeps no versions."""
        await asyncio.to_thread(self._folder.delete, key)

    async def listed(self, prefix: str) -> AsyncIterator[FoundObject]:
        """Walk the folder, a batch at a time."""
        walk = self._folder.walk(prefix)
        while batch := await asyncio.to_thread(lambda: list(itertools.islice(walk, LISTED_AT_ONCE))):
            for found in batch:
                yield found

    def permits(self, verb: str, key: str, query: Mapping[str, str]) -> bool:
        """Whether a request carries a URL that we have signed."""
        return self._urls.permit(verb, key, query)

    async def put_part(self, key: str, query: Mapping[str, str], body: bytes) -> str:
        """Keep the part that a permitted query names; its tag. Raises UploadLost."""
        return await asyncio.to_thread(self._folder.put_part, key, query[UPLOAD], int(query[PART]), body)

    async def open(self, key: str) -> OpenObject | None:
        """An object to read; None when there is none."""
        file = await asyncio.to_thread(self._folder.open, key)
        return None if file is None else OpenObject(file, os.fstat(file.fileno()).st_size)

    def _read(self, key: str) -> bytes | None:
        file = self._folder.open(key)
        if file is None:
            return None
        with file:
            return file.read()
