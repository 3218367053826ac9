"""The database of the simulation answers as the real one does: random scripts are played against both, call by call."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from moorage.model.agent import DesiredState
from moorage.model.errors import LostLeadership
from moorage.model.rates import Meter, Stored
from moorage.model.record import AgentRecord, AgentState, AttemptKind, AttemptState, SnapshotPurpose
from moorage.model.snapshots import Failure, Part, Report, Totals
from moorage.store.agents import Agents, NewAgent
from moorage.store.attempt_row import NewAttempt
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from moorage.store.leftovers import Leftovers
from moorage.store.meters import Meters
from moorage.store.outbox import Outbox
from moorage.store.snapshots import SnapshotRows
from tests.integration.money.world import FAKE_CLOCK, NODE, START_S
from tests.simulation.books import Books
from tests.simulation.catalogue import Catalogue
from tests.simulation.purse import RATE_MICROS
from tests.simulation.tables import AgentTable, Tables, Tenant

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

SEEDS, STEPS = 10, 120
NAMESPACE, TENANT = "mn-acme", "b0000000-0000-4000-8000-000000000001"
KEY = b"wrapped"
# What each database says by a clock of its own, or names in its own way.
APART = {"state_since", "now", "wallet"}


class Pair:
    """Both databases; each call goes to both, and both must give the same answer."""

    def __init__(self, database: Database, admin: "asyncpg.Connection[Any]") -> None:
        self.seconds = float(START_S)
        self.tables = Tables(seconds=lambda: self.seconds)
        self.admin = admin
        self.real = (
            Agents(database),
            SnapshotRows(database),
            Ledger(database),
            Meters(database),
            Outbox(database),
            Leftovers(database),
        )
        self.fake = (AgentTable(self.tables), Catalogue(self.tables), Books(self.tables))
        self.records: dict[str, tuple[AgentRecord, AgentRecord]] = {}

    async def begin(self, rng: random.Random) -> None:
        """One tenant with credit, at the epoch that the real database has."""
        ledger = self.real[2]
        await ledger.publish_rate(size="small", rate_picos=RATE_MICROS * 1_000_000)
        await ledger.set_policy(resume_minimum_seconds=1)
        wallet_id = await ledger.ensure_wallet(epoch=0, name="acme", cr_uid=str(uuid.uuid4()), low_micros=0)
        await self.admin.execute(
            "INSERT INTO moorage.tenant (uid, name, core_namespace, wallet_id) VALUES ($1, 'acme', $2, $3)",
            *(TENANT, NAMESPACE, wallet_id),
        )
        self.tables.tenants[TENANT] = Tenant(TENANT, NAMESPACE, "acme")
        self.tables.add_wallet("acme")
        await self.grant(rng.choice((20, 100_000)))
        await self.prove()

    async def passed(self, seconds: int) -> None:
        """Let both clocks go on."""
        self.seconds += seconds
        await self.admin.execute("UPDATE money.test_clock SET now_s = $1", self.seconds)

    async def prove(self) -> None:
        """The node has run until now."""
        await self.both("prove", 2, 2, epoch=0, proofs={NODE: int(self.seconds)})
        await self.real[2].settle_due(epoch=0)

    async def grant(self, micros: int) -> None:
        """New credit, on both sides."""
        await self.real[2].grant(
            wallet_name="acme", amount_micros=micros, key=str(uuid.uuid4()), reason="test", actor="test"
        )
        self.tables.purses["acme"].grant(micros, int(self.seconds))

    async def both(self, name: str, real: int, fake: int, /, *args: Any, **kwargs: Any) -> Any:
        """One call; the answers are compared as they are, errors by their family."""
        answers: list[Any] = []
        for target in (self.real[real], self.fake[fake]):
            try:
                answer = getattr(target, name)(*args, **kwargs)
                answers.append(await answer if asyncio.iscoroutine(answer) else answer)
            except LostLeadership:
                answers.append(LostLeadership)
        assert _alike(*answers), f"{name} {args} {kwargs}: {answers}"
        return answers[0]

    async def save(self, uid: str, **changes: Any) -> None:
        """Save what was decided on the record that was read last, which may be an old one."""
        real, fake = self.records[uid]
        epoch = changes.pop("epoch", 0)
        answers = []
        for before, save in ((real, self.real[0].save), (fake, self.fake[0].save)):
            try:
                answer = save(epoch=epoch, before=before, after=replace(before, **changes))
                answers.append(await answer if asyncio.iscoroutine(answer) else answer)
            except LostLeadership:
                answers.append(LostLeadership)
        assert _alike(*answers), f"save {changes}: {answers}"

    async def load(self, uid: str) -> AgentRecord:
        """Read a record from both."""
        real, fake = await self.real[0].load(uid), self.fake[0].load(uid)
        assert real is not None
        assert fake is not None
        self.records[uid] = (real, fake)
        assert _shown(real) == _shown(fake)
        assert real.wallet.veto == fake.wallet.veto
        return fake

    async def compare(self) -> None:
        """Everything that one can ask for, on both sides."""
        for uid in self.tables.agents:
            await self.load(uid)
        for attempt_id in self.tables.attempts:
            real, fake = await self.real[1].attempt(attempt_id), self.fake[1].attempt(attempt_id)
            assert real is not None
            assert fake is not None
            shown = [replace(one, granted_at=None) for one in (real, fake)]
            assert shown[0] == shown[1]
            assert (real.granted_at is None) == (fake.granted_at is None)
        assert sorted(await self.real[5].unswept(100)) == sorted(self.fake[1].unswept(100))
        assert sorted(await self.real[0].living()) == sorted(self.fake[0].living())
        assert await self.real[2].open_runs() == self.fake[2].open_runs()
        kept = await self.admin.fetch("SELECT id::text, keep_until IS NULL FROM moorage.snapshot ORDER BY 1")
        assert [tuple(row) for row in kept] == sorted(
            (one.id, one.keep_until is None) for one in self.tables.snapshots.values()
        )
        agents = [key for key in await self.real[4].take() if key.kind == "Agent"]
        assert sorted(agents) == sorted(key for key in self.tables.take() if key.kind == "Agent")
        rows = await self.admin.fetch(
            "SELECT pod_uid::text, started, ended FROM money.run WHERE meter = 'Pod' ORDER BY id"
        )
        assert [tuple(row) for row in rows] == [
            (run.pod_uid, run.started, run.ended) for run in self.tables.purses["acme"].runs
        ]


def _alike(real: object, fake: object) -> bool:
    """A statement that finds no row to write need not notice that its epoch is over."""
    return real == fake or (fake is LostLeadership and not real)


def _shown(record: AgentRecord) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(record).items() if name not in APART}
    times = ("created_at", "granted_at", "taken_at")
    for name in ("attempt", "snapshot", "restore"):
        if shown[name] is not None:
            shown[name] = {key: value for key, value in shown[name].items() if key not in times}
    shown["kept"] = [one["id"] for one in shown["kept"]]
    return shown


class Script:
    """Draws one call after the other; many of them come too late, twice, or from somebody whose time is over."""

    def __init__(self, pair: Pair, rng: random.Random) -> None:
        self.pair, self.rng = pair, rng
        self.steps = (
            self.ensure, self.load, self.load, self.wish, self.move_state, self.move_state, self.archive, self.begin,
            self.begin, self.step, self.step, self.step, self.claim, self.report, self.catalogue, self.fail, self.swept,
            self.open_run, self.open_run, self.close_run, self.storage, self.storage, self.time, self.time, self.top_up,
            self.delete, self.resize, self.keep,
        )  # fmt: skip
        self.pods = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(4)]

    async def play(self) -> None:
        """The whole script."""
        await self.ensure()
        for _ in range(STEPS):
            await self.rng.choice(self.steps)()
            if self.rng.random() < 0.4:
                await self.pair.compare()
        await self.pair.compare()

    @property
    def uid(self) -> str:
        """Some agent."""
        return self.rng.choice(list(self.pair.tables.agents))

    @property
    def attempt(self) -> str:
        """Some attempt, or one that is not there."""
        return self.rng.choice([*self.pair.tables.attempts, str(uuid.UUID(int=0))])

    @property
    def epoch(self) -> int:
        """Mostly the one that counts."""
        return self.rng.choice((0, 0, 0, 0, 0, 0, 0, 5))

    async def ensure(self) -> None:
        name, namespace = self.rng.choice("ab"), self.rng.choice((NAMESPACE, NAMESPACE, "mn-zoo"))
        uid = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        source = self.rng.choice([None, None, None, *self.pair.tables.snapshots])
        new = NewAgent(uid=uid, namespace=namespace, name=name, size="small", restore_from=source)
        await self.pair.both("ensure", 0, 0, epoch=self.epoch, new=new)
        await self.pair.both("is_tenant", 0, 0, namespace)
        await self.pair.compare()
        if not self.pair.tables.agents:
            await self.ensure()

    async def load(self) -> None:
        await self.pair.load(self.uid)

    async def wish(self) -> None:
        """A save that stays in its state, perhaps across a fence."""
        paused = self.rng.choice(tuple(DesiredState)) is DesiredState.SUSPENDED
        retry = self.rng.choice((None, self.pair.tables.now().replace(microsecond=0)))
        await self.pair.save(
            self.uid, epoch=self.epoch, user_paused=paused, retry_at=retry, failures=self.rng.randrange(3),
            stop_recorded=self.rng.random() < 0.5,
        )  # fmt: skip

    async def move_state(self) -> None:
        uid, changes = self.uid, dict[str, Any]({"state": self.rng.choice(STATES)})
        if self.pair.records[uid][1].state is AgentState.DELETED:
            return  # whose name may be somebody else's by now
        if self.rng.random() < 0.3:
            changes["attempt"] = None
        await self.pair.save(uid, epoch=self.epoch, **changes)

    async def archive(self) -> None:
        uid = self.uid
        name = self.rng.choice(("archive", "resnapshot"))
        real, fake = self.pair.records[uid]
        answers = [
            await getattr(self.pair.real[0], name)(epoch=0, before=real),
            getattr(self.pair.fake[0], name)(epoch=0, before=fake),
        ]
        assert answers[0] == answers[1]

    async def begin(self) -> None:
        uid, snapshots = self.uid, list(self.pair.tables.snapshots.values())
        record = self.pair.records[uid][1]
        attempt_id, snapshot_id = (str(uuid.UUID(int=self.rng.getrandbits(128), version=4)) for _ in range(2))
        kind, key = AttemptKind.SNAPSHOT, f"s/{attempt_id}"
        mine = [one for one in snapshots if one.agent_uid == uid]
        if mine and self.rng.random() < 0.5:
            kind, snapshot_id, key = AttemptKind.RESTORE, mine[0].id, mine[0].object_key
        purpose = SnapshotPurpose.DEMAND if kind is AttemptKind.SNAPSHOT else None
        new = NewAttempt(
            id=attempt_id, purpose=purpose, agent_uid=uid, tenant_uid=TENANT, snapshot_id=snapshot_id,
            kind=kind, object_key=key, wrapped_key=KEY, volume_name="data-a-1",
        )  # fmt: skip
        replaces = self.rng.choice((record.attempt.id if record.attempt else None, None))
        await self.pair.both("add", 1, 1, self.epoch, new, node=None, fence=record.fence, replaces=replaces)

    async def step(self) -> None:
        before, after = self.rng.choice(MOVES)
        attempt_id = self.attempt
        row = self.pair.tables.attempts.get(attempt_id)
        if after is AttemptState.STARTED and (row is None or row.granted_at is None):
            return  # the service waits for the grant; the table would refuse the row
        upload_id = self.rng.choice((None, "upload"))
        await self.pair.both("move", 1, 1, self.epoch, attempt_id, before, after, upload_id=upload_id)

    async def claim(self) -> None:
        await self.pair.both("claim", 1, 1, self.attempt, self.rng.choice(self.pods))

    async def report(self) -> None:
        attempt_id = self.attempt
        failure = self.rng.choice((None, None, Failure.MOVER_FAILED))
        report = Report(attempt=attempt_id, parts=[Part(1, "e", "0" * 64)], sha256="1" * 64, object_bytes=10)
        await self.pair.both("report", 1, 1, attempt_id, self.rng.choice(self.pods), report, failure=failure)

    async def catalogue(self) -> None:
        row = self.pair.tables.attempts.get(attempt_id := self.attempt)
        if row is None or row.new.kind is AttemptKind.SNAPSHOT:
            await self.pair.both("catalogue", 1, 1, self.epoch, attempt_id, Totals("1" * 64, 10, 5, 1))

    async def fail(self) -> None:
        await self.pair.both("fail", 1, 1, self.epoch, self.attempt, Failure.CALLED_OFF)

    async def swept(self) -> None:
        if self.rng.random() < 0.2:
            await self.pair.both("end_abandoned", 5, 1, self.epoch)
        await self.pair.both("swept", 5, 1, self.attempt)

    async def open_run(self) -> None:
        pod = self.rng.choice(self.pods)
        taken = [
            run.agent_uid for purse in self.pair.tables.purses.values() for run in purse.runs if run.pod_uid == pod
        ]
        await self.pair.both(
            "open_run", 2, 2, epoch=self.epoch, agent_uid=taken[0] if taken else self.uid, pod_uid=pod,
            container_id="c", node=NODE, size="small", started_s=int(self.pair.seconds) - self.rng.randrange(5),
        )  # fmt: skip

    async def close_run(self) -> None:
        ended = self.rng.choice((None, int(self.pair.seconds) - self.rng.randrange(5)))
        pod = self.rng.choice(self.pods)
        await self.pair.both("close_run", 2, 2, epoch=self.epoch, pod_uid=pod, ended_s=ended, reason="PodGone")

    async def storage(self) -> None:
        name = self.rng.choice(("open_storage", "open_storage", "close_storage"))
        uid = self.uid
        stored = Stored(Meter.VOLUME, f"volume of {uid}", self.rng.choice((1, 2)))
        extra = {"agent_uid": uid} if name == "open_storage" else {}
        await self.pair.both(name, 3, 2, epoch=self.epoch, stored=stored, **extra)

    async def time(self) -> None:
        await self.pair.passed(self.rng.randrange(1, 10))
        await self.pair.prove()

    async def top_up(self) -> None:
        await self.pair.grant(self.rng.choice((10, 30)))

    async def delete(self) -> None:
        if self.rng.random() < 0.3:
            uid, grace = self.uid, timedelta(days=1)
            if self.rng.random() < 0.5:
                await self.pair.both("keep_snapshots", 0, 0, epoch=self.epoch, uid=uid, grace=grace)
            await self.pair.both("mark_deleted", 0, 0, epoch=self.epoch, uid=uid)
            if self.rng.random() < 0.5:
                await self.pair.both("keep_orphaned_snapshots", 0, 0, epoch=self.epoch, grace=grace)

    async def keep(self) -> None:
        await self.pair.both("keep_newest", 0, 0, epoch=self.epoch, uid=self.uid, count=self.rng.randrange(3))

    async def resize(self) -> None:
        await self.pair.both("resize", 0, 0, epoch=self.epoch, uid=self.uid, size="small")


STATES = [state for state in AgentState if not state.startswith(("Purge", "Deleted"))]
MOVES = (
    (AttemptState.CREATED, AttemptState.STARTED),
    (AttemptState.CREATED, AttemptState.STARTED),
    (AttemptState.UPLOADED, AttemptState.COMMITTED),
    (AttemptState.UPLOADED, AttemptState.VERIFIED),
)


@pytest.fixture
async def pair(anyio_backend: str, database_url: str) -> AsyncIterator[Pair]:
    database = await Database.connect(database_url)
    admin = await asyncpg.connect(database_url)
    await admin.execute(FAKE_CLOCK)
    yield Pair(database, admin)
    await admin.close()
    await database.close()


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_every_call_is_answered_alike(pair: Pair, seed: int) -> None:
    rng = random.Random(seed)
    await pair.begin(rng)
    await Script(pair, rng).play()
