"""The object store in memory, and the reader that checks what is in it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from moorage.model.errors import Unavailable
from moorage.model.snapshots import Failure, Totals, VerifyAnswer, VerifyRequest
from moorage.providers.ports import StoredObject, UploadedPart, UploadLost
from tests.simulation.wire import Wire

ETAG = "etag"
BYTES_BASE = 1_000


@dataclass
class Upload:
    """An open multipart upload; the content it will have, once its part has arrived."""

    id: str
    content: int | None = None


@dataclass
class Bucket:
    """As `providers.ports.ObjectStore`, of what the snapshots ask of it, and what movers do with the URLs."""

    changed: Callable[[str, str], None] = lambda what, key: None
    objects: dict[str, int] = field(default_factory=dict)  # the content of each
    damaged: dict[str, None] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    heads: int = 0  # how often somebody asked whether an object is there
    full: bool = False
    authority_pem: str = ""
    _made: int = 0

    def create_multipart(self, key: str) -> str:
        if key not in self.uploads:
            self._made += 1
            self.uploads[key] = Upload(f"upload-{self._made}")
        return self.uploads[key].id

    def presign_parts(self, key: str, upload_id: str, *, first: int, count: int, seconds: int) -> list[str]:
        return [f"{key} {upload_id} {number}" for number in range(first, first + count)]

    def presign_get(self, key: str, *, seconds: int) -> str:
        return key

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart], *, object_bytes: int) -> None:
        if key in self.objects:
            return
        upload = self.uploads.get(key)
        if (
            upload is None
            or upload.id != upload_id
            or upload.content is None
            or [part.etag for part in parts] != [ETAG]
        ):
            raise UploadLost
        self.objects[key] = upload.content
        del self.uploads[key]
        self.changed("complete", key)

    def abort(self, key: str) -> None:
        self.uploads.pop(key, None)

    def head(self, key: str) -> StoredObject | None:
        self.heads += 1
        content = self.objects.get(key)
        return None if content is None else StoredObject(size_of(content), ETAG)

    def delete(self, key: str) -> None:
        if self.objects.pop(key, None) is not None:
            self.changed("delete", key)

    # What others do.

    def put_part(self, url: str, content: int) -> None:
        """A mover puts the one part of its snapshot."""
        if self.full:
            raise Unavailable("the bucket is full")
        key, upload_id, _ = url.split(" ")
        upload = self.uploads.get(key)
        if upload is None or upload.id != upload_id:
            raise Unavailable("no such upload")
        upload.content = content

    def get(self, key: str) -> int:
        """A mover reads a snapshot."""
        if key not in self.objects:
            raise Unavailable("no such object")
        return self.objects[key]

    def vanish(self, key: str) -> None:
        """Somebody deletes an object behind our back."""
        self.objects.pop(key, None)
        self.changed("vanish", key)

    def damage(self, key: str) -> None:
        """Somebody alters an object behind our back."""
        self.damaged[key] = None
        self.changed("damage", key)

    def verify(self, request: VerifyRequest) -> VerifyAnswer:
        """What a reader finds in an object."""
        content = self.objects.get(request.download_url)
        if content is None:
            return VerifyAnswer(failure=Failure.OBJECT_MISSING)
        if request.download_url in self.damaged:
            return VerifyAnswer(failure=Failure.OBJECT_DAMAGED)
        return VerifyAnswer(totals=totals_of(content))


class Reader:
    """As `services.readback.Readback`."""

    def __init__(self, wire: Wire, bucket: Bucket) -> None:
        self._wire = wire
        self._bucket = bucket

    async def read(self, request: VerifyRequest, *, object_bytes: int) -> VerifyAnswer:
        answer: VerifyAnswer = await self._wire.call("read back", lambda: self._bucket.verify(request))
        return answer


def size_of(content: int) -> int:
    """How large an object with this content is."""
    return BYTES_BASE + content


def totals_of(content: int) -> Totals:
    """What an honest mover reports of this content."""
    return Totals(hashlib.sha256(str(content).encode()).hexdigest(), size_of(content), content, content)
