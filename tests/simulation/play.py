"""One play from one seed: a house with everything in it, a while of trouble, then quiet, and what must then be true."""

import asyncio
import contextlib
import logging
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from moorage.kube import kinds
from moorage.model import names
from moorage.model.names import SnapshotId
from moorage.services.mover_sessions import MoverSessions
from tests.simulation import outcome, virtual_time
from tests.simulation.bucket import Bucket
from tests.simulation.catalogue import Catalogue
from tests.simulation.cluster import ADDED, Cluster, Place
from tests.simulation.disks import Disks
from tests.simulation.judge import Judge
from tests.simulation.kubelets import Kubelets
from tests.simulation.movers import Movers
from tests.simulation.operators import KEYRING, Operator
from tests.simulation.stage import Life, Stage, task_factory
from tests.simulation.tables import Tables, Tenant
from tests.simulation.trouble import Trouble
from tests.simulation.wire import Remote, Service, Wire

NAMESPACE, TENANT_UID, WALLET = "mn-acme", "tenant-1", "acme"
MANAGED = {"moorage.dev/managed": "true"}
ISOLATED = {"moorage.dev/tenant-uid": TENANT_UID, "pod-security.kubernetes.io/enforce": "restricted"}
# Without these nothing starts in the tenant's core namespace.
CLOSED: dict[tuple[str, str, str], dict[str, Any]] = {
    ("namespaces", "", NAMESPACE): {"metadata": {"labels": MANAGED | ISOLATED}},
    ("networkpolicies", NAMESPACE, "moorage-default-deny"): {
        "metadata": {"labels": MANAGED},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    },
}
RESTART_SECONDS = (1.0, 20.0)
POINTS_MAX = 150
# The longest back-off, a mover that hangs to its limit, and a good reserve.
QUIET_SECONDS_MAX = 4 * 3600.0
LOOK_SECONDS = 5.0
LATEST_SECONDS = 70.0
QUIET_SECONDS = 30.0

# The calls of an operator; in each of them some die, before the work is done and after it.
CALLS = (
    "load", "ensure", "save", "archive", "attempt", "add", "move", "catalogue", "fail", "open_run", "close_run",
    "create_multipart", "complete", "presign_get", "read back", "head", "abort", "delete", "keep_snapshots",
    "APPLY agents", "APPLY agents/status", "APPLY persistentvolumeclaims", "POST pods", "POST jobs", "DELETE pods",
    "DELETE jobs", "DELETE persistentvolumeclaims", "PATCH agents", "take the lead", "open_runs",
)  # fmt: skip


@dataclass(frozen=True)
class Plot:
    """What this seed's play is about."""

    storage: bool
    agents: int
    nodes: int
    standby: bool
    warm_window: timedelta
    trouble_seconds: float
    dies: float  # the share of operators that die at a point of their own
    end: str
    micros: int
    movers_max: int
    recovers: bool

    @classmethod
    def of(cls, rng: random.Random) -> "Plot":
        """Draw one."""
        recovers = rng.random() < 0.3
        return cls(
            storage=rng.random() < 0.92,
            agents=rng.choice((1, 1, 1, 2)),
            nodes=1 + (recovers or rng.random() < 0.3),
            standby=rng.random() < 0.25,
            warm_window=timedelta(seconds=rng.choice((0, 0, 15, 90))),
            trouble_seconds=rng.uniform(40.0, 200.0),
            dies=rng.choice((0.3, 0.8)),
            end=rng.choice(("run", "run", "zero", "pause", "delete")),
            micros=rng.choice((15, 60, 100_000)),
            movers_max=rng.choice((1, 10)),
            recovers=recovers,
        )


@dataclass
class House:
    """Everything of one play."""

    stage: Stage
    plot: Plot
    operators: list[Operator] = field(default_factory=list)
    services: dict[str, Service] = field(default_factory=dict)

    def __post_init__(self) -> None:
        stage = self.stage
        self.rng = stage.chance("house")
        self._lives, self._delivering = 0, False
        self.services = {name: Service(name) for name in ("api", "database", "store")}
        self.cluster, self.bucket = Cluster(stage), Bucket()
        self.tables = Tables(seconds=lambda: stage.seconds, rung=self._rung, movers_max=self.plot.movers_max)
        self.disks = Disks(stage, self.cluster)
        self.judge = Judge(stage, self.cluster, self.disks, self.bucket, self.tables)
        self.kubelets = Kubelets(stage, self.cluster, self.disks, self.judge, nodes=self.plot.nodes)
        self.movers = Movers(
            stage, self.cluster, self.disks, self.judge, self.kubelets, self.bucket, sessions=self._sessions()
        )
        self.judge.kubelets, self.judge.movers = self.kubelets, self.movers
        self.tables.tenants[TENANT_UID] = Tenant(TENANT_UID, NAMESPACE, WALLET)
        for place, manifest in CLOSED.items():
            self.cluster.put(place, manifest)
        self.purse = self.tables.add_wallet(WALLET)
        self.purse.grant(self.plot.micros, int(stage.seconds))
        self.cluster.hooks.append(self._collect)

    def _sessions(self) -> MoverSessions:
        """The API process, as movers reach it."""
        life, nothing = Life(self.stage, "api"), None
        wires = {name: Wire(self.stage, life, self.services[name], self.rng) for name in ("database", "store")}
        database: Any = nothing
        store: Any = Remote(wires["store"], self.bucket)
        sessions = MoverSessions(database=database, store=store, keyring=KEYRING)
        rows: Any = Remote(wires["database"], Catalogue(self.tables))
        sessions._rows = rows
        return sessions

    # The operator and whoever starts it again.

    def spawn(self, holder: str) -> None:
        """Start an operator; when it dies, another one of its name is started."""
        self._lives += 1
        dies = not self.stage.calm and self.rng.random() < self.plot.dies
        life = Life(self.stage, f"{holder}#{self._lives}", dies_at=self._point_of_death() if dies else None)
        operator = Operator(
            self.stage, life, self.cluster, self.tables, self.bucket,
            holder=holder, services=self.services, warm_window=self.plot.warm_window,
        )  # fmt: skip
        self.operators = [one for one in self.operators if one.life.alive] + [operator]
        life.died = lambda: self.stage.later(self.rng.uniform(*RESTART_SECONDS), self.spawn, holder)
        operator.start()

    def _point_of_death(self) -> int | str:
        """Some point of its life, or the first time that it gets to one of these."""
        if self.rng.random() < 0.5:
            return self.rng.randrange(1, POINTS_MAX)
        return f"{self.rng.choice(('before', 'after'))} {self.rng.choice(CALLS)}"

    def leaders(self) -> list[Operator]:
        """Who believes to lead and reaches the database."""
        return [one for one in self.operators if one.life.alive and one.leads and one._reaches_database()]

    def _rung(self) -> None:
        if not self._delivering:
            self._delivering = True
            self.stage.later(self.rng.random() ** 3, self._deliver)

    def _deliver(self) -> None:
        """The outbox is emptied by whoever believes to lead; a notification is a hint, a poll a second the truth."""
        leaders = self.leaders()
        if leaders:
            self._delivering = False
            leader = self.rng.choice(leaders)
            for key in self.tables.take():
                leader.ring(key)
        else:
            self.stage.later(1.0, self._deliver)

    # The tenant.

    def create(self, name: str) -> None:
        """Apply an Agent, if the name is free."""
        place = (kinds.AGENT.plural, NAMESPACE, name)
        if place in self.cluster.objects:
            return
        spec: dict[str, Any] = {"runtime": "chatbot", "size": "small", "desiredState": "Running"}
        if self.plot.storage:
            spec["storage"] = {"size": "1Gi"}
        known = [one.id for one in self.tables.snapshots.values() if one.object_key in self.bucket.objects]
        if known and self.plot.storage and self.rng.random() < 0.5:
            spec["restoreFrom"] = {"snapshot": names.snapshot_name(SnapshotId(self.rng.choice(known)))}
        if self.plot.recovers:
            spec["recovery"] = "FromSnapshot"
        self.stage.tell("tenant", f"creates {name}")
        self.cluster.put(place, {"metadata": {}, "spec": spec})

    def edit(self, place: Place, **spec: Any) -> None:
        """Change an Agent's spec."""
        agent = self.cluster.objects.get(place)
        if agent is not None and not agent["metadata"].get("deletionTimestamp"):
            self.stage.tell("tenant", f"edits {place[2]}", spec)
            self.cluster.edit(place, spec={**agent["spec"], **spec})

    def delete(self, place: Place) -> None:
        """Delete an Agent."""
        agent = self.cluster.objects.get(place)
        if agent is not None and not agent["metadata"].get("deletionTimestamp"):
            self.stage.tell("tenant", f"deletes {place[2]}")
            self.cluster.remove_kindly(place)

    def top_up(self, micros: int) -> None:
        """Buy credit."""
        self.stage.tell("tenant", "tops up", micros)
        self.purse.grant(micros, int(self.stage.seconds))
        self.tables.wake("Wallet", "", WALLET)

    def agents(self) -> list[Place]:
        """The Agents that are there."""
        return [place for place, _ in self.cluster.of(kinds.AGENT)]

    def _collect(self, type_: str, place: Place, old: Any, new: Any) -> None:
        """The garbage collector: what a vanished Agent owned goes after it, also what is made for it later."""
        if type_ == ADDED:
            for owner in new["metadata"].get("ownerReferences", ()):
                self.stage.later(10.0, self._collect_if_gone, owner["uid"])
        if place[0] == kinds.AGENT.plural and new is None:
            self.stage.tell("cluster", f"{place[2]} is gone", old["metadata"]["uid"])
            self.stage.later(2.0 * self.rng.random(), self._collect_of, old["metadata"]["uid"])

    def _collect_if_gone(self, uid: str) -> None:
        if all(agent["metadata"]["uid"] != uid for _, agent in self.cluster.of(kinds.AGENT)):
            self._collect_of(uid)

    def _collect_of(self, uid: str) -> None:
        for place, obj in list(self.cluster.objects.items()):
            owners = obj["metadata"].get("ownerReferences", ())
            if any(owner["uid"] == uid for owner in owners) and not obj["metadata"].get("deletionTimestamp"):
                self.cluster.remove_kindly(place)

    # The two halves of a play.

    async def play(self) -> None:
        """Trouble, then quiet."""
        for name in ("bot", "rob")[: self.plot.agents]:
            self.create(name)
        for holder in ("operator-0", "operator-1")[: 1 + self.plot.standby]:
            self.spawn(holder)
        await Trouble(self).last(self.plot.trouble_seconds)
        if self.stage.broken:
            return
        self._end()
        await self._settles()

    def _end(self) -> None:
        """The last wishes, which nothing disturbs any more."""
        self.stage.tell("tenant", f"wants in the end: {self.plot.end}")
        if self.plot.end == "zero":
            self.purse.balance = min(self.purse.balance, 40)
        else:
            self.top_up(1_000_000)
        for place in self.agents():
            if self.plot.end == "delete":
                self.delete(place)
            else:
                self.edit(place, desiredState="Suspended" if self.plot.end == "pause" else "Running")

    async def _settles(self) -> None:
        begun, missing = self.stage.loop.time(), ["nobody has looked"]
        while missing and self.stage.loop.time() - begun < QUIET_SECONDS_MAX:
            await virtual_time.passed(LOOK_SECONDS)
            if self.stage.broken:
                return
            missing = outcome.missing(self)
            if not missing:  # what is told late is told by now
                await virtual_time.passed(LATEST_SECONDS)
                missing = outcome.missing(self)
        if missing:
            self.stage.wrong(f"after all faults ended it does not come to rest: {'; '.join(missing)}")
            return
        self.stage.tell("JUDGE", f"settled after {self.stage.loop.time() - begun:.0f} s")
        await self._looked_at()  # what agents of one wallet show of each other's spending may have grown old
        before = self.cluster.writes
        await self._looked_at()
        if self.cluster.writes != before:
            self.stage.wrong("a settled agent is written to again")

    async def _looked_at(self) -> None:
        for operator in self.operators:
            for place in self.agents():
                operator.ring(outcome.key_of(place))
        await virtual_time.passed(QUIET_SECONDS)


@dataclass(frozen=True)
class Ended:
    """How a play ended: with nothing broken, or with a history to read."""

    seed: int
    broken: tuple[str, ...]
    tail: str
    virtual_seconds: float
    points: int
    deaths: tuple[str, ...]
    visited: frozenset[str]


def run(seed: int, *, lines: int = 80) -> Ended:
    """Play one seed to its end."""
    with asyncio.Runner(loop_factory=virtual_time.VirtualLoop) as runner:
        return runner.run(_run(seed, lines))


async def _run(seed: int, lines: int) -> Ended:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(task_factory)
    stage = Stage(seed)
    loop.set_exception_handler(lambda _, context: stage.wrong(f"bug: {context}"))
    with _seeded_ids(stage.chance("ids")), _bugs_told(stage):
        house = House(stage, Plot.of(stage.chance("plot")))
        stage.tell("plot", repr(house.plot))
        await house.play()
        points = sum(operator.life.points for operator in house.operators)
        for operator in house.operators:
            operator.life.died = lambda: None
            operator.life.die("the play is over")
    return Ended(
        seed, tuple(stage.broken), stage.tail(lines), loop.time(), points, tuple(stage.deaths), frozenset(stage.visited)
    )


@contextlib.contextmanager
def _seeded_ids(rng: random.Random) -> Iterator[None]:
    """Identifiers from the seed, so that a play is the same each time."""
    real = uuid.uuid4
    uuid.uuid4 = lambda: uuid.UUID(int=rng.getrandbits(128), version=4)
    try:
        yield
    finally:
        uuid.uuid4 = real


@contextlib.contextmanager
def _bugs_told(stage: Stage) -> Iterator[None]:
    """An error with a traceback in the operator's log is a bug, also when the operator gets over it."""

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1] is not None:
                stage.wrong(f"bug in the operator: {record.getMessage()}: {record.exc_info[1]!r}")

    logger, handler = logging.getLogger("moorage"), Told()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
