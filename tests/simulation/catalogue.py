"""Attempts and snapshots of the database in memory."""

import msgspec

from moorage.model.names import AgentUid, SnapshotId, TenantUid
from moorage.model.record import AgentState, AttemptKind, AttemptState
from moorage.model.snapshots import Failure, Report, Totals
from moorage.store.attempt_row import AttemptRow, NewAttempt, SnapshotRow
from tests.simulation.tables import AttemptRecord, SnapshotState, Tables

OVER = (AttemptState.VERIFIED, AttemptState.FAILED)


class Catalogue:
    """As `store.snapshots.SnapshotRows`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def attempt(self, attempt_id: str) -> AttemptRow | None:
        row = self._tables.attempts.get(attempt_id)
        if row is None:
            return None
        new, agent = row.new, self._tables.agents[row.new.agent_uid]
        snapshot = self._tables.snapshots.get(new.snapshot_id)
        return AttemptRow(
            id=new.id,
            agent_uid=AgentUid(new.agent_uid),
            tenant_uid=TenantUid(new.tenant_uid),
            snapshot_id=SnapshotId(new.snapshot_id),
            written_by=snapshot.attempt_id if snapshot and new.kind is AttemptKind.RESTORE else new.id,
            written_for=AgentUid(snapshot.agent_uid if snapshot and new.kind is AttemptKind.RESTORE else new.agent_uid),
            kind=new.kind,
            state=row.state,
            object_key=new.object_key,
            upload_id=row.upload_id,
            wrapped_key=new.wrapped_key,
            volume_name=new.volume_name,
            mover_pod_uid=row.mover_pod_uid,
            report=None if row.report is None else msgspec.json.decode(row.report, type=Report),
            failure=row.failure,
            granted_at=row.granted_at,
            namespace=agent.namespace,
            agent_name=agent.name,
            current=agent.attempt_id == new.id,
            expected=None
            if snapshot is None
            else Totals(snapshot.sha256, snapshot.object_bytes, snapshot.plain_bytes, snapshot.file_count),
        )

    def snapshot(self, snapshot_id: str) -> SnapshotRow | None:
        row = self._tables.snapshots.get(snapshot_id)
        if row is None:
            return None
        return SnapshotRow(
            id=SnapshotId(row.id), object_key=row.object_key, wrapped_key=row.wrapped_key, object_bytes=row.object_bytes
        )

    def add(self, epoch: int, new: NewAttempt, *, node: str | None, fence: int, replaces: str | None) -> bool:
        tables = self._tables
        tables.require_epoch(epoch)
        agent = tables.agents.get(new.agent_uid)
        gone = new.kind is AttemptKind.RESTORE and new.snapshot_id not in tables.snapshots
        if agent is None or gone or agent.fence != fence or agent.attempt_id != replaces:
            return False
        upload_id = "" if new.kind is AttemptKind.SNAPSHOT else None
        tables.attempts[new.id] = AttemptRecord(new, tables.now(), tables.now(), upload_id, node=node)
        agent.attempt_id = new.id
        tables.give_places()
        tables.committed(f"begin {new.kind}", new.agent_uid)
        return True

    def move(
        self, epoch: int, attempt_id: str, before: AttemptState, after: AttemptState, *, upload_id: str | None = None
    ) -> bool:
        self._tables.require_epoch(epoch)
        row = self._tables.attempts.get(attempt_id)
        if row is None or row.state is not before or self._tables.agents[row.new.agent_uid].attempt_id != attempt_id:
            return False
        self._to(row, after)
        row.upload_id = upload_id if upload_id is not None else row.upload_id
        return True

    def catalogue(self, epoch: int, attempt_id: str, found: Totals) -> bool:
        if not self.move(epoch, attempt_id, AttemptState.COMMITTED, AttemptState.VERIFIED):
            return False
        row = self._tables.attempts[attempt_id]
        new = row.new
        self._tables.snapshots[new.snapshot_id] = SnapshotState(
            id=new.snapshot_id,
            agent_uid=new.agent_uid,
            object_key=new.object_key,
            wrapped_key=new.wrapped_key,
            attempt_id=new.id,
            taken_at=row.created_at,
            object_bytes=found.object_bytes,
            plain_bytes=found.plain_bytes,
            file_count=found.file_count,
            sha256=found.sha256,
            disk_bytes=0 if row.report is None else msgspec.json.decode(row.report, type=Report).disk_bytes,
        )
        self._tables.agents[new.agent_uid].snapshot_id = new.snapshot_id
        self._tables.committed("catalogue", new.agent_uid)
        return True

    def fail(self, epoch: int, attempt_id: str, code: str) -> bool:
        self._tables.require_epoch(epoch)
        row = self._tables.attempts.get(attempt_id)
        if row is None or row.state in OVER:
            return False
        row.failure = code
        self._to(row, AttemptState.FAILED)
        return True

    def claim(self, attempt_id: str, pod_uid: str) -> bool:
        row = self._tables.attempts.get(attempt_id)
        if row is None or row.state is not AttemptState.STARTED or row.mover_pod_uid not in (None, pod_uid):
            return False
        row.mover_pod_uid = pod_uid
        return True

    def report(self, attempt_id: str, pod_uid: str, report: Report, *, failure: Failure | None) -> bool:
        row = self._tables.attempts.get(attempt_id)
        if row is None or row.mover_pod_uid != pod_uid or row.state is not AttemptState.STARTED:
            return False
        row.report, row.failure = msgspec.json.encode(report), failure
        self._to(row, AttemptState.UPLOADED if failure is None else AttemptState.FAILED)
        agent = self._tables.agents[row.new.agent_uid]
        self._tables.wake("Agent", agent.namespace, agent.name)
        return True

    def end_abandoned(self, epoch: int) -> None:
        self._tables.require_epoch(epoch)
        rows = self._tables.agents.values()
        on = {row.attempt_id for row in rows if row.state is not AgentState.DELETED}
        for attempt in list(self._tables.attempts.values()):
            if attempt.new.id not in on and attempt.state not in OVER:
                self.fail(epoch, attempt.new.id, Failure.CALLED_OFF)

    def unswept(self, limit: int) -> list[str]:
        rows = [row for row in self._tables.attempts.values() if self._unswept(row)]
        return [row.new.id for row in sorted(rows, key=lambda row: row.changed_at)][:limit]

    def swept(self, attempt_id: str) -> None:
        row = self._tables.attempts.get(attempt_id)
        if row is not None and row.state is AttemptState.FAILED:
            row.upload_id = None

    def _unswept(self, row: AttemptRecord) -> bool:
        return row.state is AttemptState.FAILED and row.upload_id is not None

    def _to(self, row: AttemptRecord, state: AttemptState) -> None:
        row.state, row.changed_at = state, self._tables.now()
        self._tables.give_places()
        self._tables.committed(f"attempt {row.new.kind} {state}", row.new.agent_uid)
