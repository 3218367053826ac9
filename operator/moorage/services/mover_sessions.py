"""What a mover may ask for: its assignment, fresh part URLs, and to be heard when it is done.

A mover is believed for what the API server says about its token: the pod that the Job of this very attempt made, in
the agent's namespace, under the movers' account. The first such pod owns the attempt; there is no second.
"""

import msgspec

from moorage.model import names
from moorage.model.errors import MoorageError
from moorage.model.identity import Identity
from moorage.model.record import AttemptKind, AttemptState
from moorage.model.snapshots import (
    ETAG_LENGTH_MAX,
    PART_BYTES,
    PART_URLS_FIRST,
    PART_URLS_MAX,
    PARTS_MAX,
    Assignment,
    Failure,
    Report,
)
from moorage.providers.ports import ObjectStore
from moorage.services.keyring import Keyring
from moorage.services.snapshots import open_data_key
from moorage.store.attempt_row import AttemptRow
from moorage.store.database import Database
from moorage.store.snapshots import SnapshotRows

URL_SECONDS = 900
SHA256_HEX_LENGTH = 64


class NotYourAttempt(MoorageError):
    """The caller is not the mover of this attempt, or there is no such attempt; the answer does not tell which."""


class AttemptOver(MoorageError):
    """The attempt no longer waits for its mover."""


class ReportRefused(MoorageError):
    """The request cannot be what our mover sends."""


class MoverSessions:
    """The platform's side of the mover's protocol."""

    def __init__(self, *, database: Database, store: ObjectStore, keyring: Keyring) -> None:
        self._rows = SnapshotRows(database)
        self._store = store
        self._keyring = keyring

    async def session(self, identity: Identity, attempt_id: str) -> Assignment:
        """Claim the attempt for the caller's pod and hand out its key and URLs; repeatable by the same pod."""
        attempt = await self._owned(identity, attempt_id)
        bare = Assignment(
            kind=attempt.kind.value,
            tenant_uid=attempt.tenant_uid,
            agent_uid=attempt.written_for,
            snapshot_id=attempt.snapshot_id,
            written_by=attempt.written_by,
            data_key=await open_data_key(self._keyring, attempt),
            authority_pem=self._store.authority_pem,
        )
        if attempt.kind is AttemptKind.SNAPSHOT:
            urls = await self._part_urls(attempt, 1, PART_URLS_FIRST)
            return msgspec.structs.replace(bare, part_bytes=PART_BYTES, part_urls=urls)
        url = await self._store.presign_get(attempt.object_key, seconds=URL_SECONDS)
        return msgspec.structs.replace(bare, download_url=url, expected=attempt.expected)

    async def parts(self, identity: Identity, attempt_id: str, *, first: int, count: int) -> list[str]:
        """Fresh URLs for some parts of the caller's upload."""
        if not (first >= 1 and 1 <= count <= PART_URLS_MAX and first + count - 1 <= PARTS_MAX):
            raise ReportRefused("part numbers out of range")
        attempt = await self._owned(identity, attempt_id)
        return await self._part_urls(attempt, first, count)

    async def report(self, identity: Identity, report: Report) -> None:
        """Keep the mover's last word; a repeat of the same word is heard politely."""
        attempt = await self._identified(identity, report.attempt)
        if attempt.mover_pod_uid != identity.pod_uid:
            raise NotYourAttempt("another pod owns the attempt")
        failure = report.failure or invalidity(report, attempt)
        if await self._rows.report(attempt.id, identity.pod_uid, report, failure=failure):
            return
        attempt = await self._identified(identity, report.attempt)
        if attempt.report != report:
            raise AttemptOver("the attempt has moved on")

    async def _identified(self, identity: Identity, attempt_id: str) -> AttemptRow:
        attempt = await self._rows.attempt(attempt_id) if _is_uuid(attempt_id) else None
        if (
            attempt is None
            or identity.namespace != attempt.namespace
            or identity.service_account != names.MOVER_SERVICE_ACCOUNT
            or not identity.pod_name.startswith(f"{names.mover_job(attempt.id)}-")
        ):
            raise NotYourAttempt("not the mover of this attempt")
        return attempt

    async def _owned(self, identity: Identity, attempt_id: str) -> AttemptRow:
        attempt = await self._identified(identity, attempt_id)
        if attempt.mover_pod_uid not in (None, identity.pod_uid):
            raise NotYourAttempt("another pod owns the attempt")
        if attempt.state is not AttemptState.STARTED or not attempt.current:
            raise AttemptOver("the attempt does not wait for a mover")
        if not await self._rows.claim(attempt.id, identity.pod_uid):
            raise NotYourAttempt("another pod was faster")
        return attempt

    async def _part_urls(self, attempt: AttemptRow, first: int, count: int) -> list[str]:
        if attempt.kind is not AttemptKind.SNAPSHOT or not attempt.upload_id:
            raise ReportRefused("the attempt has no upload")
        return await self._store.presign_parts(
            attempt.object_key, attempt.upload_id, first=first, count=count, seconds=URL_SECONDS
        )


def invalidity(report: Report, attempt: AttemptRow) -> Failure | None:
    """Why a report of success cannot be one; the attempt then fails, whatever the mover believes."""
    sizes = (report.object_bytes, report.plain_bytes, report.disk_bytes)
    counts = (*sizes, report.file_count, report.skipped_count)
    if min(counts) < 0 or max(counts) >= 1 << 63 or report.object_bytes == 0 or not _is_sha256(report.sha256):
        return Failure.REPORT_INVALID
    if attempt.kind is AttemptKind.RESTORE:
        return Failure.REPORT_INVALID if report.parts else None
    wanted = -(-report.object_bytes // PART_BYTES)
    numbers = [part.number for part in report.parts]
    if wanted > PARTS_MAX or numbers != list(range(1, wanted + 1)):
        return Failure.REPORT_INVALID
    sound = all(_is_sha256(part.sha256) and _is_etag(part.etag) for part in report.parts)
    return None if sound else Failure.REPORT_INVALID


def _is_sha256(text: str) -> bool:
    return len(text) == SHA256_HEX_LENGTH and set(text) <= set("0123456789abcdef")


def _is_etag(text: str) -> bool:
    return 0 < len(text) <= ETAG_LENGTH_MAX and text.isascii() and text.isprintable()


def _is_uuid(text: str) -> bool:
    """Only the spelling that we give out: a second spelling of an id would be a second name for it."""
    groups = [len(group) for group in text.split("-")]
    return groups == [8, 4, 4, 4, 12] and set(text) <= set("0123456789abcdef-")
