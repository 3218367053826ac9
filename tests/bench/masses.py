"""(f) Masses: so many agents at zero at once, then topped up at once, on the fake node with real mover programs.

One large tenant and a few small ones share a wallet, so that all are stopped in the same second; the queue of movers
is fair when the small ones do not wait for the large one.
"""

import asyncio
import functools
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # manifests

from dev import progress
from moorage.kube import kinds
from moorage.model import names
from tests.bench import contestants, lives, report, rig
from tests.bench.diary import GONE, READY, SUSPENDED, Diary
from tests.bench.played_movers import PlayedMovers
from tests.bench.report import Row, Section
from tests.bench.rig import TENANT, Rig
from tests.bench.wire import Wire, eventually

SIZES = {"bench": {"cpu": "10m", "memory": "16Mi", "pricePerHour": "3.6"}}
SMALL_TENANTS = 4
SMALL_SHARE = 0.05  # of all agents, each
FUNDED_SECONDS = 120
AGAIN_SECONDS = 300
SECONDS_MAX = 900


@dataclass(frozen=True)
class Seen:
    """Seconds of every agent: since the zero second, and since the top-up."""

    gone: list[float]
    suspended: list[float]
    of_small: list[float]
    """Of the last agent of each small tenant, zero second to Suspended."""
    ready: list[float]
    failed: int


def run(rig_: Rig, *, count: int) -> Section:
    """All run, all stop, all are saved, all come back."""
    wanted = lives.settings(rig_, **{**contestants.SETTINGS, "sizes": SIZES})
    lives.prepare(rig_, wanted)
    with progress.step(f"{count} agents at zero at once, and topped up at once"):
        seen = rig_.inside(lambda: _masses(rig_, count))
    last = max(seen.suspended)
    rows = [
        _row("zero second → pod gone", seen.gone, 0.5),
        _row("zero second → pod gone", seen.gone, 0.99, at_most=60.0),
        _row("zero second → Suspended and verified", seen.suspended, 0.5),
        _row("zero second → Suspended and verified", seen.suspended, 0.99),
        Row("a small tenant's last, as a share of everybody's last", [each / last for each in seen.of_small], "", 0.5),
        _row("top-up → Ready", seen.ready, 0.5),
        _row("top-up → Ready", seen.ready, 0.99, at_most=60.0),
    ]
    note = (
        f"{count} agents with a volume on the fake node, {SMALL_TENANTS} small tenants of {_small(count)} each"
        f" beside a large one; mover programs that failed: {seen.failed}"
    )
    return Section("masses", rows, [note])


def _row(what: str, values: list[float], share: float, *, at_most: float | None = None) -> Row:
    return Row(f"{what}, p{share * 100:.0f}", [report.percentile(values, share)], "s", at_most)


def _small(count: int) -> int:
    return max(1, int(count * SMALL_SHARE))


async def _masses(rig_: Rig, count: int) -> Seen:
    agents = _agents(count)
    with tempfile.TemporaryDirectory(prefix="moorage-bench-") as folder:
        async with Wire.connect(rig_.layout, rig_.token) as wire:
            await rig_.open_tenant(wire, micros=FUNDED_SECONDS * lives.MICROS_PER_SECOND * count, agents=2 * count)
            await _open_small_tenants(wire)
            await contestants.make_volumes(wire, count)
            async with (
                Diary(wire, kinds.collection_path(kinds.AGENT)) as story,
                Diary(wire, kinds.collection_path(kinds.POD)) as pods,
                PlayedMovers(wire, rig_.layout.root, Path(folder)) as movers,
            ):
                seen = await _through(rig_, wire, story, pods, agents)
            return Seen(*seen, movers.failed)


async def _through(
    rig_: Rig, wire: Wire, story: Diary, pods: Diary, agents: list[dict[str, Any]]
) -> tuple[list[float], list[float], list[float], list[float]]:
    count, began = len(agents), time.time()
    places = [kinds.collection_path(kinds.AGENT, agent["metadata"]["namespace"]) for agent in agents]
    await wire.create_all([each] for each in zip(places, agents, strict=True))
    await story.first(READY, _any, count=count, after=began, seconds=FUNDED_SECONDS)
    ready = time.time()
    gone = await pods.first(GONE, lives.is_agent_pod, count=count, after=ready, seconds=SECONDS_MAX)
    suspended = await story.first(SUSPENDED, _any, count=count, after=ready, seconds=SECONDS_MAX)
    zero = lives.zero_second(rig_)
    last: dict[str, float] = {}
    for agent in agents:
        name, namespace = agent["metadata"]["name"], agent["metadata"]["namespace"]
        last[namespace] = max(last.get(namespace, 0.0), suspended[name] - zero)
    back = time.time()
    await rig_.grant(AGAIN_SECONDS * lives.MICROS_PER_SECOND * count, key="top-up of all")
    again = await story.first(READY, _any, count=count, after=back, seconds=SECONDS_MAX)
    of_small = [last[names.core_namespace(tenant)] for tenant in _small_tenants()]
    gone_s, suspended_s = ([at - zero for at in each.values()] for each in (gone, suspended))
    return gone_s, suspended_s, of_small, [at - back for at in again.values()]


def _small_tenants() -> list[str]:
    return [f"{TENANT}-small-{number}" for number in range(SMALL_TENANTS)]


def _agents(count: int) -> list[dict[str, Any]]:
    """The large tenant's first, so that the order of creation is against the small ones."""
    small = [tenant for tenant in _small_tenants() for _ in range(_small(count))]
    tenants = [TENANT] * (count - len(small)) + small
    spec = {"runtime": "chatbot", "size": "bench", "storage": {"size": "1Gi"}}
    return [
        {
            "apiVersion": names.API_VERSION,
            "kind": "Agent",
            "metadata": {"name": f"a{number:05}", "namespace": names.core_namespace(tenant)},
            "spec": spec,
        }
        for number, tenant in enumerate(tenants)
    ]


async def _open_small_tenants(wire: Wire) -> None:
    for name in _small_tenants():
        metadata = {"metadata": {"name": name}}
        await wire.call("POST", kinds.collection_path(kinds.TENANT_NAMESPACE), rig.tenant(10_000) | metadata)
    for name in _small_tenants():
        path = f"/api/v1/namespaces/{names.core_namespace(name)}/serviceaccounts/default"
        await eventually("the small tenants", 60, functools.partial(rig.exists, wire, path))
    await asyncio.sleep(lives.RUN_SECONDS)  # their quotas are counted, or the first pods are refused


def _any(_: str) -> bool:
    return True
