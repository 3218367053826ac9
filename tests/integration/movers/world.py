"""Tenants and agents whose attempts queue for movers, on a database alone: nothing moves but the queue."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from moorage.model.names import AgentUid, SnapshotId, TenantUid
from moorage.model.record import AttemptKind, AttemptState, SnapshotPurpose
from moorage.model.snapshots import Failure, Report
from moorage.store.agents import Agents
from moorage.store.database import Database
from moorage.store.movers import Movers
from moorage.store.snapshots import NewAttempt, SnapshotRows

EPOCH = 0
KEPT = """
INSERT INTO moorage.snapshot (id, agent_uid, tenant_uid, attempt_id, object_key, wrapped_key, taken_at, object_bytes,
                              plain_bytes, file_count, sha256, verified_at, purpose)
VALUES ($1::uuid, $2, $3, $1::uuid, $1::uuid::text, '', clock_timestamp(), 1, 1, 1, sha256(''), clock_timestamp(),
        'Suspension')
"""
SNAPSHOT, RESTORE = AttemptKind.SNAPSHOT, AttemptKind.RESTORE


@dataclass
class World:
    """The operator's side of the queue, and the owner's to look at it."""

    database: Database
    admin: "asyncpg.Connection[asyncpg.Record]"
    tenants: dict[str, uuid.UUID] = field(default_factory=dict)
    agents: dict[str, str] = field(default_factory=dict)  # by attempt

    @property
    def movers(self) -> Movers:
        """The queue's door."""
        return Movers(self.database)

    @property
    def rows(self) -> SnapshotRows:
        """The attempts."""
        return SnapshotRows(self.database)

    @property
    def records(self) -> Agents:
        """The agents."""
        return Agents(self.database)

    async def limits(self, movers_max: int, per_node_max: int = 1_000) -> None:
        """Set both; a node has no limit to speak of unless one is given."""
        await self.movers.set_limits(epoch=EPOCH, movers_max=movers_max, per_node_max=per_node_max)

    async def tenant(self, name: str) -> uuid.UUID:
        """A tenant with a wallet, made when it is named first."""
        if name not in self.tenants:
            self.tenants[name] = uuid.uuid4()
            wallet = await self.admin.fetchval(
                "INSERT INTO money.wallet (name, as_of, standing) VALUES ($1, 0, 'Funded') RETURNING id", name
            )
            await self.admin.execute(
                "INSERT INTO moorage.tenant (uid, name, core_namespace, wallet_id) VALUES ($1, $2, 'mn-' || $2, $3)",
                *(self.tenants[name], name, wallet),
            )
        return self.tenants[name]

    async def agent(self, tenant: str = "acme") -> str:
        """An agent that is about to write or restore a snapshot."""
        uid, tenant_uid = str(uuid.uuid4()), await self.tenant(tenant)
        await self.admin.execute(
            "INSERT INTO moorage.agent (uid, tenant_uid, wallet_id, namespace, name, size, state, has_storage)"
            " SELECT $1, uid, wallet_id, core_namespace, $2, 'small', 'Snapshotting', true FROM moorage.tenant"
            " WHERE uid = $3",
            *(uid, f"a{uid[:8]}", tenant_uid),
        )
        return uid

    async def ask(
        self, kind: AttemptKind = SNAPSHOT, *, tenant: str = "acme", agent: str | None = None, node: str | None = None
    ) -> str:
        """An attempt of an agent (a new one unless it is named), in the queue; returns its id."""
        return await self.ask_for(agent or await self.agent(tenant), await self.tenant(tenant), kind, node)

    async def ask_scheduled(self, tenant: str = "acme") -> str:
        """An attempt that a schedule asked for."""
        agent, tenant_uid = await self.agent(tenant), await self.tenant(tenant)
        return await self.ask_for(agent, tenant_uid, SNAPSHOT, None, SnapshotPurpose.SCHEDULE)

    async def ask_for(
        self,
        agent: str,
        tenant_uid: uuid.UUID,
        kind: AttemptKind,
        node: str | None,
        purpose: SnapshotPurpose = SnapshotPurpose.SUSPENSION,
    ) -> str:
        """The same with the application's connections alone, so that many can ask at once."""
        attempt_id, snapshot_id = str(uuid.uuid4()), str(uuid.uuid4())
        if kind is RESTORE:
            await self.database.run(KEPT, snapshot_id, agent, tenant_uid)
        new = NewAttempt(
            id=attempt_id,
            agent_uid=AgentUid(agent),
            tenant_uid=TenantUid(str(tenant_uid)),
            snapshot_id=SnapshotId(snapshot_id),
            kind=kind,
            purpose=purpose if kind is SNAPSHOT else None,
            object_key=f"s/{attempt_id}",
            wrapped_key=b"",
            volume_name="data",
        )
        record = await self.records.load(agent)
        assert record is not None
        replaces = record.attempt.id if record.attempt else None
        assert await self.rows.add(EPOCH, new, node=node, fence=record.fence, replaces=replaces)
        self.agents[attempt_id] = agent
        return attempt_id

    async def fail(self, attempt_id: str) -> None:
        """The attempt is given up."""
        assert await self.rows.fail(EPOCH, attempt_id, Failure.MOVER_FAILED)

    async def report(self, attempt_id: str) -> None:
        """The attempt is started, and its mover says that it is done."""
        assert await self.rows.move(EPOCH, attempt_id, AttemptState.CREATED, AttemptState.STARTED)
        pod = str(uuid.uuid4())
        assert await self.rows.claim(attempt_id, pod)
        assert await self.rows.report(attempt_id, pod, Report(attempt=attempt_id), failure=None)

    async def placed(self) -> set[str]:
        """The attempts that have a place."""
        return {row["id"] for row in await self.admin.fetch("SELECT id::text FROM moorage.places()")}

    async def order(self) -> list[str]:
        """All attempts that ever had a place, in the order in which they got it."""
        rows = await self.admin.fetch("SELECT id::text FROM moorage.attempt WHERE turn IS NOT NULL ORDER BY turn")
        return [row["id"] for row in rows]

    async def woken(self) -> list[str]:
        """The agents of attempts that were told of their place, in that order."""
        rows = await self.admin.fetch(
            "SELECT a.uid::text FROM moorage.outbox o JOIN moorage.agent a USING (namespace, name)"
            " WHERE o.reason = 'MoverGranted' ORDER BY o.id"
        )
        return [row["uid"] for row in rows]

    async def drain(self, rounds: int = 1_000) -> list[str]:
        """End whoever has a place, the longest first, until the queue is empty; returns the order of all places."""
        for _ in range(rounds):
            placed = await self.placed()
            if not placed:
                break
            await self.fail(next(one for one in await self.order() if one in placed))
        assert (await self.movers.queue()).waiting == {SNAPSHOT: 0, RESTORE: 0}
        return await self.order()


@contextlib.asynccontextmanager
async def open_world(url: str) -> AsyncIterator[World]:
    """A queue with room for one."""
    async with contextlib.AsyncExitStack() as stack:
        database = await Database.connect(url, size_max=16)
        stack.push_async_callback(database.close)
        admin: asyncpg.Connection[Any] = await asyncpg.connect(url)
        stack.push_async_callback(admin.close)
        world = World(database, admin)
        await world.limits(1)
        yield world
