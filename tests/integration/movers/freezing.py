"""One agent, its cluster on paper, and a CSI driver beside it: the reconcile and the copies are real."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec

from moorage.controllers.agent import AgentController
from moorage.controllers.journeys import Journeys
from moorage.kube import kinds
from moorage.model import names
from moorage.model.observation import JobOutcome, JobView, Observation
from moorage.model.snapshots import PART_BYTES, Part, Report, VerifyAnswer, VerifyRequest
from moorage.services.frozen_copies import FrozenCopies
from moorage.services.snapshots import Snapshots
from moorage.store.snapshots import SnapshotRows
from tests import factories
from tests.fakes.apiserver import ApiServer
from tests.fakes.snapshot_controller import SnapshotController
from tests.integration.health.stage import KEY, Paper, Stage, open_stage
from tests.integration.money.world import World

HASH = "ab" * 32
OWN = "data-helper-1"
ROUNDS_MAX = 30
LOOKS_AT_REST = 2


class Cluster(Paper):
    """Paper that keeps mover Jobs too, and whose volumes belong to the driver."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, JobView] = {}
        self.read: dict[str, str] = {}  # by Job the claim that its mover reads

    def agent(self, *_: object) -> Observation:
        """What is there."""
        return replace(super().agent(), jobs=tuple(self.jobs.values()))

    async def apply(self, manifest: Mapping[str, Any]) -> bool:
        """Jobs are there at once; the test plays their movers."""
        name = manifest["metadata"]["name"]
        if manifest["kind"] == "Job" and name not in self.jobs:
            attempt = name.removeprefix("mover-")
            self.jobs[name] = JobView(
                name=name, uid=name, attempt_id=attempt, outcome=JobOutcome.ACTIVE, deleting=False
            )
            volumes = manifest["spec"]["template"]["spec"]["volumes"]
            (claim,) = [item["persistentVolumeClaim"] for item in volumes if item["name"] == "data"]
            self.read[name] = claim["claimName"]
        made = await super().apply(manifest)
        if name == OWN and made:
            self.volumes[name] = replace(self.volumes[name], storage_class="fast")
        return made

    async def delete(self, path: str, **named: object) -> bool:
        """Jobs go at once."""
        self.jobs.pop(path.rpartition("/")[2], None)
        return await super().delete(path, **named)


class Bucket:
    """A store that takes everything."""

    authority_pem = ""

    async def create_multipart(self, key: str) -> str:
        """An upload."""
        return f"upload of {key}"

    async def complete(self, *_: object, **__: object) -> None:
        """Complete."""

    async def abort(self, key: str) -> None:
        """Forget."""

    async def delete(self, key: str) -> None:
        """Forget."""

    async def presign_get(self, key: str, *, seconds: int) -> str:
        """An address."""
        return key


@dataclass
class Reader:
    """Finds what was reported."""

    report: Report | None = None

    async def read(self, _: VerifyRequest, *, object_bytes: int) -> VerifyAnswer:
        """It."""
        assert self.report is not None
        return VerifyAnswer(totals=self.report.totals)


@dataclass
class Story:
    """One agent, its cluster, and the driver beside it."""

    stage: Stage
    cluster: Cluster
    api: ApiServer
    driver: SnapshotController
    copies: FrozenCopies
    reader: Reader = field(default_factory=Reader)

    async def look(self) -> None:
        """Reconcile until it rests, some looks in a row, as bells and waits would; what runs beside is awaited."""
        stage, actuator = self.stage, self.stage.actuator
        fakes: Any = {"objects": _Only(stage), "world": self.cluster, "applier": self.cluster}
        controller = AgentController(
            **fakes, agents=stage.agents, ledger=stage.world.ledger, actuator=actuator, platform=actuator.platform,
            epoch=actuator.epoch, freezable=lambda: self.copies.storage_classes, warm_window=timedelta(hours=24),
            journeys=Journeys(actuator.metrics), guarded=lambda: True,
        )  # fmt: skip
        resting = 0
        for _ in range(ROUNDS_MAX):
            wait = await controller.reconcile(KEY)
            beside = list(actuator._verifying.values())
            await asyncio.gather(*beside)
            resting = 0 if beside or wait == 0.0 else resting + 1
            if resting == LOOKS_AT_REST:
                return
        raise AssertionError(f"the agent does not come to rest: {await stage.record()}")

    async def ask(self) -> None:
        """Somebody asks for a snapshot, and the agent's pod is told to stop."""
        metadata = self.stage.agent.metadata
        asked = msgspec.structs.replace(metadata, annotations={names.ANNOTATION_SNAPSHOT_REQUESTED: "now"})
        self.stage.agent = msgspec.structs.replace(self.stage.agent, metadata=asked)
        await self.look()
        (pod,) = self.cluster.pods.values()
        assert pod.deleting
        del self.cluster.pods[pod.name]

    async def done(self) -> None:
        """The mover says that it has written everything."""
        attempt = (await self.stage.record()).attempt
        assert attempt is not None
        parts = [Part(1, "etag", HASH)]
        self.reader.report = Report(
            attempt=attempt.id, parts=parts, sha256=HASH, object_bytes=PART_BYTES, plain_bytes=9, file_count=1
        )
        rows, pod = SnapshotRows(self.stage.world.database), str(uuid.uuid4())
        assert await rows.claim(attempt.id, pod)
        assert await rows.report(attempt.id, pod, self.reader.report, failure=None)
        await self.look()

    @property
    def reads(self) -> list[str]:
        """The claims that movers have read."""
        return list(self.cluster.read.values())

    @property
    def pods(self) -> list[str]:
        """The pods that nobody has told to stop."""
        return [pod.name for pod in self.cluster.pods.values() if not pod.deleting]

    async def swept(self) -> bool:
        """Sweep until nothing is left to sweep; whether nothing of the copy is left anywhere."""
        while await self.copies.sweep(epoch=self.stage.actuator.epoch.current):
            self.driver.step()
        left = (kinds.VOLUME_SNAPSHOT, kinds.VOLUME_SNAPSHOT_CONTENT, kinds.PERSISTENT_VOLUME_CLAIM)
        return not any(self.api.of(kind) for kind in left) and not self.driver.copies


@dataclass
class _Only:
    stage: Stage

    def agent(self, _: object) -> Any:
        """It."""
        return self.stage.agent

    def domains_of(self, *_: str) -> list[Any]:
        """No host name leads to it."""
        return []


@asynccontextmanager
async def opened(world: World) -> AsyncIterator[Story]:
    """An agent that runs on a volume of a driver that can freeze."""
    api = ApiServer()
    driver = SnapshotController(api)
    driver.install()
    async with open_stage(world, storage={"size": "1Gi"}) as stage, api.serving() as client:
        cluster, copies, reader = Cluster(), FrozenCopies(database=world.database, client=client), Reader()
        await copies.look()
        bucket: Any = Bucket()
        snapshots = Snapshots(
            database=world.database, store=bucket, keyring=stage.actuator.snapshots._keyring, readback=reader,  # type: ignore[arg-type]  # as much of it as is asked here
        )  # fmt: skip
        fakes: Any = {"client": cluster, "applier": cluster}
        stage.actuator = replace(stage.actuator, **fakes, copies=copies, snapshots=snapshots)
        stage.paper = cluster
        story = Story(stage, cluster, api, driver, copies, reader)
        await story.look()
        ready = factories.pod_view(name="helper-1", uid=str(uuid.uuid4()))
        cluster.pods["helper-1"] = replace(
            ready, uid=cluster.pods["helper-1"].uid, spec_hash=cluster.pods["helper-1"].spec_hash, started_at=None
        )
        await story.look()
        yield story
