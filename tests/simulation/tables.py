"""The database in memory: leader, agents, outbox, with the fences and epochs of the SQL and none of its speed limits.

Every method answers as its namesake of `moorage.store` does; a test plays one script against both.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from moorage.model.clock import from_epoch
from moorage.model.errors import LostLeadership
from moorage.model.names import AgentUid, Key, PodUid, SnapshotId, TenantUid
from moorage.model.record import AgentRecord, AgentState, Attempt, AttemptKind, AttemptState, Grace, SnapshotFacts
from moorage.store.agents import NewAgent
from moorage.store.attempt_row import NewAttempt
from moorage.store.leader import LEASE_SECONDS
from tests.simulation.purse import Purse

# What of a record is not a column that a save writes as it is.
ELSEWHERE = {
    "uid", "tenant_uid", "namespace", "name", "state", "state_since", "fence", "budget_picos", "pod_uid",
    "attempt", "snapshot", "kept", "restore", "stored", "wallet", "sandboxed", "now",
}  # fmt: skip
COLUMNS = {one.name: one.type for one in fields(AgentRecord) if one.name not in ELSEWHERE}
# A number begins at zero and a flag at false, but for what is counted from one.
DEFAULTS = {int: 0, bool: False}
FIRST = {"incarnation": 1, "volume_generation": 1, "grace": Grace()}
BEFORE_THE_END = (AttemptState.CREATED, AttemptState.STARTED)


@dataclass
class Tenant:
    """A row of `tenant`."""

    uid: str
    core_namespace: str
    wallet: str


@dataclass
class AgentRow:
    """A row of `agent`."""

    uid: str
    tenant_uid: str
    wallet: str
    namespace: str
    name: str
    size: str
    state_since: datetime
    state: AgentState = AgentState.RUNNING
    fence: int = 1
    pod_uid: str | None = None
    attempt_id: str | None = None
    snapshot_id: str | None = None
    restore_id: str | None = None
    columns: dict[str, Any] = field(
        default_factory=lambda: {name: FIRST.get(name, DEFAULTS.get(type_)) for name, type_ in COLUMNS.items()}
    )

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["columns"][name] if name in COLUMNS else object.__getattribute__(self, name)


@dataclass
class AttemptRecord:
    """A row of `attempt`."""

    new: NewAttempt
    created_at: datetime
    changed_at: datetime
    upload_id: str | None
    state: AttemptState = AttemptState.CREATED
    mover_pod_uid: str | None = None
    report: bytes | None = None
    failure: str | None = None
    node: str | None = None
    granted_at: datetime | None = None


@dataclass
class SnapshotState:
    """A row of `snapshot`."""

    id: str
    agent_uid: str
    object_key: str
    wrapped_key: bytes
    attempt_id: str
    taken_at: datetime
    object_bytes: int
    plain_bytes: int
    file_count: int
    sha256: str
    disk_bytes: int
    keep_until: datetime | None = None


@dataclass
class Tables:
    """All rows; `seconds` is the database's clock."""

    seconds: Callable[[], float]
    committed: Callable[[str, str], None] = lambda what, uid: None  # whoever watches
    rung: Callable[[], None] = lambda: None  # the notification: a hint
    epoch: int = 0
    holder: str = ""
    expires_at: float = float("-inf")
    tenants: dict[str, Tenant] = field(default_factory=dict)
    agents: dict[str, AgentRow] = field(default_factory=dict)
    attempts: dict[str, AttemptRecord] = field(default_factory=dict)
    snapshots: dict[str, SnapshotState] = field(default_factory=dict)
    outbox: list[Key] = field(default_factory=list)
    purses: dict[str, Purse] = field(default_factory=dict)
    movers_max: int = 10
    proven: dict[str, int] = field(default_factory=dict)  # per node, how far it is known to have run

    def now(self) -> datetime:
        """The database's clock as a time of day."""
        return from_epoch(self.seconds())

    def add_wallet(self, name: str) -> Purse:
        """As `Ledger.ensure_wallet`: without credit, so exhausted."""
        purse = self.purses[name] = Purse(name, self.proven, cut_at=int(self.seconds()))
        purse.changed = self._veto_agents
        purse.goes_on = lambda uid: self.agents[uid].state in (AgentState.RUNNING, AgentState.RESTORING)
        return purse

    def _veto_agents(self, purse: Purse) -> None:
        """As `money.veto_agents`: what follows for the agents of a wallet that changed its mind."""
        wanted = purse.veto
        self.wake("Wallet", "", purse.name)
        for row in self.agents.values():
            down = row.state in (AgentState.SUSPENDED, AgentState.ARCHIVED)
            if row.wallet != purse.name or row.state is AgentState.DELETED or row.veto == wanted:
                continue
            if row.veto is None and down:
                continue
            row.columns |= {"veto": wanted, "grace": Grace()}
            row.fence += 1
            called_off = row.state is AgentState.DRAINING and not row.stop_recorded and not row.user_paused
            if wanted is None and called_off:
                row.state, row.state_since = AgentState.RUNNING, self.now()
            elif wanted is not None and row.state is AgentState.RUNNING:
                row.state, row.state_since = AgentState.DRAINING, self.now()
                row.columns["stop_recorded"] = False
            self.committed(f"veto {wanted}", row.uid)
            self.wake("Agent", row.namespace, row.name)

    def give_places(self) -> None:
        """As `moorage.give_places`, for one tenant: restores first, then whoever has waited longest."""
        on = {row.attempt_id for row in self.agents.values() if row.state is not AgentState.DELETED}
        mine = [row for row in self.attempts.values() if row.new.id in on]
        placed = sum(row.granted_at is not None and row.state in BEFORE_THE_END for row in mine)
        waiting = [row for row in mine if row.granted_at is None and row.state is AttemptState.CREATED]
        waiting.sort(key=lambda row: (row.new.kind is AttemptKind.SNAPSHOT, row.created_at))
        for row in waiting[: max(0, self.movers_max - placed)]:
            row.granted_at = self.now()
            agent = self.agents[row.new.agent_uid]
            self.wake("Agent", agent.namespace, agent.name)

    def require_epoch(self, epoch: int) -> None:
        """As every write of an operator begins."""
        if epoch != self.epoch:
            raise LostLeadership("another process leads")

    def wake(self, kind: str, namespace: str, name: str) -> None:
        """A row of the outbox."""
        self.outbox.append(Key(kind, namespace, name))
        self.rung()

    def take(self) -> list[Key]:
        """As `Outbox.take`."""
        taken, self.outbox = self.outbox, []
        return taken

    def lead(self, holder: str) -> int | None:
        """As `Leadership.take`."""
        if self.holder != holder and self.expires_at > self.seconds():
            return None
        self.epoch, self.holder = self.epoch + 1, holder
        self.expires_at = self.seconds() + LEASE_SECONDS
        return self.epoch

    def renew(self, epoch: int) -> bool:
        """As `Leadership.renew`; False where it raises."""
        if epoch != self.epoch:
            return False
        self.expires_at = self.seconds() + LEASE_SECONDS
        return True


class AgentTable:
    """As `store.agents.Agents`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def load(self, uid: str) -> AgentRecord | None:
        row = self._tables.agents.get(uid)
        if row is None:
            return None
        purse = self._tables.purses[row.wallet]
        return AgentRecord(
            uid=AgentUid(row.uid),
            tenant_uid=TenantUid(row.tenant_uid),
            namespace=row.namespace,
            name=row.name,
            state=row.state,
            state_since=row.state_since,
            fence=row.fence,
            budget_picos=None,
            pod_uid=PodUid(row.pod_uid) if row.pod_uid else None,
            **row.columns,
            attempt=self._attempt(row.attempt_id),
            snapshot=self._snapshot(row.snapshot_id),
            kept=tuple(_facts(one) for one in self._kept(uid)),
            restore=self._snapshot(row.restore_id),
            stored=purse.stored_of(uid),
            wallet=purse.facts(self._tables.seconds()),
            now=self._tables.now(),
        )

    def ensure(self, *, epoch: int, new: NewAgent) -> bool:
        tables = self._tables
        tables.require_epoch(epoch)
        tenant = next((one for one in tables.tenants.values() if one.core_namespace == new.namespace), None)
        source = tables.snapshots.get(new.restore_from or "")
        given_up = source is not None and source.keep_until is not None and source.keep_until <= tables.now()
        lacking = new.restore_from is not None and (source is None or given_up)
        if tenant is None or lacking or self._is_taken(new):
            return False
        row = AgentRow(new.uid, tenant.uid, tenant.wallet, new.namespace, new.name, new.size, tables.now())
        row.columns |= {"request_seen": new.request_seen, "has_storage": source is not None}
        row.restore_id = new.restore_from
        row.state = AgentState.RUNNING if source is None else AgentState.ARCHIVED
        tables.agents[new.uid] = row
        tables.committed("ensure", new.uid)
        return True

    def is_tenant(self, namespace: str) -> bool:
        return any(tenant.core_namespace == namespace for tenant in self._tables.tenants.values())

    def _is_taken(self, new: NewAgent) -> bool:
        rows = self._tables.agents.values()
        living = [row for row in rows if row.state is not AgentState.DELETED]
        return new.uid in self._tables.agents or any(
            (row.namespace, row.name) == (new.namespace, new.name) for row in living
        )

    def keep_newest(self, *, epoch: int, uid: str, count: int) -> None:
        self._tables.require_epoch(epoch)
        last = self._tables.agents[uid].snapshot_id
        kept = sorted(self._kept(uid), key=lambda one: (one.id == last, one.taken_at), reverse=True)
        for one in kept[count:]:
            if one.id != last:
                one.keep_until = self._tables.now()
        self._tables.committed("keep_newest", uid)

    def _kept(self, uid: str) -> list[SnapshotState]:
        mine = [one for one in self._tables.snapshots.values() if one.agent_uid == uid and one.keep_until is None]
        return sorted(mine, key=lambda one: one.taken_at, reverse=True)

    def save(self, *, epoch: int, before: AgentRecord, after: AgentRecord) -> bool:
        row = self._fenced(epoch, before)
        if row is None:
            return False
        if after.state is not row.state:
            row.state, row.state_since, row.fence = after.state, self._tables.now(), row.fence + 1
        row.columns = {name: getattr(after, name) for name in COLUMNS}
        row.restore_id = after.restore.id if after.restore else None
        if before.attempt is not None and after.attempt is None:
            row.attempt_id = None
            self._tables.give_places()
        self._tables.committed(f"save {row.state}", row.uid)
        return True

    def resize(self, *, epoch: int, uid: str, size: str) -> None:
        self._tables.require_epoch(epoch)
        if uid in self._tables.agents:
            self._tables.agents[uid].size = size

    def archive(self, *, epoch: int, before: AgentRecord) -> bool:
        row = self._fenced(epoch, before)
        if row is None or row.state is not AgentState.SUSPENDED:
            return False
        self._enter(row, AgentState.ARCHIVED)
        row.columns |= {"volume_generation": row.volume_generation + 1, "volume_uid": None, "archive_at": None}
        self._tables.committed("archive", row.uid)
        return True

    def resnapshot(self, *, epoch: int, before: AgentRecord) -> bool:
        row = self._fenced(epoch, before)
        if row is None or row.state is not AgentState.SUSPENDED:
            return False
        self._enter(row, AgentState.SNAPSHOTTING)
        row.attempt_id = None
        row.columns |= {"failures": 0, "retry_at": None}
        self._tables.committed("resnapshot", row.uid)
        return True

    def keep_snapshots(self, *, epoch: int, uid: str, grace: timedelta) -> None:
        self._tables.require_epoch(epoch)
        for one in self._tables.snapshots.values():
            if one.agent_uid == uid and one.keep_until is None:
                one.keep_until = self._tables.now() + grace

    def keep_orphaned_snapshots(self, *, epoch: int, grace: timedelta) -> None:
        self._tables.require_epoch(epoch)
        for one in self._tables.snapshots.values():
            if one.keep_until is None and self._tables.agents[one.agent_uid].state is AgentState.DELETED:
                one.keep_until = self._tables.now() + grace

    def mark_deleted(self, *, epoch: int, uid: str) -> None:
        self._tables.require_epoch(epoch)
        row = self._tables.agents.get(uid)
        if row is not None and row.state is not AgentState.DELETED:
            self._enter(row, AgentState.DELETED)
            row.columns["grace"] = Grace()
            self._tables.give_places()
            self._tables.committed("mark_deleted", uid)

    def living(self) -> list[tuple[str, str, str]]:
        rows = self._tables.agents.values()
        return [(row.uid, row.namespace, row.name) for row in rows if row.state is not AgentState.DELETED]

    def _fenced(self, epoch: int, before: AgentRecord) -> AgentRow | None:
        self._tables.require_epoch(epoch)
        row = self._tables.agents.get(before.uid)
        return row if row is not None and row.fence == before.fence else None

    def _enter(self, row: AgentRow, state: AgentState) -> None:
        row.state, row.state_since, row.fence = state, self._tables.now(), row.fence + 1

    def _attempt(self, attempt_id: str | None) -> Attempt | None:
        if attempt_id is None:
            return None
        row = self._tables.attempts[attempt_id]
        return Attempt(
            id=attempt_id,
            snapshot_id=row.new.snapshot_id,
            kind=AttemptKind(row.new.kind),
            state=row.state,
            created_at=row.created_at,
            granted_at=row.granted_at,
            purpose=row.new.purpose,
            copy=None,
            copy_asked_at=None,
        )

    def _snapshot(self, snapshot_id: str | None) -> SnapshotFacts | None:
        return None if snapshot_id is None else _facts(self._tables.snapshots[snapshot_id])


def _facts(row: SnapshotState) -> SnapshotFacts:
    return SnapshotFacts(
        id=SnapshotId(row.id), taken_at=row.taken_at, bytes=row.object_bytes, files=row.file_count,
        disk_bytes=row.disk_bytes,
    )  # fmt: skip
