"""One agent on a real ledger and a cluster of paper: the reconcile is real, and the test plays the kubelet."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from moorage.controllers.actuator import Actuator
from moorage.controllers.agent import AgentController
from moorage.controllers.journeys import Journeys
from moorage.controllers.leading import Epoch
from moorage.desired import agent as desired_agent
from moorage.model.agent import Agent
from moorage.model.clock import from_epoch
from moorage.model.errors import Permanent
from moorage.model.names import AgentUid, Key, PodUid
from moorage.model.observation import Observation, PodPhase, PodView, VolumeView
from moorage.model.reasons import Reason
from moorage.model.record import AgentRecord
from moorage.observability import Metrics
from moorage.providers.recorded_notices import RecordedNotices
from moorage.services.keyring import Keyring
from moorage.services.purges import Purges
from moorage.services.snapshots import Snapshots
from moorage.store.agents import Agents
from moorage.store.purges import PurgeRows
from tests import factories
from tests.fakes import keys
from tests.integration.money.world import NODE, START_S, World

KEY = Key("Agent", "mn-acme", "helper")
RECONCILES_MAX = 20
CREDITS_MICROS = 1_000_000
FRESH_POD: dict[str, Any] = {
    "phase": PodPhase.PENDING, "ready": False, "node": None, "container_id": None, "started_at": None, "image_id": None,
}  # fmt: skip


def at(second: int) -> datetime:
    """A second of the ledger's clock, counted from the start of the test."""
    return from_epoch(START_S + second)


@dataclass
class Paper:
    """The cluster: what was applied is there, what was deleted is on its way out, and the test does the rest."""

    pods: dict[str, PodView] = field(default_factory=dict)
    volumes: dict[str, VolumeView] = field(default_factory=dict)
    selector: dict[str, str] = field(default_factory=dict)  # of the agent's service
    labels: dict[str, dict[str, str]] = field(default_factory=dict)  # of its pods
    ended: tuple[tuple[PodUid, datetime], ...] = ()
    closed: bool = True  # the core namespace
    refusal: Reason | None = None  # how the server answers to a new pod
    status: dict[str, Any] = field(default_factory=dict)

    def agent(self, *_: object) -> Observation:
        """What is there."""
        return Observation(
            pods=tuple(self.pods.values()), volumes=tuple(self.volumes.values()), jobs=(), ended=self.ended
        )

    def sheltered(self, *_: object) -> bool:
        """Whether the core namespace is closed."""
        return self.closed

    async def apply(self, manifest: Mapping[str, Any]) -> bool:
        """Make what is not there; pods wait for the test to start them, volumes are there at once."""
        name = manifest["metadata"]["name"]
        match manifest["kind"]:
            case "Pod" if name not in self.pods:
                if self.refusal is not None:
                    raise Permanent(self.refusal)
                spec_hash = manifest["metadata"]["annotations"]["moorage.dev/spec-hash"]
                uid = PodUid(str(uuid.uuid4()))
                self.labels[name] = manifest["metadata"]["labels"]
                self.pods[name] = factories.pod_view(**FRESH_POD | {"name": name, "uid": uid, "spec_hash": spec_hash})
            case "PersistentVolumeClaim" if name not in self.volumes:
                self.volumes[name] = factories.volume_view(name=name, uid=str(uuid.uuid4()))
            case "Service":
                self.selector = manifest["spec"]["selector"]
            case _:
                return False
        return True

    async def apply_status(self, _kind: object, _metadata: object, wanted: dict[str, Any], **_: object) -> bool:
        """Keep what people see."""
        self.status = wanted
        return True

    async def make_sure(self, *_: object) -> None:
        """Nothing is doubted here."""

    async def set_finalizer(self, *_: object) -> bool:
        """Accepted."""
        return False

    async def delete(self, path: str, **_: object) -> bool:
        """Pods are asked to go, as without force; volumes go."""
        name = path.rpartition("/")[2]
        if name in self.pods:
            self.pods[name] = replace(self.pods[name], deleting=True)
        self.volumes.pop(name, None)
        return True

    def served(self) -> list[str]:
        """The pods that the agent's service leads to, ready or not."""
        wanted = self.selector.items()
        return [name for name in self.pods if wanted <= self.labels[name].items()]


@dataclass
class Stage:
    """The agent `helper` of a wallet with a credit."""

    world: World
    paper: Paper
    agents: Agents
    actuator: Actuator
    uid: str
    agent: Agent
    node_lost_after: timedelta = timedelta(minutes=5)
    guarded: bool = True

    async def look(self) -> None:
        """Reconcile until nothing more is to be done at once."""
        epoch = self.actuator.epoch
        fakes: Any = {"objects": _One(self.agent), "world": self.paper, "applier": self.paper}
        controller = AgentController(
            **fakes, agents=self.agents, ledger=self.world.ledger, actuator=self.actuator,
            platform=self.actuator.platform, epoch=epoch, warm_window=timedelta(hours=24),
            node_lost_after=self.node_lost_after, freezable=frozenset,
            guarded=lambda: self.guarded, journeys=Journeys(self.actuator.metrics),
        )  # fmt: skip
        for _ in range(RECONCILES_MAX):
            if await controller.reconcile(KEY) != 0.0:
                return
        raise AssertionError(f"the agent does not come to rest: {await self.record()}")

    async def starts(self, second: int = 0, **changes: Any) -> PodView:
        """Let the agent's pod run from a second on, and reconcile before and after."""
        await self.look()
        running = {"phase": PodPhase.RUNNING, "ready": True, "node": NODE, "container_id": "containerd://1"}
        return await self.shows(**running | {"started_at": at(second)} | changes)

    async def shows(self, **changes: Any) -> PodView:
        """Change what is seen of the newest pod, and reconcile."""
        if not self.paper.pods:
            await self.look()
        name = max(self.paper.pods, key=lambda each: int(each.rpartition("-")[2]))
        self.paper.pods[name] = replace(self.paper.pods[name], **changes)
        await self.look()
        return self.paper.pods.get(name, self.paper.pods[name])

    async def vanishes(self, name: str) -> None:
        """The API server has removed a pod: its kubelet had said that it is gone."""
        del self.paper.pods[name]
        await self.look()

    async def edit(self, **spec: Any) -> None:
        """Apply the agent with another spec, and reconcile."""
        self.agent = _agent(self.uid, **spec)
        await self.look()

    async def record(self) -> AgentRecord:
        """The record as it stands."""
        found = await self.agents.load(self.uid)
        assert found is not None
        return found

    async def passed(self, second: int, *, proven: int | None = None) -> None:
        """Time goes on, with the node's proof unless it is silent, and everybody is charged."""
        await self.world.at(START_S + second)
        await self.world.prove(node_a=START_S + (second if proven is None else proven))
        await self.world.settle()

    async def paid_seconds(self) -> int:
        """What the wallet has been charged for pods, in seconds of this agent."""
        await self.world.settle()
        runs = await self.world.sql.fetchval("SELECT count(*) FROM money.run WHERE meter = 'Pod' AND ended IS NULL")
        assert runs <= 1, "never two open runs of an agent"
        paid = CREDITS_MICROS - (await self.world.see()).balance_micros
        seconds, rest = divmod(paid, 10)
        assert rest == 0
        return seconds

    def said(self, kind: str) -> str:
        """The reason of a condition."""
        return next(str(item["reason"]) for item in self.paper.status["conditions"] if item["type"] == kind)


@dataclass
class _One:
    only: Agent

    def agent(self, _: Key) -> Agent:
        """It."""
        return self.only

    def domains_of(self, *_: str) -> list[Key]:
        """No host name leads to it."""
        return []


def _agent(uid: str, **spec: Any) -> Agent:
    made = factories.agent(status={"observedGeneration": 1}, **spec)
    return msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, uid=uid))


@contextlib.asynccontextmanager
async def open_stage(world: World, *, keyring: Keyring | None = None, **spec: Any) -> AsyncIterator[Stage]:
    """A stage whose agent has no pod yet."""
    await world.wallet(micros=CREDITS_MICROS)
    uid = await world.agent("helper")
    # Not new any more: what is only starting is told at once.
    await world.sql.execute("UPDATE moorage.agent SET state_since = to_timestamp(money.clock()) - interval '1 hour'")
    agent = _agent(uid, **spec)
    epoch = Epoch()
    epoch.lead(world.epoch)
    paper, agents, platform = Paper(), Agents(world.database), factories.platform()
    fakes: Any = {"client": paper, "applier": paper, "copies": None}
    no_store: Any = None  # an attempt begins without asking it
    snapshots = Snapshots(database=world.database, store=no_store, keyring=keyring or keys.keyring(world.database))
    purges = Purges(rows=PurgeRows(world.database), store=no_store, notices=RecordedNotices(), metrics=Metrics())
    actuator = Actuator(
        **fakes, agents=agents, ledger=world.ledger, meters=world.meters, snapshots=snapshots, platform=platform,
        epoch=epoch, snapshot_grace=timedelta(days=1), ring=lambda *_: None, metrics=Metrics(), purges=purges,
    )  # fmt: skip
    assert desired_agent.check(agent, platform) is None
    yield Stage(world, paper, agents, actuator, AgentUid(uid), agent)
