"""Agent records: one row per Agent, read with everything a decision needs, written only under fence and epoch."""

from dataclasses import dataclass
from datetime import timedelta

from moorage.model.exits import Exit
from moorage.model.names import SnapshotId
from moorage.model.record import (
    AgentRecord,
)
from moorage.store import agent_record
from moorage.store.database import Database

# One that is to be filled from a snapshot of its tenant begins as if its volume had been given up.
_ENSURE = """
INSERT INTO moorage.agent (uid, tenant_uid, wallet_id, namespace, name, size, request_seen, restore_id, has_storage,
                           state)
SELECT $2::uuid, t.uid, t.wallet_id, $3::text, $4::text, $5::text, $6, s.id, s.id IS NOT NULL,
       CASE WHEN s.id IS NULL THEN 'Running' ELSE 'Archived' END
FROM moorage.require_epoch($1), moorage.tenant t
LEFT JOIN moorage.snapshot s ON s.id = $7 AND s.tenant_uid = t.uid
    AND (s.keep_until IS NULL OR s.keep_until > clock_timestamp())
WHERE t.core_namespace = $3 AND t.removed_at IS NULL AND ($7::uuid IS NULL OR s.id IS NOT NULL)
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
    volume_floor_mib = $26, restore_id = $27, wish = $28, request_seen = $29, schedule = $30, next_snapshot_at = $31,
    grace_since = $32, purge_at = $33, purge_after = $34
FROM moorage.require_epoch($1)
WHERE uid = $2 AND fence = $3
RETURNING uid
"""

_KEEP_NEWEST = """
UPDATE moorage.snapshot s SET keep_until = clock_timestamp()
FROM moorage.require_epoch($1), moorage.agent a
WHERE a.uid = $2 AND s.agent_uid = a.uid AND s.keep_until IS NULL AND s.id <> a.snapshot_id
  AND s.id NOT IN (SELECT n.id FROM moorage.snapshot n WHERE n.agent_uid = a.uid AND n.keep_until IS NULL
                   ORDER BY n.id = a.snapshot_id DESC, n.taken_at DESC LIMIT $3)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAgent:
    """What is known of an Agent that is seen for the first time."""

    uid: str
    namespace: str
    name: str
    size: str
    request_seen: str | None = None  # a request that was there from the start asks for nothing
    restore_from: SnapshotId | None = None


class Agents:
    """The agent table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, uid: str) -> AgentRecord | None:
        """The record with its open attempt, last verified snapshot and wallet."""
        row = await self._database.row(agent_record.SELECT, uid)
        return None if row is None else agent_record.of(row)

    async def ensure(self, *, epoch: int, new: NewAgent) -> bool:
        """Make the record of a new Agent; False when the namespace is not a tenant's (or the name is still taken), or
        the tenant has no such snapshot."""
        found = await self._database.row(
            _ENSURE, epoch, new.uid, new.namespace, new.name, new.size, new.request_seen, new.restore_from
        )
        return found is not None

    async def is_tenant(self, namespace: str) -> bool:
        """Whether a core namespace is that of a tenant."""
        found = await self._database.value(
            "SELECT 1 FROM moorage.tenant WHERE core_namespace = $1 AND removed_at IS NULL", namespace
        )
        return found is not None

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
            *(after.restore.id if after.restore else None, after.wish, after.request_seen, after.schedule),
            *(after.next_snapshot_at, after.grace.since, after.grace.ends_at, after.grace.purge_after),
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

    async def keep_newest(self, *, epoch: int, uid: str, count: int) -> None:
        """Give up the verified snapshots beyond the newest `count`; the one the agent counts on always stays."""
        await self._database.run(_KEEP_NEWEST, epoch, uid, count)

    async def keep_snapshots(self, *, epoch: int, uid: str, grace: timedelta) -> None:
        """Start the grace period of a deleted agent's snapshots; a later call never shortens it."""
        await self._database.run(
            "UPDATE moorage.snapshot SET keep_until = coalesce(keep_until, clock_timestamp() + $3)"
            " FROM moorage.require_epoch($1) WHERE agent_uid = $2",
            *(epoch, uid, grace),
        )

    async def keep_orphaned_snapshots(self, *, epoch: int, grace: timedelta) -> None:
        """Start the grace period of what a deleted agent left without one: its Agent vanished in the midst of its end,
        or a snapshot was verified after it."""
        await self._database.run(
            "UPDATE moorage.snapshot s SET keep_until = clock_timestamp() + $2"
            " FROM moorage.require_epoch($1), moorage.agent a"
            " WHERE a.uid = s.agent_uid AND a.state = 'Deleted' AND s.keep_until IS NULL",
            *(epoch, grace),
        )

    async def mark_deleted(self, *, epoch: int, uid: str) -> None:
        """End the record of an Agent that has vanished."""
        await self._database.run(
            "UPDATE moorage.agent SET state = 'Deleted', state_since = clock_timestamp(), fence = fence + 1,"
            " grace_since = NULL, purge_at = NULL, purge_after = NULL"
            " FROM moorage.require_epoch($1) WHERE uid = $2 AND state <> 'Deleted'",
            *(epoch, uid),
        )

    async def living(self) -> list[tuple[str, str, str]]:
        """(uid, namespace, name) of all agents that are not deleted, for the sweep after a missed deletion."""
        rows = await self._database.rows(
            "SELECT uid::text AS uid, namespace, name FROM moorage.agent WHERE state <> 'Deleted'"
        )
        return [(row["uid"], row["namespace"], row["name"]) for row in rows]


def _exit_columns(last: Exit | None) -> tuple[object, ...]:
    return (None, None, None, None) if last is None else (last.reason.value, last.code, last.at, last.ran_seconds)
