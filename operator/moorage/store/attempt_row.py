"""Attempts and snapshots as they are read and begun: rows with what their agent, tenant and snapshot say."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from moorage.model.names import AgentUid, SnapshotId, TenantUid
from moorage.model.record import AttemptKind, AttemptState, SnapshotPurpose
from moorage.model.snapshots import Report, Totals

SELECT = """
SELECT t.id::text, t.agent_uid::text, t.tenant_uid::text, t.snapshot_id::text, t.kind, t.state, t.object_key,
       t.upload_id, coalesce(t.wrapped_key, '') AS wrapped_key, t.volume_name,
       t.mover_pod_uid::text AS mover_pod_uid, t.report::text AS report, t.failure, t.granted_at,
       a.namespace, a.name AS agent_name, a.attempt_id IS NOT DISTINCT FROM t.id AS current,
       CASE WHEN t.kind = 'Restore' THEN s.attempt_id ELSE t.id END::text AS written_by,
       CASE WHEN t.kind = 'Restore' THEN s.agent_uid ELSE t.agent_uid END::text AS written_for,
       encode(s.sha256, 'hex') AS sha256, s.object_bytes, s.plain_bytes, s.file_count
FROM moorage.attempt t
JOIN moorage.agent a ON a.uid = t.agent_uid
LEFT JOIN moorage.snapshot s ON s.id = t.snapshot_id AND s.tenant_uid = t.tenant_uid
WHERE t.id = $1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAttempt:
    """The intent of an attempt, before anything of it exists."""

    id: str
    agent_uid: AgentUid
    tenant_uid: TenantUid
    snapshot_id: SnapshotId
    kind: AttemptKind
    purpose: SnapshotPurpose | None  # None for a restore
    object_key: str
    wrapped_key: bytes
    volume_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt with what its agent, tenant and snapshot say."""

    id: str
    agent_uid: AgentUid
    tenant_uid: TenantUid
    snapshot_id: SnapshotId
    written_by: str  # the attempt that wrote the object: itself, or for a restore the snapshot's
    written_for: AgentUid  # whose data the object holds: its own agent's, or for a restore the snapshot's
    kind: AttemptKind
    state: AttemptState
    object_key: str
    upload_id: str | None
    wrapped_key: bytes
    volume_name: str
    mover_pod_uid: str | None
    report: Report | None
    failure: str | None
    granted_at: datetime | None  # None while it waits for its turn
    namespace: str
    agent_name: str
    current: bool  # the agent is on this attempt
    expected: Totals | None  # the verified snapshot's totals, for a restore


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """A verified snapshot as the catalogue has it."""

    id: SnapshotId
    object_key: str
    wrapped_key: bytes
    object_bytes: int


def of(row: Any) -> AttemptRow:  # Any: asyncpg.Record, whose columns are those of SELECT
    """The attempt in a row of `SELECT`."""
    fields = dict(row)
    totals = [fields.pop(name) for name in ("sha256", "object_bytes", "plain_bytes", "file_count")]
    report = fields.pop("report")
    return AttemptRow(
        **fields
        | {
            "kind": AttemptKind(fields["kind"]),
            "state": AttemptState(fields["state"]),
            "report": None if report is None else msgspec.json.decode(report, type=Report),
            "expected": None if totals[0] is None else Totals(*totals),
        }
    )
