"""(d) Zero and (e) resume of one agent on the real node, again and again, beside a bare pod in the same run."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # manifests

from dev import progress
from moorage import settings as knobs
from moorage.desired import agent as desired_agent
from moorage.kube import kinds
from moorage.model import agent as agents
from moorage.model import names
from tests.bench import contestants, rig
from tests.bench.diary import GONE, READY, STOPPING, SUSPENDED, Diary
from tests.bench.report import Row, Section
from tests.bench.rig import BARE, CORE, TENANT, Rig
from tests.bench.wire import Wire

NAME = "helper"
MICROS_PER_SECOND = 1000
SIZES = {"bench": {"cpu": "500m", "memory": "128Mi", "pricePerHour": "3.6"}}
RESUME_MINIMUM_SECONDS = 2
FIRST_SECONDS = 60
RUN_SECONDS = 8
STEP_SECONDS_MAX = 180
DATA_BYTES = 100_000_000
BARE_POD = "a bare pod"
SPEC: dict[str, Any] = {
    "runtime": "chatbot",
    "size": "bench",
    "env": [{"name": "CHATBOT_MEMORY_RETENTION", "value": "Days"}],
    "storage": {"size": "1Gi"},
    "http": {"port": 8080},
}


@dataclass
class Lives:
    """Seconds of every round."""

    asked: list[float] = field(default_factory=list)
    gone: list[float] = field(default_factory=list)
    suspended: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    bare_gone: list[float] = field(default_factory=list)
    bare_ready: list[float] = field(default_factory=list)


def settings(rig_: Rig, **more: Any) -> dict[str, str]:  # Any: whatever becomes JSON
    """Dear and quick: an agent's credit lasts for seconds."""
    return rig_.settings(**({"sizes": SIZES, "resume_minimum_seconds": str(RESUME_MINIMUM_SECONDS)} | more))


def prepare(rig_: Rig, wanted: dict[str, str]) -> None:
    """An empty cluster with operator and API."""
    rig_.empty()
    rig_.start_api(wanted)
    rig_.start_operator(wanted)


def run(rig_: Rig, *, rounds: int) -> list[Section]:
    """One agent lives and is suspended so many times."""
    wanted = settings(rig_)
    prepare(rig_, wanted)
    lives = rig_.inside(lambda: _lives(rig_, wanted, rounds))
    snapshots = rig_.psql("SELECT count(*), min(plain_bytes) FROM moorage.snapshot")
    notes = [f"{rounds} times; verified snapshots and their least plain bytes: {snapshots.replace('|', ', ')}"]
    zero = [
        Row("zero second → the pod is told to stop", lives.asked, "s"),
        Row(
            "zero second → pod gone",
            lives.gone,
            "s",
            4.0,
            beside=lives.bare_gone,
            beside_what=f"{BARE_POD}, deleted → gone",
        ),
        Row("zero second → Suspended, 100 MB verified", lives.suspended, "s", 12.0),
    ]
    back = Row(
        "top-up → Ready, from the kept volume",
        lives.ready,
        "s",
        1.2,
        beside=lives.bare_ready,
        beside_what=f"{BARE_POD}, created → Ready",
    )
    return [Section("zero", zero, notes), Section("resume", [back], [f"{rounds} times, right after the zeros above"])]


async def _lives(rig_: Rig, wanted: dict[str, str], rounds: int) -> Lives:
    lives = Lives()
    agent = manifest(NAME)
    async with Wire.connect(rig_.layout, rig_.token) as wire:
        await rig.open_bare_namespace(wire)
        await rig_.open_tenant(wire, micros=FIRST_SECONDS * MICROS_PER_SECOND, agents=100)
        volume, pod = children(agent, wanted)
        await wire.call("POST", kinds.collection_path(kinds.PERSISTENT_VOLUME_CLAIM, BARE), volume)
        async with (
            Diary(wire, kinds.collection_path(kinds.AGENT, CORE)) as story,
            Diary(wire, kinds.collection_path(kinds.POD, CORE)) as pods,
            Diary(wire, kinds.collection_path(kinds.POD, BARE)) as bare,
        ):
            began = time.time()
            await wire.call("POST", kinds.collection_path(kinds.AGENT, CORE), agent)
            await story.when(READY, NAME, after=began, seconds=STEP_SECONDS_MAX)
            await fill(wire, f"data-{NAME}-1")
            await _bare_life(wire, bare, pod, Lives())  # the first one waits for its volume
            for number in range(rounds + 1):
                if number:
                    began = time.time()
                    await rig_.grant(RUN_SECONDS * MICROS_PER_SECOND, key=f"top-up {number}")
                    lives.ready.append(await story.when(READY, NAME, after=began, seconds=STEP_SECONDS_MAX) - began)
                await _zero(rig_, story, pods, lives if number else Lives(), began)
                await _bare_life(wire, bare, pod, lives if number else Lives())
                progress.say(f"    {number}: {[each[-1:] for each in vars(lives).values()]}")
    return lives


async def _zero(rig_: Rig, story: Diary, pods: Diary, lives: Lives, began: float) -> None:
    gone = await pods.first(GONE, is_agent_pod, count=1, after=began, seconds=STEP_SECONDS_MAX)
    suspended = await story.when(SUSPENDED, NAME, after=began, seconds=STEP_SECONDS_MAX)
    zero = zero_second(rig_)
    asked = await pods.first(STOPPING, is_agent_pod, count=1, after=began, seconds=STEP_SECONDS_MAX)
    lives.asked.append(min(asked.values()) - zero)
    lives.gone.append(min(gone.values()) - zero)
    lives.suspended.append(suspended - zero)


async def _bare_life(wire: Wire, bare: Diary, pod: dict[str, Any], lives: Lives) -> None:
    path, name = kinds.collection_path(kinds.POD, BARE), pod["metadata"]["name"]
    began = time.time()
    await wire.call("POST", path, pod)
    lives.bare_ready.append(await bare.when(READY, name, after=began, seconds=STEP_SECONDS_MAX) - began)
    await asyncio.sleep(RUN_SECONDS)  # as long as the agent lived
    began = time.time()
    await wire.call("DELETE", f"{path}/{name}")
    lives.bare_gone.append(await bare.when(GONE, name, after=began, seconds=STEP_SECONDS_MAX) - began)


def is_agent_pod(name: str) -> bool:
    """Whether this pod is an agent's, not a mover's."""
    return not name.startswith("mover-")


def zero_second(rig_: Rig) -> int:
    """The second at which the wallet could not pay any more."""
    return int(rig_.psql(f"SELECT cut_at FROM money.wallet WHERE name = '{TENANT}'"))


def manifest(name: str, **spec: Any) -> dict[str, Any]:
    """An agent that runs the real chatbot."""
    metadata = {"name": name, "namespace": CORE}
    return {"apiVersion": names.API_VERSION, "kind": "Agent", "metadata": metadata, "spec": {**SPEC, **spec}}


def children(agent: dict[str, Any], wanted: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The very volume and pod an agent would get, but nobody's, in the namespace of nobody."""
    identified = {**agent, "metadata": {**agent["metadata"], "uid": "00000000-0000-4000-8000-000000000000"}}
    made = desired_agent.children(
        agents.from_manifest(identified),
        volume_generation=1,
        incarnation=1,
        platform=knobs.platform(knobs.load({**wanted, **contestants.OPEN})),
        with_pod=True,
    )
    plain = {each["kind"]: each | {"metadata": _plain(each["metadata"])} for each in made}
    return plain["PersistentVolumeClaim"], plain["Pod"]


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    return {"name": metadata["name"], "namespace": BARE, "annotations": metadata.get("annotations", {})}


async def fill(wire: Wire, claim: str, size: int = DATA_BYTES) -> None:
    """Put data on a volume, through the folder on this machine that it is: half random, half text."""
    found = await wire.get(kinds.object_path(kinds.PERSISTENT_VOLUME_CLAIM, CORE, claim))
    volume = await wire.get(f"/api/v1/persistentvolumes/{found['spec']['volumeName']}")
    source = volume["spec"].get("hostPath") or volume["spec"]["local"]
    text = b"2026-01-01T00:00:00Z the agent said something that a log keeps\n"
    (Path(source["path"]) / "random").write_bytes(random.Random(7).randbytes(size // 2))
    (Path(source["path"]) / "text").write_bytes(text * (size // 2 // len(text)))
