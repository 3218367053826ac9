"""Agent records: one row per Agent, read with everything a decision needs, written only under fence and epoch."""

from datetime import timedelta
from typing import Any

from moorage.model.clock import from_epoch
from moorage.model.exits import Exit, ExitReason
from moorage.model.names import AgentUid, PodUid, SnapshotId, TenantUid, WalletId
from moorage.model.rates import Meter, Stored
from moorage.model.record import (
    AgentRecord,
    AgentState,
    Attempt,
    AttemptKind,
    AttemptState,
    SnapshotFacts,
    WalletFacts,
)
from moorage.model.wallet import Standing, Veto
from moorage.store.database import Database

_LOAD = """
SELECT a.uid::text AS uid, a.tenant_uid::text AS tenant_uid, a.namespace, a.name, a.state, a.state_since, a.fence,
       a.veto, a.budget_picos_per_day, a.user_paused, a.incarnation, a.pod_uid::text AS pod_uid, a.stop_recorded,
       a.has_storage, a.volume_generation, a.volume_uid::text AS volume_uid, a.failures, a.retry_at, a.archive_at,
       a.endings, a.start_at, a.exit_reason, a.exit_code, a.exit_at, a.exit_ran_seconds,
       a.silent_since, a.fenced_incarnation, a.left_generation, a.left_until,
       a.volume_floor_mib,
       clock_timestamp() AS now,
       t.id::text AS attempt_id, t.snapshot_id::text AS attempt_snapshot_id, t.kind AS attempt_kind,
       t.state AS attempt_state, t.created_at AS attempt_created_at, t.granted_at AS attempt_granted_at,
       s.id::text AS snapshot_id, s.taken_at AS snapshot_taken_at, s.object_bytes AS snapshot_bytes,
       s.file_count AS snapshot_files, s.disk_bytes AS snapshot_disk_bytes,
       w.id AS wallet_id, w.name AS wallet_name, w.standing AS wallet_standing,
       CASE WHEN w.standing = 'Low' THEN money.low_by_runway(w.id) ELSE false END AS wallet_low_by_runway,
       CASE WHEN w.burn_picos > 0 OR w.waiting > 0 THEN coalesce(w.cut_at, w.zero_at) END AS wallet_zero_at,
       CASE WHEN w.standing = 'Exhausted' THEN money.missing_micros(w.id) ELSE 0 END AS wallet_missing,
       money.veto(a.uid) AS wallet_veto,
       ARRAY(SELECT ARRAY[r.meter, r.object, r.quantity::text] FROM money.run r
             WHERE r.agent_uid = a.uid AND r.ended IS NULL AND r.meter <> 'Pod' ORDER BY r.id) AS stored
FROM moorage.agent a
JOIN money.wallet w ON w.id = a.wallet_id
LEFT JOIN moorage.attempt t ON t.id = a.attempt_id
LEFT JOIN moorage.snapshot s ON s.id = a.snapshot_id
WHERE a.uid = $1
"""

_ENSURE = """
INSERT INTO moorage.agent (uid, tenant_uid, wallet_id, namespace, name, size)
SELECT $2::uuid, t.uid, t.wallet_id, $3::text, $4::text, $5::text FROM moorage.tenant t, moorage.require_epoch($1)
WHERE t.core_namespace = $3 AND t.removed_at IS NULL
ON CONFLICT DO NOTHING
RETURNING uid
"""

# The fence tells that nothing crossed this step since the record was read; every state change raises it.
_SAVE = """
UPDATE moorage.agent SET
    state = $4, state_since = CASE WHEN state = $4 THEN state_since ELSE clock_timestamp() END,
    fence = fence + CASE WHEN state = $4 THEN 0 ELSE 1 END,
    veto = $5, user_paused = $6, incarnation = $7, stop_recorded = $8, has_storage = $9,
    volume_generation = $10, volume_uid = $11, failures = $12, retry_at = $13, archive_at = $14,
    attempt_id = CASE WHEN $15 THEN NULL ELSE attempt_id END,
    endings = $16, start_at = $17, exit_reason = $18, exit_code = $19, exit_at = $20, exit_ran_seconds = $21,
    silent_since = $22, fenced_incarnation = $23, left_generation = $24, left_until = $25,
    volume_floor_mib = $26
FROM moorage.require_epoch($1)
WHERE uid = $2 AND fence = $3
RETURNING uid
"""


class Agents:
    """The agent table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, uid: str) -> AgentRecord | None:
        """The record with its open attempt, last verified snapshot and wallet."""
        row = await self._database.row(_LOAD, uid)
        return None if row is None else _record(row)

    async def ensure(self, *, epoch: int, uid: str, namespace: str, name: str, size: str) -> bool:
        """Make the record of a new Agent; False when the namespace is not a tenant's (or the name is still taken)."""
        return await self._database.row(_ENSURE, epoch, uid, namespace, name, size) is not None

    async def save(self, *, epoch: int, before: AgentRecord, after: AgentRecord) -> bool:
        """Write a decided record; False when something crossed it, and the caller must look again."""
        forget_attempt = before.attempt is not None and after.attempt is None
        found = await self._database.row(
            _SAVE,
            *(epoch, before.uid, before.fence, after.state.value, after.veto, after.user_paused),
            *(after.incarnation, after.stop_recorded, after.has_storage, after.volume_generation, after.volume_uid),
            *(after.failures, after.retry_at, after.archive_at, forget_attempt, after.endings, after.start_at),
            *_exit_columns(after.last_exit),
            *(after.silent_since, after.fenced_incarnation, after.left_generation, after.left_until),
            after.volume_floor_mib,
        )
        return found is not None

    async def resize(self, *, epoch: int, uid: str, size: str) -> None:
        """Remember the size class that a new incarnation will be charged for."""
        await self._database.run(
            "UPDATE moorage.agent SET size = $3 FROM moorage.require_epoch($1) WHERE uid = $2 AND size <> $3",
            *(epoch, uid, size),
        )

    async def archive(self, *, epoch: int, before: AgentRecord) -> bool:
        """Give the current volume up; False when something crossed it."""
        row = await self._database.row(
            "UPDATE moorage.agent SET state = 'Archived', state_since = clock_timestamp(), fence = fence + 1,"
            " volume_generation = volume_generation + 1, volume_uid = NULL, archive_at = NULL"
            " FROM moorage.require_epoch($1) WHERE uid = $2 AND fence = $3 AND state = 'Suspended' RETURNING uid",
            *(epoch, before.uid, before.fence),
        )
        return row is not None

    async def resnapshot(self, *, epoch: int, before: AgentRecord) -> bool:
        """Go back to writing a snapshot, because the verified one has vanished; the volume is still there."""
        row = await self._database.row(
            "UPDATE moorage.agent SET state = 'Snapshotting', state_since = clock_timestamp(), fence = fence + 1,"
            " attempt_id = NULL, failures = 0, retry_at = NULL"
            " FROM moorage.require_epoch($1) WHERE uid = $2 AND fence = $3 AND state = 'Suspended' RETURNING uid",
            *(epoch, before.uid, before.fence),
        )
        return row is not None

    async def keep_snapshots(self, *, epoch: int, uid: str, grace: timedelta) -> None:
        """Start the grace period of a deleted agent's snapshots; a later call never shortens it."""
        await self._database.run(
            "UPDATE moorage.snapshot SET keep_until = coalesce(keep_until, clock_timestamp() + $3)"
            " FROM moorage.require_epoch($1) WHERE agent_uid = $2",
            *(epoch, uid, grace),
        )

    async def mark_deleted(self, *, epoch: int, uid: str) -> None:
        """End the record of an Agent that has vanished."""
        await self._database.run(
            "UPDATE moorage.agent SET state = 'Deleted', state_since = clock_timestamp(), fence = fence + 1"
            " FROM moorage.require_epoch($1) WHERE uid = $2 AND state <> 'Deleted'",
            *(epoch, uid),
        )

    async def living(self) -> list[tuple[str, str, str]]:
        """(uid, namespace, name) of all agents that are not deleted, for the sweep after a missed deletion."""
        rows = await self._database.rows(
            "SELECT uid::text AS uid, namespace, name FROM moorage.agent WHERE state <> 'Deleted'"
        )
        return [(row["uid"], row["namespace"], row["name"]) for row in rows]


def _record(row: Any) -> AgentRecord:  # Any: asyncpg.Record, whose columns are those of _LOAD
    return AgentRecord(
        uid=AgentUid(row["uid"]),
        tenant_uid=TenantUid(row["tenant_uid"]),
        namespace=row["namespace"],
        name=row["name"],
        state=AgentState(row["state"]),
        state_since=row["state_since"],
        fence=row["fence"],
        veto=_veto(row["veto"]),
        budget_picos=row["budget_picos_per_day"],
        user_paused=row["user_paused"],
        incarnation=row["incarnation"],
        pod_uid=PodUid(row["pod_uid"]) if row["pod_uid"] else None,
        endings=row["endings"],
        start_at=row["start_at"],
        last_exit=_last_exit(row),
        silent_since=row["silent_since"],
        fenced_incarnation=row["fenced_incarnation"],
        left_generation=row["left_generation"],
        left_until=row["left_until"],
        volume_floor_mib=row["volume_floor_mib"],
        stop_recorded=row["stop_recorded"],
        has_storage=row["has_storage"],
        volume_generation=row["volume_generation"],
        volume_uid=row["volume_uid"],
        failures=row["failures"],
        retry_at=row["retry_at"],
        archive_at=row["archive_at"],
        attempt=_attempt(row),
        snapshot=_snapshot(row),
        stored=tuple(Stored(Meter(meter), thing, int(mib)) for meter, thing, mib in row["stored"]),
        wallet=_wallet(row),
        now=row["now"],
    )


def _exit_columns(last: Exit | None) -> tuple[object, ...]:
    return (None, None, None, None) if last is None else (last.reason.value, last.code, last.at, last.ran_seconds)


def _last_exit(row: Any) -> Exit | None:
    if row["exit_reason"] is None:
        return None
    return Exit(
        reason=ExitReason(row["exit_reason"]),
        code=row["exit_code"],
        at=row["exit_at"],
        ran_seconds=row["exit_ran_seconds"],
    )


def _attempt(row: Any) -> Attempt | None:
    if row["attempt_id"] is None:
        return None
    return Attempt(
        id=row["attempt_id"],
        snapshot_id=SnapshotId(row["attempt_snapshot_id"]),
        kind=AttemptKind(row["attempt_kind"]),
        state=AttemptState(row["attempt_state"]),
        created_at=row["attempt_created_at"],
        granted_at=row["attempt_granted_at"],
    )


def _snapshot(row: Any) -> SnapshotFacts | None:
    if row["snapshot_id"] is None:
        return None
    return SnapshotFacts(
        id=SnapshotId(row["snapshot_id"]),
        taken_at=row["snapshot_taken_at"],
        bytes=row["snapshot_bytes"],
        files=row["snapshot_files"],
        disk_bytes=row["snapshot_disk_bytes"],
    )


def _wallet(row: Any) -> WalletFacts:
    zero_at = row["wallet_zero_at"]
    return WalletFacts(
        id=WalletId(row["wallet_id"]),
        name=row["wallet_name"],
        standing=Standing(row["wallet_standing"]),
        low_by_runway=row["wallet_low_by_runway"],
        zero_at=None if zero_at is None else from_epoch(zero_at),
        missing_micros=row["wallet_missing"],
        veto=_veto(row["wallet_veto"]),
    )


def _veto(word: str | None) -> Veto | None:
    return None if word is None else Veto(word)
