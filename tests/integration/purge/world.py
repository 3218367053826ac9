"""Agents whose wallet has run empty, on a database whose clock the test sets, and the operator that looks at them."""

import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from moorage.lifecycle import effects as do
from moorage.lifecycle.agent import transition
from moorage.model import names
from moorage.model.errors import Unavailable
from moorage.model.names import AgentUid
from moorage.model.observation import Observation, VolumeView
from moorage.model.purges import Notice, Outcome
from moorage.model.record import AgentRecord, AgentState
from moorage.observability import Metrics
from moorage.services.purges import Purges
from moorage.store.agents import Agents
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from moorage.store.purges import PurgeRows
from tests import factories
from tests.integration.money.world import START_S, World

DAY_S = 86_400
GRACE = timedelta(days=30)
EMPTY_S = START_S + 200  # from here on the wallets are empty
END_S = EMPTY_S + 30 * DAY_S  # of the grace
TOMBSTONE_S = 15 * 60


class FakeNotices:
    """A channel that can refuse, and remembers what it accepted."""

    def __init__(self) -> None:
        self.down = False
        self.accepted: list[Notice] = []

    async def send(self, notice: Notice) -> None:
        """Accept, unless it is down."""
        if self.down:
            raise Unavailable("the channel is down")
        self.accepted.append(notice)


@dataclass
class FakeBucket:
    """Objects by key; it refuses while `refuses` is set, and does not answer about what is in `lost`."""

    objects: set[str] = field(default_factory=set)
    aborted: list[str] = field(default_factory=list)
    refuses: bool = False

    async def abort(self, key: str) -> None:
        """Drop uploads."""
        self._answer()
        self.aborted.append(key)

    async def delete(self, key: str) -> None:
        """Remove an object."""
        self._answer()
        self.objects.discard(key)

    async def head(self, key: str) -> object | None:
        """Whether it is there."""
        self._answer()
        return key if key in self.objects else None

    def _answer(self) -> None:
        if self.refuses:
            raise Unavailable("the object store refused a request")


@dataclass
class House:
    """The ledger's world with agents at rest, and what the operator does to them."""

    world: World
    notices: FakeNotices = field(default_factory=FakeNotices)
    bucket: FakeBucket = field(default_factory=FakeBucket)
    metrics: Metrics = field(default_factory=Metrics)
    volumes: dict[str, tuple[VolumeView, ...]] = field(default_factory=dict)

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, url: str) -> AsyncIterator["House"]:
        """The same world once more, in another process."""
        sql, database = await asyncpg.connect(url), await Database.connect(url, size_max=2)
        try:
            yield cls(World(database, sql, Ledger(database), url=url))
        finally:
            await database.close()
            await sql.close()

    @property
    def rows(self) -> PurgeRows:
        """The purges of this database."""
        return PurgeRows(self.world.database)

    @property
    def purges(self) -> Purges:
        """The service, as a process that has just started has it."""
        store: Any = self.bucket  # only what a purge needs of it
        return Purges(rows=self.rows, store=store, notices=self.notices, metrics=self.metrics)

    async def starved(self, name: str = "acme", *, agents: int = 1, state: str = "Archived") -> list[str]:
        """A wallet that has run empty, and its agents at rest with a verified snapshot each."""
        await self.world.wallet(name, micros=100 * 10 * agents)
        uids, pods = [], []
        for number in range(agents):
            uids.append(await self.world.agent(f"{name}-{number}", wallet=name))
            pods.append(await self.world.open(uids[-1], START_S))
        await self.world.proven_at(EMPTY_S)
        await self.world.settle()
        for uid, pod in zip(uids, pods, strict=True):
            await self.world.close(pod, EMPTY_S)
            await self.rest(uid, state=state)
        assert (await self.world.see(name)).standing == "Exhausted"
        return uids

    async def rest(self, uid: str, *, state: str = "Archived") -> str:
        """Put an agent to rest with a new verified snapshot; returns the snapshot."""
        snapshot = await self.snapshot(uid)
        archived, volume = state == "Archived", str(uuid.uuid4())
        if not archived:
            name = names.agent_volume((await self.world.record(uid))["name"], 1)
            self.volumes[uid] = (factories.volume_view(name=name, uid=volume, mib=None),)
        await self.world.sql.execute(
            "UPDATE moorage.agent SET state = $2, fence = fence + 1, has_storage = true, snapshot_id = $3,"
            " volume_uid = $4, archive_at = $5 WHERE uid = $1",
            *(uuid.UUID(uid), state, uuid.UUID(snapshot), None if archived else uuid.UUID(volume)),
            None if archived else datetime(2100, 1, 1, tzinfo=UTC),
        )
        return snapshot

    async def snapshot(self, uid: str, *, keep_until_s: int | None = None) -> str:
        """A verified snapshot of an agent, with its object and the attempt that wrote it."""
        snapshot, attempt = str(uuid.uuid4()), str(uuid.uuid4())
        key = f"s/{uid}/{snapshot}"
        await self.world.sql.execute(
            "WITH a AS (SELECT uid, tenant_uid FROM moorage.agent WHERE uid = $1),"
            " t AS (INSERT INTO moorage.attempt (id, agent_uid, tenant_uid, snapshot_id, kind, state, object_key,"
            "       wrapped_key, volume_name, purpose)"
            "       SELECT $2, uid, tenant_uid, $3, 'Snapshot', 'Verified', $4, 'key', '', 'Suspension' FROM a)"
            " INSERT INTO moorage.snapshot (id, agent_uid, tenant_uid, attempt_id, object_key, wrapped_key, taken_at,"
            "  object_bytes, plain_bytes, file_count, sha256, verified_at, keep_until, purpose)"
            " SELECT $3, uid, tenant_uid, $2, $4, 'key', '1970-01-01Z', 1048576, 1, 1, $5, '1970-01-01Z', $6,"
            " 'Suspension' FROM a",
            *(uuid.UUID(uid), uuid.UUID(attempt), uuid.UUID(snapshot), key, hashlib.sha256().digest()),
            None if keep_until_s is None else datetime.fromtimestamp(keep_until_s, UTC),
        )
        self.bucket.objects.add(key)
        return snapshot

    async def record(self, uid: str) -> AgentRecord:
        """The agent as the operator reads it."""
        record = await Agents(self.world.database).load(AgentUid(uid))
        assert record is not None
        return record

    async def look(self, uid: str, *, grace: timedelta = GRACE, deleting: bool = False) -> Outcome | None:
        """One reconcile, repeated until it settles; returns what came of asking to start a purge, if that was asked."""
        asked = None
        for _ in range(10):
            record = await self.record(uid)
            desired = factories.desired(deleting=deleting, grace=grace)
            volumes = self.volumes.get(uid, ())
            decision = transition(record, desired, Observation(pods=(), volumes=volumes, jobs=(), ended=()))
            agents = Agents(self.world.database)
            if decision.record != record and not await agents.save(
                epoch=self.world.epoch, before=record, after=decision.record
            ):
                continue
            for effect in decision.effects:
                if isinstance(effect, do.StartPurge):
                    asked = await self.purges.start(epoch=self.world.epoch, record=await self.record(uid))
                elif isinstance(effect, do.OpenStorage):
                    await self.world.meters.open_storage(epoch=self.world.epoch, agent_uid=uid, stored=effect.stored)
                elif isinstance(effect, do.CloseStorage):
                    await self.world.meters.close_storage(epoch=self.world.epoch, stored=effect.stored)
                elif isinstance(effect, do.FreeVolume):
                    self.volumes[uid] = tuple(one for one in self.volumes[uid] if one.uid != effect.uid)
                    if decision.record.state is AgentState.PURGED:
                        await self.purges.note_volume(epoch=self.world.epoch, agent_uid=uid, volume_uid=effect.uid)
            if not decision.again:
                return asked
        raise AssertionError("the agent does not settle")

    async def tell(self) -> None:
        """Send what is due."""
        await self.purges.tell(epoch=self.world.epoch)

    async def announced(self, uid: str) -> None:
        """Live through the whole grace: all notices are delivered in their time, and the clock stands at its end."""
        await self.look(uid)
        for days in (7, 3, 1):
            await self.world.at(END_S - days * DAY_S)
            await self.tell()
        await self.world.at(END_S)

    async def entombed(self, uid: str) -> None:
        """The grace is over and the tombstone has stood its time."""
        await self.announced(uid)
        await self.look(uid)
        assert (await self.record(uid)).state == "PurgePending"
        await self.world.at(END_S + TOMBSTONE_S)

    async def state(self, uid: str) -> str:
        """Where the agent is."""
        return str((await self.world.record(uid))["state"])

    async def keys(self, uid: str) -> list[bool]:
        """Of every snapshot of an agent, whether its key still exists."""
        rows = await self.world.sql.fetch(
            "SELECT wrapped_key IS NOT NULL AS there FROM moorage.snapshot WHERE agent_uid = $1 ORDER BY id",
            uuid.UUID(uid),
        )
        return [row["there"] for row in rows]

    async def steps(self) -> list[str]:
        """The audit, oldest first."""
        return [done.step for done in reversed(await self.rows.audit(1000))]
