"""The real operator over the fakes: wired as the process is, without what no agent's life depends on."""

import random
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from moorage import clockwork, operation
from moorage.controllers.actuator import Actuator
from moorage.controllers.agent import AgentController
from moorage.controllers.agent_bell import AgentBell
from moorage.controllers.journeys import Journeys
from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.controllers.workqueue import KeyedQueue
from moorage.jobs.sweep_orphans import SweepOrphans
from moorage.kube import crds
from moorage.kube.apply import Applier
from moorage.kube.observe import World
from moorage.model.errors import LostLeadership, MoorageError
from moorage.model.names import Key
from moorage.observability import Metrics
from moorage.services.snapshots import Snapshots
from tests import factories
from tests.fakes import keys
from tests.simulation import virtual_time
from tests.simulation.api_client import ApiClient
from tests.simulation.books import Books
from tests.simulation.bucket import Bucket, Reader
from tests.simulation.catalogue import Catalogue
from tests.simulation.cluster import Cluster
from tests.simulation.stage import Life, Stage
from tests.simulation.tables import AgentTable, Tables
from tests.simulation.wire import Remote, Service, Wire

METRICS = Metrics()  # nobody reads them; making them anew would cost more than a short life
PLATFORM = factories.platform()
KEYRING = keys.keyring()
STANDBY_SECONDS, RENEW_SECONDS, PROVE_SECONDS, SWEEP_SECONDS = 1.0, 5.0, 10.0, 600.0
SNAPSHOT_GRACE = timedelta(days=30)
NODE_LOST_AFTER = timedelta(seconds=20)  # soon, so that it happens while nodes are silent


class Operator:
    """One process: its wires, its memory, and what it does until it dies."""

    def __init__(
        self, stage: Stage, life: Life, cluster: Cluster, tables: Tables, bucket: Bucket, *,
        holder: str, services: dict[str, Service], warm_window: timedelta,
    ) -> None:  # fmt: skip
        self.stage, self.life, self.tables, self.holder = stage, life, tables, holder
        self.rng = stage.chance(life.name)
        wire = {name: Wire(stage, life, service, self._rng_of(name)) for name, service in services.items()}
        self.database, self.api, self.store = wire["database"], wire["api"], wire["store"]
        self.epoch, self.objects = Epoch(), Objects()
        client: Any = ApiClient(self.api, cluster)
        self.client = client
        controllers: dict[str, operation.Reconcile] = {
            "Agent": self._reconcile,
            "Wallet": _nothing,
            "Namespace": _nothing,
        }
        self.queue: KeyedQueue[Key] = KeyedQueue(
            operation.measured(controllers, METRICS, self.rng), lane_of=lambda key: key.namespace, rng=self.rng
        )
        self.world = World(client, self.queue.add, clock=stage.loop.time, now=stage.now, rng=self.rng)
        agents: Any = Remote(self.database, AgentTable(tables))
        self.books: Any = Remote(self.database, Books(tables))
        self.agents = agents
        reader: Any = Reader(self.store, bucket)
        store: Any = Remote(self.store, bucket)
        nothing: Any = None
        snapshots = Snapshots(database=nothing, store=store, keyring=KEYRING, readback=reader)
        rows: Any = Remote(self.database, Catalogue(tables))
        snapshots._rows = snapshots._leftovers = rows
        self.snapshots = snapshots
        applier = Applier(client, self.world, now=stage.now)
        actuator = Actuator(
            client=client, applier=applier, agents=agents, ledger=self.books, meters=self.books, snapshots=snapshots,
            purges=nothing,
            copies=nothing,
            platform=PLATFORM, epoch=self.epoch, snapshot_grace=SNAPSHOT_GRACE, ring=self.queue.add, metrics=METRICS,
        )  # fmt: skip
        self.controller = AgentController(
            objects=self.objects, world=self.world, applier=applier, agents=agents, ledger=self.books,
            actuator=actuator, platform=PLATFORM, epoch=self.epoch, warm_window=warm_window,
            freezable=frozenset, guarded=lambda: True, node_lost_after=NODE_LOST_AFTER, journeys=Journeys(METRICS),
        )  # fmt: skip

    @property
    def leads(self) -> bool:
        """Whether it believes to lead."""
        return self.epoch._value is not None

    def start(self) -> None:
        """Begin to live."""
        self.life.run(self.stage.loop.create_task, self._live())

    def ring(self, key: Key) -> None:
        """A wake-up arrives."""
        if self.life.alive:
            self.life.run(self.queue.add, key, True)

    async def _live(self) -> None:
        life, stage = self.life, self.stage
        stage.loop.create_task(self.world.run())
        await self.world.listed()
        while (epoch := await self._lead()) is None:
            await virtual_time.passed(STANDBY_SECONDS)
        stage.tell(life.name, "leads with epoch", epoch)
        self.epoch.lead(epoch)
        life.epoch = epoch
        self.queue.fatal = self._fatal
        try:
            await self.world.refresh()
            await self._close_vanished()
        except MoorageError as error:
            life.die(f"cannot start: {error}")
            return
        bell = AgentBell(self.client, self.objects, self.queue.add, clock=stage.loop.time, rng=self.rng)
        stage.loop.create_task(bell.run())
        stage.loop.create_task(self._sweep())
        stage.later(RENEW_SECONDS, self._renew)
        stage.later(PROVE_SECONDS * self.rng.random(), self._prove)

    async def _lead(self) -> int | None:
        try:
            epoch: int | None = await self.database.call("take the lead", lambda: self.tables.lead(self.holder))
        except MoorageError:
            return None
        return epoch

    async def _close_vanished(self) -> None:
        parts: Any = SimpleNamespace(ledger=self.books, world=self.world, epoch=self.epoch)
        await clockwork._close_vanished(parts)

    async def _sweep(self) -> None:
        sweeper = SweepOrphans(
            self.agents, self.books, self.books,
            exists=lambda uid, namespace, name: crds.agent_exists(self.client, uid, namespace, name),
            has_pods=self.world.has_pods, ends=self.world.ends_of, epoch=lambda: self.epoch.current,
            grace=SNAPSHOT_GRACE,
        )  # fmt: skip
        while True:
            await self._quietly(sweeper.sweep)
            await self._quietly(lambda: self.snapshots.sweep(epoch=self.epoch.current))
            await virtual_time.passed(SWEEP_SECONDS)

    async def _quietly(self, do: Callable[[], Any]) -> None:
        try:
            await do()
        except LostLeadership as error:
            self._fatal(error)
        except MoorageError:
            pass

    # What costs no task: the jobs of the clock.

    def _renew(self) -> None:
        if not self.life.alive:
            return
        if self._reaches_database() and not self.tables.renew(self.epoch.current):
            self._fatal(LostLeadership("another process leads"))
            return
        self.stage.later(RENEW_SECONDS, self._renew)

    def _prove(self) -> None:
        if not self.life.alive:
            return
        if self._reaches_database():
            try:
                Books(self.tables).prove(epoch=self.epoch.current, proofs=self.world.node_proofs())
            except LostLeadership as error:
                self._fatal(error)
                return
        self.stage.later(PROVE_SECONDS, self._prove)

    def _reaches_database(self) -> bool:
        return self.database.open and self.life.frozen is None

    def _fatal(self, error: BaseException) -> None:
        self.life.die(f"ends: {error!r}")

    async def _reconcile(self, key: Key) -> float | None:
        return await self.controller.reconcile(key)

    def _rng_of(self, name: str) -> random.Random:
        return self.stage.chance(f"{name} of {self.life.name}")


async def _nothing(key: Key) -> None:
    """Wallets and Namespaces only show sums over agents."""
