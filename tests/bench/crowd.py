"""(d) Zero of many: as many agents as fit on the real node run out of the same credit at the same second."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # manifests

from dev import progress
from moorage.kube import kinds
from tests.bench import lives, report, rig
from tests.bench.diary import GONE, READY, STOPPING, SUSPENDED, Diary
from tests.bench.report import Row, Section
from tests.bench.rig import BARE, CORE, Rig
from tests.bench.wire import Wire

# All of them fit into one core and a half, as far as the scheduler counts.
SIZES = {"bench": {"cpu": "30m", "memory": "64Mi", "pricePerHour": "3.6"}}
FUNDED_SECONDS = 240
SECONDS_MAX = 600


@dataclass(frozen=True)
class Seen:
    """Seconds since the zero second, of every agent; of the bare pods, since they were told to go."""

    asked: list[float]
    gone: list[float]
    suspended: list[float]
    bare: list[float]


def run(rig_: Rig, *, count: int) -> Section:
    """All run, all stop; then as many bare pods are deleted at once."""
    wanted = lives.settings(rig_, sizes=SIZES)
    lives.prepare(rig_, wanted)
    with progress.step(f"{count} agents at zero at once"):
        seen = rig_.inside(lambda: _crowd(rig_, wanted, count))
    rows = [
        _row("zero second → the pod is told to stop", seen.asked, 0.5),
        _row("zero second → pod gone", seen.gone, 0.5, at_most=15.0, bare=seen.bare),
        _row("zero second → pod gone", seen.gone, 0.99, at_most=60.0, bare=seen.bare),
        _row("zero second → Suspended and verified", seen.suspended, 0.5),
        _row("zero second → Suspended and verified", seen.suspended, 0.99),
    ]
    note = f"{len(seen.gone)} agents of 30 m CPU each, every one with a volume; the bare pods have none"
    return Section("crowd", rows, [note])


def _row(
    what: str, values: list[float], share: float, *, at_most: float | None = None, bare: Sequence[float] = ()
) -> Row:
    beside = [report.percentile(bare, share)] if bare else []
    return Row(
        f"{what}, p{share * 100:.0f}",
        [report.percentile(values, share)],
        "s",
        at_most=at_most,
        beside=beside,
        beside_what="bare pods deleted at once",
    )


async def _crowd(rig_: Rig, wanted: dict[str, str], count: int) -> Seen:
    async with Wire.connect(rig_.layout, rig_.token) as wire:
        await rig.open_bare_namespace(wire)
        micros = FUNDED_SECONDS * lives.MICROS_PER_SECOND * count
        await rig_.open_tenant(wire, micros=micros, agents=2 * count)
        async with (
            Diary(wire, kinds.collection_path(kinds.AGENT, CORE)) as story,
            Diary(wire, kinds.collection_path(kinds.POD, CORE)) as pods,
            Diary(wire, kinds.collection_path(kinds.POD, BARE)) as bare,
        ):
            began = time.time()
            manifests = [lives.manifest(f"a{number:03}") for number in range(count)]
            path = kinds.collection_path(kinds.AGENT, CORE)
            await wire.create_all([(path, manifest)] for manifest in manifests)
            await story.first(READY, _any, count=count, after=began, seconds=FUNDED_SECONDS)
            ready = time.time()
            gone = await pods.first(GONE, lives.is_agent_pod, count=count, after=ready, seconds=SECONDS_MAX)
            asked = await pods.first(STOPPING, lives.is_agent_pod, count=count, after=ready, seconds=0)
            suspended = await story.first(SUSPENDED, _any, count=count, after=ready, seconds=SECONDS_MAX)
            zero = lives.zero_second(rig_)
            bare_gone = await _bare_crowd(wire, bare, manifests, wanted)
    asked_s, gone_s, suspended_s = ([at - zero for at in each.values()] for each in (asked, gone, suspended))
    return Seen(asked_s, gone_s, suspended_s, bare_gone)


async def _bare_crowd(wire: Wire, bare: Diary, manifests: list[dict[str, Any]], wanted: dict[str, str]) -> list[float]:
    pods, began = [_bare_pod(manifest, wanted) for manifest in manifests], time.time()
    path = kinds.collection_path(kinds.POD, BARE)
    await wire.create_all([(path, pod)] for pod in pods)
    await bare.first(READY, _any, count=len(pods), after=began, seconds=SECONDS_MAX)
    await asyncio.sleep(lives.RUN_SECONDS)
    began = time.time()
    await wire.call("DELETE", path)
    gone = await bare.first(GONE, _any, count=len(pods), after=began, seconds=SECONDS_MAX)
    return [at - began for at in gone.values()]


def _bare_pod(manifest: dict[str, Any], wanted: dict[str, str]) -> dict[str, Any]:
    _, pod = lives.children(manifest, wanted)
    volumes = [{"name": "data", "emptyDir": {}} if each["name"] == "data" else each for each in pod["spec"]["volumes"]]
    return pod | {"spec": pod["spec"] | {"volumes": volumes}}


def _any(_: str) -> bool:
    return True
