"""(a) Burst: so many Agents created at once on the fake node, beside as many bare pods in the same run."""

import asyncio
import functools
import os
import signal
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
from tests.bench import fake_node, meters, report, rig
from tests.bench.report import Row, Section
from tests.bench.rig import BARE, CORE, OPERATOR_METRICS, STATIC_CLASS, Rig
from tests.bench.wire import IN_FLIGHT, Event, Wire

# Work that trails the last Ready is still charged to those who caused it.
TRAIL_SECONDS = 3.0
PROFILED_SECONDS = 15
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
EVERYBODY = (BARE_PODS, TENANT_PODS, *CONTESTANTS)
SERVERS = ("kube-apiserver", "etcd", "postgres")


@dataclass(frozen=True)
class Goal:
    """What a contestant should reach."""

    rate_at_least: float
    """Beside bare pods."""
    writes_at_most: float
    operator_ms_at_most: float | None = None
    server_cpu_at_most: float | None = None
    """Beside bare pods."""


GOALS = {
    "agent": Goal(0.65, 3, operator_ms_at_most=2.0, server_cpu_at_most=1.7),
    "agent+service": Goal(0.5, 4),
    "agent+volume+service": Goal(0.4, 5),
}
RESIDENT_MIB_AT_MOST = 200.0


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
    # As many labels, but not the one our operator watches by, and no owner that would collect it.
    labels = {f"bench-{number}": "like-an-agent-of-ours" for number in range(len(metadata["labels"]))}
    plain = {"name": metadata["name"], "namespace": namespace, "annotations": metadata["annotations"]}
    return pod | {"metadata": {**plain, "labels": labels}}


async def measure(rig_: Rig, contestant: str, count: int) -> Outcome:
    """One round: everything is ready for it, and nothing else is in the cluster."""
    settings = rig_.settings(**SETTINGS)
    async with Wire.connect(rig_.layout, rig_.token) as wire:
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
        profile = asyncio.create_task(wire.read(f"/debug/pprof/profile?seconds={PROFILED_SECONDS}"))
    cpu_before = meters.cpu_seconds(layout)
    version = await wire.version(path)
    async with asyncio.timeout(READY_SECONDS_MAX):
        ready = asyncio.create_task(wire.first_times(path, version, count, _is_ready))
        sent = await wire.create_all(path, manifests)
        seen = await ready
    if rig_.profile is not None:
        await asyncio.to_thread(rig_.profile.with_suffix(".apiserver.pprof").write_bytes, await profile)
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


def run(rig_: Rig, *, count: int, rounds: int, contestants: list[str]) -> Section:
    """Every contestant in every round, each time another one first, each beginning with an empty cluster."""
    outcomes: list[Outcome] = []
    for number in range(rounds):
        for place in range(len(contestants)):
            contestant = contestants[(number + place) % len(contestants)]
            with progress.step(f"round {number + 1}: {count} x {contestant}"):
                prepare(rig_)
                outcomes.append(rig_.inside(functools.partial(measure, rig_, contestant, count)))
            report.say(outcomes[-1].summary())
    if rig_.profile is not None:
        rig_.stop_operator()
    rows = [row for contestant in contestants for row in _rows(outcomes, contestant)]
    notes = [f"{count} objects at once, {IN_FLIGHT} requests in flight, {rounds} rounds in changing order"]
    return Section("burst", rows, notes + [_writes(outcomes, contestant) for contestant in contestants])


def fill(rig_: Rig, count: int) -> None:
    """So many plain Agents, all Ready."""
    with progress.step(f"{count} agents"):
        prepare(rig_)
        rig_.inside(functools.partial(measure, rig_, "agent", count))


def prepare(rig_: Rig) -> None:
    """An empty cluster with a fresh operator, a funded tenant and a namespace of nobody."""
    rig_.empty()
    rig_.start_operator(rig_.settings(**SETTINGS))

    async def work() -> None:
        async with Wire.connect(rig_.layout, rig_.token) as wire:
            await rig.open_bare_namespace(wire)
            await rig_.open_tenant(wire)

    rig_.inside(work)
    time.sleep(2.0)


def _rows(outcomes: list[Outcome], contestant: str) -> list[Row]:
    bare = [outcome for outcome in outcomes if outcome.name == BARE_PODS]
    ours = [outcome for outcome in outcomes if outcome.name == contestant]

    def row(what: str, number: Callable[[Outcome], float], unit: str, at_most: float | None = None) -> Row:
        beside = [number(outcome) for outcome in bare] if contestant != BARE_PODS else []
        values = [number(outcome) for outcome in ours]
        return Row(f"{contestant}: {what}", values, unit, at_most, beside=beside, beside_what=BARE_PODS)

    def share(what: str, number: Callable[[Outcome], float], at_most: float | None, at_least: float | None) -> Row:
        values = [number(one) / number(other) for one, other in zip(ours, bare, strict=True)]
        return Row(f"{contestant}: {what} ÷ a bare pod's", values, "", at_most, at_least)

    rows = [row("Ready", _rate, "/s")]
    goal = GOALS.get(contestant)
    if goal is not None and bare:
        rows.append(share("Ready/s", _rate, None, goal.rate_at_least))
    rows += [row(f"create → Ready p{p}", lambda each, p=p: each.percentile(p / 100), "s") for p in (50, 95, 99)]  # type: ignore[misc]  # bound now
    rows += [row(f"CPU of {part}", lambda each, part=part: each.cpu_ms.get(part, 0), "ms") for part in SERVERS]  # type: ignore[misc]  # bound now
    if goal is None:
        return rows
    if bare:
        rows.append(
            share("CPU of kube-apiserver", lambda each: each.cpu_ms["kube-apiserver"], goal.server_cpu_at_most, None)
        )
    own = [
        ("CPU of the operator", [each.cpu_ms["operator"] for each in ours], "ms", goal.operator_ms_at_most),
        ("writes of ours", [sum(each.ours.values()) for each in ours], "", goal.writes_at_most),
        ("operator, resident", [each.rss_mib[1] for each in ours], "MiB", RESIDENT_MIB_AT_MOST),
    ]
    return rows + [Row(f"{contestant}: {what}", values, unit, at_most) for what, values, unit, at_most in own]


def _writes(outcomes: list[Outcome], contestant: str) -> str:
    """The last round's writes as a sentence."""
    last = [outcome for outcome in outcomes if outcome.name == contestant][-1]
    everybody = ", ".join(f"{name} {each:.2f}" for name, each in last.server.items() if each >= 0.01)
    ours = ", ".join(f"{name} {each:.2f}" for name, each in last.ours.items() if each >= 0.01)
    return f"{contestant}, writes per object: ours {ours or 'none'}; everybody's {everybody}"


def _rate(outcome: Outcome) -> float:
    return outcome.rate
