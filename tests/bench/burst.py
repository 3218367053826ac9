"""(a) Burst: so many Agents created at once on the fake node, beside as many bare pods in the same run."""

import asyncio
import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any  # manifests

from dev import processes, progress
from moorage import settings as knobs
from moorage.desired import agent as desired_agent
from moorage.kube import kinds
from moorage.model import agent as agents
from moorage.model import names
from tests.bench import fake_node, meters, rig
from tests.bench.rig import BARE, CORE, OPERATOR_METRICS, STATIC_CLASS, Rig
from tests.bench.wire import Event, Wire

# Work that trails the last Ready is still charged to those who caused it.
TRAIL_SECONDS = 3.0
READY_SECONDS_MAX = 240
SIZES = {"bench": {"cpu": "10m", "memory": "16Mi", "pricePerHour": "0.036"}}
SETTINGS: Mapping[str, Any] = {
    "sizes": SIZES,
    "runtimes": {"chatbot": {"image": rig.NO_IMAGE}},
    "agent_node_selector": fake_node.SELECTOR,
    "agent_tolerations": fake_node.TOLERATIONS,
    "storage_class": STATIC_CLASS,
    "volume_annotations": {},
}
CONTESTANTS: Mapping[str, Mapping[str, Any]] = {
    "agent": {},
    "agent+service": {"http": {"port": 8080}},
    "agent+volume+service": {"http": {"port": 8080}, "storage": {"size": "1Gi"}},
}
BARE_PODS, TENANT_PODS = "bare pod", "pod under quota"


@dataclass(frozen=True)
class Outcome:
    """One round of one contestant."""

    name: str
    count: int
    seconds: float
    latencies: list[float]
    cpu_ms: dict[str, float]
    """Per object, by part."""
    reconciles: dict[str, float] = field(default_factory=dict)
    """Of the operator per object, by kind and result."""
    ours: dict[str, float] = field(default_factory=dict)
    """Writes of the operator per object, by verb and resource."""
    server: dict[str, float] = field(default_factory=dict)
    """Writes of everybody per object."""
    rss_mib: tuple[float, float] = (0.0, 0.0)

    @property
    def rate(self) -> float:
        """Objects per second, from the first request to the last Ready."""
        return self.count / self.seconds

    def percentile(self, share: float) -> float:
        """Seconds from a request to its Ready."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def summary(self) -> dict[str, Any]:
        """What is printed."""
        return {
            "contestant": self.name,
            "count": self.count,
            "per_second": round(self.rate, 1),
            "seconds": round(self.seconds, 1),
            "create_to_ready_s": {f"p{p}": round(self.percentile(p / 100), 2) for p in (50, 95, 99)},
            "cpu_ms_each": {name: round(value, 2) for name, value in self.cpu_ms.items()},
            "reconciles_each": self.reconciles,
            "our_writes_each": round(sum(self.ours.values()), 3),
            "our_writes": self.ours,
            "all_writes_each": self.server,
            "operator_rss_mib": [round(value, 1) for value in self.rss_mib],
        }


def agent_manifest(number: int, **spec: Any) -> dict[str, Any]:
    """One Agent."""
    metadata = {"name": f"a{number:05}", "namespace": CORE}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Agent",
        "metadata": metadata,
        "spec": {"runtime": "chatbot", "size": "bench", **spec},
    }


def pod_manifest(number: int, namespace: str, settings: Mapping[str, str], **spec: Any) -> dict[str, Any]:
    """The very pod an Agent would get, but nobody's."""
    manifest = agent_manifest(number, **spec)
    manifest["metadata"] |= {"uid": "00000000-0000-4000-8000-000000000000"}
    platform = knobs.platform(knobs.load(settings))
    *_, pod = desired_agent.children(
        agents.from_manifest(manifest), volume_generation=1, incarnation=1, platform=platform, with_pod=True
    )
    metadata = pod["metadata"]
    # Without the label that our operator watches by, and without an owner that would collect it.
    labels = {"bench/labels": "as many", "bench/agent": metadata["name"], "bench/a": "a", "bench/b": "b"}
    plain = {"name": metadata["name"], "namespace": namespace, "annotations": metadata["annotations"]}
    return pod | {
        "metadata": {
            **plain,
            "labels": {key.replace("/", "-"): value.replace(" ", "-") for key, value in labels.items()},
        }
    }


async def measure(rig_: Rig, contestant: str, count: int) -> Outcome:
    """One round: everything is ready for it, and nothing else is in the cluster."""
    settings = rig_.settings(**SETTINGS)
    async with Wire.connect(rig_.layout) as wire:
        if contestant in CONTESTANTS:
            path = kinds.collection_path(kinds.AGENT, CORE)
            manifests = [agent_manifest(number, **CONTESTANTS[contestant]) for number in range(count)]
            if "storage" in CONTESTANTS[contestant]:
                await make_volumes(wire, count)
        else:
            namespace = BARE if contestant == BARE_PODS else CORE
            path = kinds.collection_path(kinds.POD, namespace)
            manifests = [pod_manifest(number, namespace, settings) for number in range(count)]
        return await _timed(rig_, wire, contestant, path, manifests)


async def _timed(rig_: Rig, wire: Wire, contestant: str, path: str, manifests: list[dict[str, Any]]) -> Outcome:
    layout, count = rig_.layout, len(manifests)
    server_before = meters.server_writes(await wire.text("/metrics"))
    own_before = await wire.text(OPERATOR_METRICS)
    if rig_.profile is not None:
        os.kill(processes.pid_of(layout, "operator"), signal.SIGUSR2)
    cpu_before = meters.cpu_seconds(layout)
    version = await wire.version(path)
    async with asyncio.timeout(READY_SECONDS_MAX):
        ready = asyncio.create_task(wire.first_times(path, version, count, _is_ready))
        sent = await wire.create_all(path, manifests)
        seen = await ready
    await asyncio.sleep(TRAIL_SECONDS)
    cpu = meters.spent(cpu_before, meters.cpu_seconds(layout))
    own = await wire.text(OPERATOR_METRICS)
    server = meters.server_writes(await wire.text("/metrics"))
    return Outcome(
        name=contestant,
        count=count,
        seconds=max(seen.values()) - min(sent.values()),
        latencies=[seen[name] - sent[name] for name in sent],
        cpu_ms={name: 1000 * seconds / count for name, seconds in cpu.items()},
        reconciles=_each(meters.reconciles(own) - meters.reconciles(own_before), count),
        ours=_each(meters.operator_writes(own) - meters.operator_writes(own_before), count),
        server=_each(server - server_before, count),
        rss_mib=meters.resident_mib(layout, "operator"),
    )


def _is_ready(event: Event) -> bool:
    return event.object.holds("Ready")


def _each(counted: Counter[str], count: int) -> dict[str, float]:
    return {name: round(number / count, 3) for name, number in counted.most_common() if number / count >= 0.001}


async def make_volumes(wire: Wire, count: int) -> None:
    """Volumes that exist already: a provisioner would start a pod for each, which the fake node cannot run."""
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STATIC_CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    path = "/apis/storage.k8s.io/v1/storageclasses"
    if not any(item["metadata"]["name"] == STATIC_CLASS for item in (await wire.get(path))["items"]):
        await wire.call("POST", path, storage_class)
    await wire.create_all("/api/v1/persistentvolumes", [_volume(number) for number in range(count)])


def _volume(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"bench-{number:05}", "labels": {"moorage-bench": "true"}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STATIC_CLASS,
            "hostPath": {"path": "/nowhere"},
        },
    }


def run(rig_: Rig, *, count: int, rounds: int, contestants: list[str], say: Callable[[Outcome], None]) -> list[Outcome]:
    """Every contestant in every round, each time another one first, each beginning with an empty cluster."""
    outcomes = []
    for number in range(rounds):
        for place in range(len(contestants)):
            contestant = contestants[(number + place) % len(contestants)]
            with progress.step(f"round {number + 1}: {count} x {contestant}"):
                prepare(rig_)
                outcomes.append(rig_.inside(lambda contestant=contestant: measure(rig_, contestant, count)))  # type: ignore[misc]  # bound now
            say(outcomes[-1])
    if rig_.profile is not None:
        rig_.stop_operator()
    return outcomes


def prepare(rig_: Rig) -> None:
    """An empty cluster with a fresh operator, a funded tenant and a namespace of nobody."""
    rig_.empty()
    rig_.start_operator(rig_.settings(**SETTINGS))

    async def work() -> None:
        async with Wire.connect(rig_.layout) as wire:
            await rig.open_bare_namespace(wire)
            await rig_.open_tenant(wire)

    rig_.inside(work)
    time.sleep(2.0)


def ratio(outcomes: list[Outcome], contestant: str, number: Callable[[Outcome], float]) -> list[float]:
    """A contestant's number beside the bare pods' of the same round."""
    bare = [number(outcome) for outcome in outcomes if outcome.name == BARE_PODS]
    ours = [number(outcome) for outcome in outcomes if outcome.name == contestant]
    return [one / other for one, other in zip(ours, bare, strict=True)]


def median(values: list[float]) -> float:
    """The middle one."""
    return statistics.median(values)
