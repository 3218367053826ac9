"""Purges in the database: every step is a door that asks again, under lock, whether it may be done."""

from moorage.model.names import SnapshotId
from moorage.model.purges import Done, Gate, Notice, Outcome, Stage, Waiting
from moorage.store.database import Database

_DUE = """
SELECT id::text FROM moorage.snapshot
WHERE purged_at IS NULL AND purge_after <= to_timestamp((SELECT money.clock())) ORDER BY purge_after LIMIT $1
"""
# What was refused waits behind what was not asked for yet, so that one bad object holds up nothing.
_OBJECTS_LEFT = """
SELECT id::text, object_key FROM moorage.snapshot WHERE purged_at IS NOT NULL AND object_removed_at IS NULL
ORDER BY object_tried_at NULLS FIRST LIMIT $1
"""
_WAITING = """
SELECT a.namespace, a.name AS agent, w.name AS wallet, a.state, a.purge_at, a.purge_after,
       (SELECT count(*) FROM moorage.notice n
        WHERE n.about_uid = a.uid AND n.deadline = a.purge_at AND n.delivered_at IS NOT NULL) AS told
FROM moorage.agent a JOIN money.wallet w ON w.id = a.wallet_id
WHERE a.purge_at IS NOT NULL ORDER BY coalesce(a.purge_after, a.purge_at), a.uid LIMIT $1
"""
_AUDIT = """
SELECT at, step, cause, agent_uid::text, snapshot_id::text, volume_uid::text, actor, reason FROM moorage.purge_audit
ORDER BY id DESC LIMIT $1
"""


class PurgeRows:
    """Notices, tombstones, the gate and the audit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_notices(self, *, epoch: int, limit: int) -> list[Notice]:
        """Write down the notices that are due, and take some that nobody has accepted yet."""
        rows = await self._database.rows(
            "SELECT kind, uid::text, namespace, name, wallet, deadline, stage FROM moorage.take_notices($1, $2)",
            *(epoch, limit),
        )
        return [Notice(**{**row, "stage": Stage(row["stage"])}) for row in rows]

    async def note_delivery(self, *, epoch: int, notice: Notice, failure: str | None) -> None:
        """Remember that a notice was accepted, or that it was not."""
        await self._database.run(
            "SELECT moorage.note_delivery($1, $2, $3, $4, $5)",
            *(epoch, notice.uid, notice.deadline, notice.stage.value, failure),
        )

    async def purge_agent(self, *, epoch: int, uid: str, fence: int) -> Outcome:
        """Destroy the keys of an agent under its tombstone, if everything allows it."""
        return Outcome(await self._database.value("SELECT moorage.purge_agent($1, $2, $3)", epoch, uid, fence))

    async def entomb_snapshots(self, *, epoch: int, limit: int) -> int:
        """Put tombstones on snapshots whose time is over; returns on how many."""
        count: int = await self._database.value("SELECT moorage.entomb_snapshots($1, $2)", epoch, limit)
        return count

    async def due_snapshots(self, limit: int) -> list[str]:
        """Snapshots whose tombstone has stood long enough."""
        return [row["id"] for row in await self._database.rows(_DUE, limit)]

    async def purge_snapshot(self, *, epoch: int, snapshot_id: str) -> Outcome:
        """Destroy the key of one snapshot under its tombstone, if everything allows it."""
        return Outcome(await self._database.value("SELECT moorage.purge_snapshot($1, $2)", epoch, snapshot_id))

    async def objects_left(self, limit: int) -> list[tuple[SnapshotId, str]]:
        """(snapshot, object key) of objects whose key is destroyed and that may still be in the store."""
        rows = await self._database.rows(_OBJECTS_LEFT, limit)
        return [(SnapshotId(row["id"]), row["object_key"]) for row in rows]

    async def note_object(self, *, epoch: int, snapshot_id: str, removed: bool) -> None:
        """Remember whether the store has removed an object."""
        await self._database.run("SELECT moorage.note_object($1, $2, $3)", epoch, snapshot_id, removed)

    async def note_volume(self, *, epoch: int, agent_uid: str, volume_uid: str) -> None:
        """Remember that a volume of a purged agent was asked away."""
        await self._database.run("SELECT moorage.note_volume($1, $2, $3)", epoch, agent_uid, volume_uid)

    async def gate(self) -> Gate:
        """What holds for all purges now."""
        row = await self._database.row("SELECT * FROM moorage.purge_now()")
        assert row is not None
        return Gate(**row)

    async def waiting(self, limit: int) -> list[Waiting]:
        """Agents whose grace counts down, the next to go first."""
        return [Waiting(**row) for row in await self._database.rows(_WAITING, limit)]

    async def audit(self, limit: int) -> list[Done]:
        """What was done, the newest first."""
        return [Done(**row) for row in await self._database.rows(_AUDIT, limit)]

    async def stop(self, *, reason: str, actor: str) -> bool:
        """Let nothing be purged; False when that was so already."""
        return bool(await self._database.value("SELECT moorage.stop_purges($1, $2)", reason, actor))

    async def allow(self, *, reason: str, actor: str) -> bool:
        """End `stop`; False when nobody had stopped purges."""
        return bool(await self._database.value("SELECT moorage.allow_purges($1, $2)", reason, actor))

    async def release(self, *, reason: str, actor: str) -> bool:
        """Release the brake; False when it was not engaged."""
        return bool(await self._database.value("SELECT moorage.release_purges($1, $2)", reason, actor))
