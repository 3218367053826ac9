"""The object store over S3: signature version 4, path addressing, errors in the house's families."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import aiobotocore.session
import botocore.exceptions
from aiobotocore.config import AioConfig

from moorage.model.errors import Transient, Unavailable
from moorage.providers.ports import FoundObject, StoredObject, StoreFull, UploadedPart, UploadLost

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 120  # completing a large object may take a store that long
TRIES_MAX = 2  # the work queue tries again with back-off, a reconcile must not
MISSING = {"404", "NoSuchKey", "NotFound"}
MISSING_UPLOAD = {"NoSuchUpload"}
MISSING_BUCKET = {"NoSuchBucket"}
EXISTS = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
TRY_AGAIN = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "503", "500", "429", "Throttling"}
FULL = {"InsufficientStorage", "XMinioStorageFull", "QuotaExceeded", "507"}
WITHOUT_VERSIONS = {"NotImplemented", "501", "MethodNotAllowed", "405"}
CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}

CONFIG: dict[str, Any] = {  # Any: the SDK's own mix of types
    "signature_version": "s3v4",  # the SDK's default signs URLs the old way
    "s3": {"addressing_style": "path"},
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "read_timeout": READ_TIMEOUT_SECONDS,
    "retries": {"total_max_attempts": TRIES_MAX, "mode": "standard"},
    # Our own hash covers the whole object; the SDK's extra checksums would have to be signed into the part URLs.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}

log = logging.getLogger(__name__)


class S3Objects:
    """One bucket."""

    authority_pem = ""

    def __init__(self, client: Any, bucket: str) -> None:  # Any: the SDK makes its clients at run time
        self._client = client
        self._bucket = bucket

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls, *, endpoint: str, region: str, bucket: str, access_key: str, secret_key: str
    ) -> AsyncIterator["S3Objects"]:
        """An open client over the bucket, which is created if absent.

        A store that does not answer is no reason not to start: agents are metered and stopped without it.
        """
        client = aiobotocore.session.get_session().create_client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=AioConfig(**CONFIG),
        )
        async with client as opened:
            store = cls(opened, bucket)
            try:
                await store.ensure_bucket()
            except Transient as error:
                log.warning("the object store is not ready", extra={"why": str(error)})
            yield store

    async def ensure_bucket(self) -> None:
        """Create the bucket if it is absent."""
        with translated_errors():
            try:
                await self._client.head_bucket(Bucket=self._bucket)
            except botocore.exceptions.ClientError as error:
                if _code(error) not in MISSING | MISSING_BUCKET:
                    raise
                await self._create_bucket()

    async def _create_bucket(self) -> None:
        with contextlib.suppress(
            self._client.exceptions.BucketAlreadyOwnedByYou, self._client.exceptions.BucketAlreadyExists
        ):
            await self._client.create_bucket(Bucket=self._bucket)

    async def create_multipart(self, key: str) -> str:
        """Open an upload, or take up the one that a run killed right here has left behind."""
        with translated_errors():
            try:
                for upload_id in await self._uploads(key):
                    return upload_id
            except botocore.exceptions.ClientError as error:
                if _code(error) not in MISSING_BUCKET:
                    raise
                await self._create_bucket()  # the store was away when we started
            created = await self._client.create_multipart_upload(Bucket=self._bucket, Key=key)
            return str(created["UploadId"])

    async def presign_parts(self, key: str, upload_id: str, *, first: int, count: int, seconds: int) -> list[str]:
        """Sign one URL per part; nothing is asked of the store."""
        return [
            await self._presign("upload_part", seconds, Key=key, UploadId=upload_id, PartNumber=number)
            for number in range(first, first + count)
        ]

    async def presign_get(self, key: str, *, seconds: int) -> str:
        """Sign one URL for reading; nothing is asked of the store."""
        return await self._presign("get_object", seconds, Key=key)

    async def _presign(self, operation: str, seconds: int, **parameters: object) -> str:
        url: str = await self._client.generate_presigned_url(
            operation, Params={"Bucket": self._bucket, **parameters}, ExpiresIn=seconds
        )
        return url

    async def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart], *, object_bytes: int) -> None:
        """Complete the upload; where an earlier try may have got through, the object itself decides."""
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        with translated_errors():
            try:
                await self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": listed},
                    IfNoneMatch="*",
                )
            except botocore.exceptions.ClientError as error:
                if _code(error) in {"InvalidPart", "InvalidPartOrder", "EntityTooSmall"}:
                    raise UploadLost("the store does not have the parts that were reported") from error
                if _code(error) not in EXISTS | MISSING_UPLOAD:
                    raise
                found = await self.head(key)
                if found is None or found.size != object_bytes:
                    raise UploadLost("the store has neither the upload nor the object") from error

    async def abort(self, key: str) -> None:
        """Abort every upload under this key, also one whose id was lost before it was written down."""
        with translated_errors():
            for upload_id in await self._uploads(key):
                try:
                    await self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
                except botocore.exceptions.ClientError as error:
                    if _code(error) not in MISSING_UPLOAD | MISSING:
                        raise

    async def head(self, key: str) -> StoredObject | None:
        """Ask for size and tag."""
        with translated_errors():
            try:
                found = await self._client.head_object(Bucket=self._bucket, Key=key)
            except botocore.exceptions.ClientError as error:
                if _code(error) in MISSING:
                    return None
                raise
            return StoredObject(size=int(found["ContentLength"]), etag=str(found["ETag"]))

    async def read(self, key: str) -> bytes | None:
        """Read a small object."""
        with translated_errors():
            try:
                found = await self._client.get_object(Bucket=self._bucket, Key=key)
            except botocore.exceptions.ClientError as error:
                if _code(error) in MISSING:
                    return None
                raise
            async with found["Body"] as stream:
                return bytes(await stream.read())

    async def write(self, key: str, body: bytes) -> None:
        """Put a small object."""
        with translated_errors():
            await self._client.put_object(Bucket=self._bucket, Key=key, Body=body)

    async def write_once(self, key: str, body: bytes) -> None:
        """Put a small object where there is none."""
        with translated_errors():
            try:
                await self._client.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
            except botocore.exceptions.ClientError as error:
                if _code(error) not in EXISTS:
                    raise

    async def delete(self, key: str) -> None:
        """Delete the object, and where the bucket keeps versions each of them with every marker of a deletion."""
        with translated_errors():
            await self._client.delete_object(Bucket=self._bucket, Key=key)
            try:
                for version_id in [found async for found in self._versions(key)]:
                    await self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version_id)
            except botocore.exceptions.ClientError as error:
                if _code(error) not in WITHOUT_VERSIONS | MISSING_BUCKET:
                    raise

    async def _versions(self, key: str) -> AsyncIterator[str]:
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=key)
        async for page in pages:
            for found in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                if found["Key"] == key:
                    yield str(found["VersionId"])

    async def listed(self, prefix: str) -> AsyncIterator[FoundObject]:
        """List the bucket, a page at a time."""
        with translated_errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            async for page in pages:
                for found in page.get("Contents", []):
                    yield FoundObject(key=str(found["Key"]), size=int(found["Size"]))

    async def _uploads(self, key: str) -> list[str]:
        listed = await self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=key)
        return [str(upload["UploadId"]) for upload in listed.get("Uploads", []) if upload["Key"] == key]


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the SDK's errors into ours; its texts stay in the cause and go to nobody."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        code = _code(error)
        if code in TRY_AGAIN:
            raise Transient("the object store asked to try again") from error
        if code in FULL:
            raise StoreFull("the object store has no room left") from error
        if code in CLOCK:
            raise Unavailable("the object store's clock and ours differ too much") from error
        raise Unavailable("the object store refused a request; check its credentials and bucket") from error
    except (botocore.exceptions.HTTPClientError, botocore.exceptions.BotoCoreError, OSError) as error:
        raise Unavailable("the object store cannot be reached") from error


def _code(error: botocore.exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
