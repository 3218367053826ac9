"""Attempts and snapshots: rows that are written before anything they speak of exists.

Every write of the operator names its epoch, its attempt's state, and that the agent is still on this attempt; a write
that changes nothing means that somebody else has moved on, and is no error.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec

from moorage.model.errors import Transient
from moorage.model.record import AttemptKind, AttemptState
from moorage.model.snapshots import Failure, Report, Totals
from moorage.store import attempt_row
from moorage.store.attempt_row import AttemptRow, NewAttempt, SnapshotRow
from moorage.store.database import Database

_INSERT = """
INSERT INTO moorage.attempt (id, agent_uid, tenant_uid, snapshot_id, kind, state, object_key, upload_id, wrapped_key,
                             volume_name, node, purpose)
VALUES ($1, $2, $3, $4, $5, 'Created', $6, $7, $8, $9, $10, $11)
"""

SEALED_WITH = "attempt_sealed_with"
_HOLD = "SELECT moorage.hold_snapshot($1)"  # what is restored from stays until the attempt is over
# One statement moves an attempt on: only from the state it was seen in, only while the agent is on it.
_MOVE = """
UPDATE moorage.attempt t SET state = $3, upload_id = coalesce($4, upload_id), changed_at = clock_timestamp()
WHERE t.id = $1 AND t.state = $2
  AND EXISTS (SELECT 1 FROM moorage.agent a WHERE a.uid = t.agent_uid AND a.attempt_id = t.id)
RETURNING t.id
"""

_FAIL = """
UPDATE moorage.attempt SET state = 'Failed', failure = $2, changed_at = clock_timestamp()
WHERE id = $1 AND state NOT IN ('Verified', 'Failed') RETURNING id
"""

_CATALOGUE = """
INSERT INTO moorage.snapshot (id, agent_uid, tenant_uid, attempt_id, object_key, wrapped_key, taken_at, object_bytes,
                              plain_bytes, file_count, sha256, verified_at, disk_bytes, purpose)
SELECT snapshot_id, agent_uid, tenant_uid, id, object_key, wrapped_key, created_at, $2, $3, $4, decode($5, 'hex'),
       clock_timestamp(), coalesce((report->>'disk_bytes')::bigint, 0), purpose
FROM moorage.attempt WHERE id = $1
"""

_CLAIM = """
UPDATE moorage.attempt SET mover_pod_uid = $2
WHERE id = $1 AND state = 'Started' AND (mover_pod_uid IS NULL OR mover_pod_uid = $2) RETURNING id
"""

_REPORT = """
UPDATE moorage.attempt SET state = $3, report = $4::jsonb, failure = $5, changed_at = clock_timestamp()
WHERE id = $1 AND mover_pod_uid = $2 AND state = 'Started' RETURNING agent_uid
"""

_WAKE = """
INSERT INTO moorage.outbox (kind, namespace, name, reason)
SELECT 'Agent', namespace, name, 'MoverReported' FROM moorage.agent WHERE uid = $1
"""


class SnapshotRows:
    """The tables `attempt` and `snapshot`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def attempt(self, attempt_id: str) -> AttemptRow | None:
        """One attempt with everything a step needs."""
        row = await self._database.row(attempt_row.SELECT, attempt_id)
        return None if row is None else attempt_row.of(row)

    async def snapshot(self, snapshot_id: str) -> SnapshotRow | None:
        """One verified snapshot."""
        row = await self._database.row(
            "SELECT id::text, object_key, wrapped_key, object_bytes FROM moorage.snapshot"
            " WHERE id = $1 AND purged_at IS NULL",
            snapshot_id,
        )
        return None if row is None else SnapshotRow(**dict(row))

    async def add(self, epoch: int, new: NewAttempt, *, node: str | None, fence: int, replaces: str | None) -> bool:
        """Write an intent and put the agent on it; False, and nothing written, when the agent has moved on."""
        async with _key_may_be_retired(), self._database.transaction() as connection:
            await _require_epoch(connection, epoch)
            agent = await connection.fetchval(
                "SELECT 1 FROM moorage.agent WHERE uid = $1 AND fence = $2 AND attempt_id IS NOT DISTINCT FROM $3"
                " FOR UPDATE",
                *(new.agent_uid, fence, replaces),
            )
            restores = new.kind is AttemptKind.RESTORE
            if agent is None or (restores and not await connection.fetchval(_HOLD, new.snapshot_id)):
                return False
            # An empty upload id says that an upload may exist under the key: whoever fails the attempt looks for it.
            upload_id = "" if new.kind is AttemptKind.SNAPSHOT else None
            await connection.execute(
                _INSERT,
                *(new.id, new.agent_uid, new.tenant_uid, new.snapshot_id, new.kind.value, new.object_key, upload_id),
                *(new.wrapped_key, new.volume_name, node, new.purpose),
            )
            await connection.execute("UPDATE moorage.agent SET attempt_id = $2 WHERE uid = $1", new.agent_uid, new.id)
        return True

    async def move(
        self, epoch: int, attempt_id: str, before: AttemptState, after: AttemptState, *, upload_id: str | None = None
    ) -> bool:
        """Move an attempt from one state to the next; False when it was not there to be moved."""
        async with self._database.transaction() as connection:
            await _require_epoch(connection, epoch)
            moved = await connection.fetchval(_MOVE, attempt_id, before.value, after.value, upload_id)
        return moved is not None

    async def catalogue(self, epoch: int, attempt_id: str, found: Totals) -> bool:
        """Write a verified snapshot into the catalogue and show it to its agent, with the attempt's last state."""
        async with self._database.transaction() as connection:
            await _require_epoch(connection, epoch)
            moved = await connection.fetchval(
                _MOVE, attempt_id, AttemptState.COMMITTED.value, AttemptState.VERIFIED.value, None
            )
            if moved is None:
                return False
            await connection.execute(
                _CATALOGUE, attempt_id, found.object_bytes, found.plain_bytes, found.file_count, found.sha256
            )
            await connection.execute(
                "UPDATE moorage.agent a SET snapshot_id = t.snapshot_id FROM moorage.attempt t"
                " WHERE t.id = $1 AND a.uid = t.agent_uid",
                attempt_id,
            )
        return True

    async def fail(self, epoch: int, attempt_id: str, code: str) -> bool:
        """End an attempt that has not succeeded; False when it has ended already."""
        async with self._database.transaction() as connection:
            await _require_epoch(connection, epoch)
            return await connection.fetchval(_FAIL, attempt_id, code) is not None

    async def claim(self, attempt_id: str, pod_uid: str) -> bool:
        """Bind an attempt to the first pod that asks; True also when the same pod asks again."""
        return await self._database.row(_CLAIM, attempt_id, pod_uid) is not None

    async def report(self, attempt_id: str, pod_uid: str, report: Report, *, failure: Failure | None) -> bool:
        """Keep the mover's last word and wake the operator; False when the attempt no longer waits for it."""
        state = AttemptState.UPLOADED if failure is None else AttemptState.FAILED
        text = msgspec.json.encode(report).decode()
        async with self._database.transaction() as connection:
            agent_uid = await connection.fetchval(_REPORT, attempt_id, pod_uid, state.value, text, failure)
            if agent_uid is None:
                return False
            await connection.execute(_WAKE, agent_uid)
            await connection.execute("SELECT pg_notify('moorage', '')")
        return True


@contextlib.asynccontextmanager
async def _key_may_be_retired() -> AsyncIterator[None]:
    """A rotation may retire the version of a key between what was sealed with it and the row that holds it."""
    try:
        yield
    except asyncpg.ForeignKeyViolationError as error:
        if error.constraint_name != SEALED_WITH:
            raise
        raise Transient("the tenant's key was replaced meanwhile") from error


async def _require_epoch(connection: "asyncpg.Connection[Any]", epoch: int) -> None:
    await connection.execute("SELECT moorage.require_epoch($1)", epoch)
