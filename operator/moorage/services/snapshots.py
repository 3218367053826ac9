"""Snapshots: the operator's steps of an attempt, each durable before it acts and safe to repeat after any kill."""

import logging
import math
import os
import uuid

from moorage.model import names
from moorage.model.errors import MoorageError, Transient
from moorage.model.names import SnapshotId
from moorage.model.record import AgentRecord, AttemptKind, AttemptState, SnapshotPurpose
from moorage.model.sealing import KeyUnreadable, Place
from moorage.model.snapshots import Binding, Failure, Totals, VerifyRequest
from moorage.providers.ports import ObjectStore, UploadedPart, UploadLost
from moorage.services.keyring import Keyring
from moorage.services.readback import Readback, limit_seconds
from moorage.store.attempt_row import AttemptRow, NewAttempt
from moorage.store.database import Database
from moorage.store.leftovers import Leftovers
from moorage.store.snapshots import SnapshotRows

TURN_SECONDS_MAX = 3600  # for as long a look may wait for others before it begins
SWEEP_MAX = 50
DATA_KEY_BYTES = 32

log = logging.getLogger(__name__)


class Snapshots:
    """Begin, start, commit, verify, fail: what the reconcile of an agent asks for."""

    def __init__(
        self, *, database: Database, store: ObjectStore, keyring: Keyring, readback: Readback | None = None
    ) -> None:
        self._rows = SnapshotRows(database)
        self._leftovers = Leftovers(database)
        self._store = store
        self._keyring = keyring
        self._readback = readback or Readback()

    async def begin(
        self,
        *,
        epoch: int,
        record: AgentRecord,
        kind: AttemptKind,
        volume_name: str,
        purpose: SnapshotPurpose = SnapshotPurpose.SUSPENSION,
        node: str | None = None,
    ) -> str | None:
        """Write the intent and put the agent on it, in the queue of movers; None when something crossed the record.

        `node` is where the volume is, when anybody knows.
        """
        attempt_id = str(uuid.uuid4())
        if kind is AttemptKind.SNAPSHOT:
            new = await self._new_snapshot(attempt_id, record, purpose, volume_name)
        else:
            new = await self._new_restore(attempt_id, record, volume_name)
        replaces = record.attempt.id if record.attempt else None
        if not await self._rows.add(epoch, new, node=node, fence=record.fence, replaces=replaces):
            return None
        if replaces is not None:  # a mover that reports its failure leaves the rest of its upload to us
            await self._discard_quietly(replaces)
        return attempt_id

    async def start(self, *, epoch: int, attempt_id: str) -> None:
        """Open the upload of a snapshot whose turn has come; from here on a mover may act for the attempt."""
        attempt = await self._rows.attempt(attempt_id)
        if attempt is None or not attempt.current or attempt.state is not AttemptState.CREATED:
            return
        if attempt.granted_at is None:  # it waits
            return
        upload_id = None
        if attempt.kind is AttemptKind.SNAPSHOT:
            upload_id = await self._store.create_multipart(attempt.object_key)
        await self._rows.move(epoch, attempt_id, AttemptState.CREATED, AttemptState.STARTED, upload_id=upload_id)

    async def commit(self, *, epoch: int, attempt_id: str) -> None:
        """Complete the upload that the mover has reported."""
        attempt = await self._rows.attempt(attempt_id)
        if attempt is None or not attempt.current or attempt.state is not AttemptState.UPLOADED:
            return
        if attempt.kind is not AttemptKind.SNAPSHOT or attempt.report is None or not attempt.upload_id:
            raise AssertionError("only a reported upload can be committed")
        parts = [UploadedPart(part.number, part.etag) for part in attempt.report.parts]
        try:
            await self._store.complete(
                attempt.object_key, attempt.upload_id, parts, object_bytes=attempt.report.object_bytes
            )
        except UploadLost:
            await self.fail(epoch=epoch, attempt_id=attempt_id, code=Failure.UPLOAD_LOST)
            return
        await self._rows.move(epoch, attempt_id, AttemptState.UPLOADED, AttemptState.COMMITTED)

    async def verify(self, *, epoch: int, attempt_id: str) -> None:
        """Read a committed object back and catalogue it, or fail the attempt; a restore has been counted already."""
        attempt = await self._rows.attempt(attempt_id)
        if attempt is None or not attempt.current:
            return
        if attempt.kind is AttemptKind.RESTORE and attempt.state is AttemptState.UPLOADED:
            await self._verify_restore(epoch, attempt)
        elif attempt.kind is AttemptKind.SNAPSHOT and attempt.state is AttemptState.COMMITTED:
            await self._verify_snapshot(epoch, attempt)

    async def fail(self, *, epoch: int, attempt_id: str, code: str) -> None:
        """Give an attempt up; what it left in the object store is removed now, or by a later sweep."""
        if await self._rows.fail(epoch, attempt_id, code):
            await self._discard_quietly(attempt_id)

    async def abort(self, *, attempt_id: str) -> None:
        """Remove what a failed attempt has left in the object store; does nothing to any other attempt."""
        attempt = await self._rows.attempt(attempt_id)
        if attempt is None or attempt.state is not AttemptState.FAILED or attempt.upload_id is None:
            return  # a restore never has an upload id: its key is that of the verified snapshot
        if await self._rows.snapshot(attempt.snapshot_id) is not None:
            raise AssertionError("a failed attempt has a catalogued snapshot")
        await self._store.abort(attempt.object_key)
        await self._store.delete(attempt.object_key)
        await self._leftovers.swept(attempt_id)

    async def sweep(self, *, epoch: int) -> int:
        """Remove what attempts have left behind that failed while the store was away, or that nobody is on any more;
        returns how many were looked at."""
        await self._leftovers.end_abandoned(epoch)
        attempt_ids = await self._leftovers.unswept(SWEEP_MAX)
        for attempt_id in attempt_ids:
            await self._discard_quietly(attempt_id)
        return len(attempt_ids)

    async def exists(self, snapshot_id: str) -> bool:
        """Whether the verified object is there in its full size; raises when the store does not say."""
        snapshot = await self._rows.snapshot(snapshot_id)
        if snapshot is None:
            return False
        found = await self._store.head(snapshot.object_key)
        return found is not None and found.size == snapshot.object_bytes

    async def attempt(self, attempt_id: str) -> AttemptRow | None:
        """The attempt as it stands."""
        return await self._rows.attempt(attempt_id)

    async def _new_snapshot(
        self, attempt_id: str, record: AgentRecord, purpose: SnapshotPurpose, volume_name: str
    ) -> NewAttempt:
        snapshot_id = SnapshotId(str(uuid.uuid4()))
        wrapped = await self._keyring.seal(data_key_place(attempt_id), record.tenant_uid, os.urandom(DATA_KEY_BYTES))
        return NewAttempt(
            id=attempt_id,
            agent_uid=record.uid,
            tenant_uid=record.tenant_uid,
            snapshot_id=snapshot_id,
            kind=AttemptKind.SNAPSHOT,
            purpose=purpose,
            object_key=names.snapshot_object_key(record.tenant_uid, snapshot_id, attempt_id),
            wrapped_key=wrapped,
            volume_name=volume_name,
        )

    async def _new_restore(self, attempt_id: str, record: AgentRecord, volume_name: str) -> NewAttempt:
        wanted = record.restore or record.snapshot
        snapshot = None if wanted is None else await self._rows.snapshot(wanted.id)
        if snapshot is None:
            raise Transient("there is no verified snapshot to restore from")
        return NewAttempt(
            id=attempt_id,
            agent_uid=record.uid,
            tenant_uid=record.tenant_uid,
            snapshot_id=snapshot.id,
            kind=AttemptKind.RESTORE,
            purpose=None,
            object_key=snapshot.object_key,
            wrapped_key=snapshot.wrapped_key,
            volume_name=volume_name,
        )

    async def _verify_snapshot(self, epoch: int, attempt: AttemptRow) -> None:
        if attempt.report is None:
            raise AssertionError("a committed attempt has no report")
        reported = attempt.report.totals
        # The address outlives the look: one that breaks off may go on where it was.
        url_seconds = TURN_SECONDS_MAX + math.ceil(limit_seconds(reported.object_bytes))
        request = VerifyRequest(
            download_url=await self._store.presign_get(attempt.object_key, seconds=url_seconds),
            data_key=await open_data_key(self._keyring, attempt),
            binding=binding_of(attempt),
            authority_pem=self._store.authority_pem,
        )
        answer = await self._readback.read(request, object_bytes=reported.object_bytes)
        failure = answer.failure if answer.totals is None else difference(answer.totals, reported)
        if failure is not None or answer.totals is None:
            log.error("a snapshot failed verification", extra={"attempt": attempt.id, "why": failure})
            await self.fail(epoch=epoch, attempt_id=attempt.id, code=failure or Failure.OBJECT_DAMAGED)
            return
        await self._rows.catalogue(epoch, attempt.id, answer.totals)

    async def _verify_restore(self, epoch: int, attempt: AttemptRow) -> None:
        if attempt.report is None or attempt.expected is None:
            raise AssertionError("a reported restore has neither report nor snapshot")
        failure = difference(attempt.report.totals, attempt.expected)
        if failure is not None:
            await self.fail(epoch=epoch, attempt_id=attempt.id, code=failure)
            return
        await self._rows.move(epoch, attempt.id, AttemptState.UPLOADED, AttemptState.VERIFIED)

    async def _discard_quietly(self, attempt_id: str) -> None:
        try:
            await self.abort(attempt_id=attempt_id)
        except MoorageError as error:
            log.warning("a failed attempt waits to be swept", extra={"attempt": attempt_id, "why": str(error)})


def binding_of(attempt: AttemptRow) -> Binding:
    """The identities the attempt's object is bound to."""
    return Binding(attempt.tenant_uid, attempt.written_for, attempt.snapshot_id, attempt.written_by)


def data_key_place(written_by: str) -> Place:
    """Where the data key of an object belongs: to the attempt that wrote it, whoever carries a copy."""
    return Place("attempt", written_by, "wrapped_key")


async def open_data_key(keyring: Keyring, attempt: AttemptRow) -> bytes:
    """The data key of the attempt's object."""
    try:
        return await keyring.open(data_key_place(attempt.written_by), attempt.tenant_uid, attempt.wrapped_key)
    except KeyUnreadable as error:
        raise Transient("the data key of a snapshot does not open; the database was damaged or restored") from error


def difference(found: Totals, expected: Totals) -> Failure | None:
    """What is wrong with the first, measured by the second."""
    if (found.sha256, found.object_bytes) != (expected.sha256, expected.object_bytes):
        return Failure.OBJECT_DAMAGED
    if (found.file_count, found.plain_bytes) != (expected.file_count, expected.plain_bytes):
        return Failure.COUNT_MISMATCH
    return None
