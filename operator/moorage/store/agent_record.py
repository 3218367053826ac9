"""One agent's record as it is read: everything a decision needs, in one statement."""

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
    CopyState,
    Grace,
    SnapshotFacts,
    SnapshotPurpose,
    WalletFacts,
)
from moorage.model.wallet import Standing, Veto

SELECT = """
SELECT a.uid::text AS uid, a.tenant_uid::text AS tenant_uid, n.sandboxed, a.namespace, a.name, a.state, a.state_since,
       a.fence, a.veto, a.budget_picos_per_day, a.user_paused, a.incarnation, a.pod_uid::text AS pod_uid,
       a.stop_recorded, a.has_storage, a.volume_generation, a.volume_uid::text AS volume_uid, a.failures, a.retry_at,
       a.archive_at, a.endings, a.start_at, a.exit_reason, a.exit_code, a.exit_at, a.exit_ran_seconds,
       a.silent_since, a.fenced_incarnation, a.left_generation, a.left_until, a.volume_floor_mib,
       a.grace_since, a.purge_at, a.purge_after, a.purged_at, moorage.told_at(a.uid, a.purge_at) AS told_at,
       to_timestamp(money.clock()) AS now,
       t.id::text AS attempt_id, t.snapshot_id::text AS attempt_snapshot_id, t.kind AS attempt_kind,
       t.state AS attempt_state, t.created_at AS attempt_created_at, t.granted_at AS attempt_granted_at,
       t.purpose AS attempt_purpose, f.state AS attempt_copy, f.asked_at AS attempt_copy_asked_at,
       a.snapshot_id::text AS snapshot_id, a.restore_id::text AS restore_id, a.wish, a.request_seen, a.schedule,
       a.next_snapshot_at,
       ARRAY(SELECT (s.id::text, s.taken_at, s.object_bytes, s.disk_bytes, s.file_count,
                     s.agent_uid = a.uid AND s.keep_until IS NULL)
             FROM moorage.snapshot s
             WHERE (s.agent_uid = a.uid AND s.keep_until IS NULL OR s.id IN (a.snapshot_id, a.restore_id))
               AND s.purged_at IS NULL
             ORDER BY s.taken_at DESC) AS snapshots,
       w.id AS wallet_id, w.name AS wallet_name, w.standing AS wallet_standing,
       CASE WHEN w.standing = 'Low' THEN money.low_by_runway(w.id) ELSE false END AS wallet_low_by_runway,
       CASE WHEN w.burn_picos > 0 OR w.waiting > 0 THEN coalesce(w.cut_at, w.zero_at) END AS wallet_zero_at,
       CASE WHEN w.standing = 'Exhausted' THEN money.missing_micros(w.id) ELSE 0 END AS wallet_missing,
       money.veto(a.uid) AS wallet_veto,
       CASE WHEN w.standing = 'Exhausted' AND a.state IN ('Suspended', 'Archived', 'PurgePending')
            THEN money.wallet_is_empty(w.id) ELSE false END AS wallet_empty,
       ARRAY(SELECT ARRAY[r.meter, r.object, r.quantity::text] FROM money.run r
             WHERE r.agent_uid = a.uid AND r.ended IS NULL AND r.meter <> 'Pod' ORDER BY r.id) AS stored
FROM moorage.agent a
JOIN money.wallet w ON w.id = a.wallet_id
JOIN moorage.tenant n ON n.uid = a.tenant_uid
LEFT JOIN moorage.attempt t ON t.id = a.attempt_id
LEFT JOIN moorage.frozen_copy f ON f.attempt_id = t.id
WHERE a.uid = $1
"""


def of(row: Any) -> AgentRecord:  # Any: asyncpg.Record, whose columns are those of SELECT
    """The record in a row of `SELECT`."""
    snapshots = {facts[0]: _snapshot(facts) for facts in row["snapshots"]}
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
        snapshot=snapshots.get(row["snapshot_id"]),
        kept=tuple(snapshots[facts[0]] for facts in row["snapshots"] if facts[-1]),
        restore=snapshots.get(row["restore_id"]),
        wish=SnapshotPurpose(row["wish"]) if row["wish"] else None,
        request_seen=row["request_seen"],
        schedule=row["schedule"],
        next_snapshot_at=row["next_snapshot_at"],
        stored=tuple(Stored(Meter(meter), thing, int(mib)) for meter, thing, mib in row["stored"]),
        wallet=_wallet(row),
        grace=Grace(row["grace_since"], row["purge_at"], row["told_at"], row["purge_after"], row["purged_at"]),
        sandboxed=row["sandboxed"],
        now=row["now"],
    )


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
        copy=CopyState(row["attempt_copy"]) if row["attempt_copy"] else None,
        copy_asked_at=row["attempt_copy_asked_at"],
        purpose=SnapshotPurpose(row["attempt_purpose"]) if row["attempt_purpose"] else None,
    )


def _snapshot(facts: Any) -> SnapshotFacts:  # Any: one of the column `snapshots` of SELECT
    snapshot_id, taken_at, object_bytes, disk_bytes, files, _ = facts
    return SnapshotFacts(
        id=SnapshotId(snapshot_id), taken_at=taken_at, bytes=object_bytes, disk_bytes=disk_bytes, files=files
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
        empty=row["wallet_empty"],
    )


def _veto(word: str | None) -> Veto | None:
    return None if word is None else Veto(word)
