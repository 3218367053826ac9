"""(d) Zero of many: as many agents as fit on the real node run out of the same credit at the same second."""

import time
from typing import Any  # manifests

from dev import progress
from moorage.kube import kinds
from tests.bench import lives, rig
from tests.bench.diary import GONE, READY, SUSPENDED, Diary
from tests.bench.report import Row, Section
from tests.bench.rig import BARE, CORE, Rig
from tests.bench.wire import Wire

# All of them fit into one core and a half, as far as the scheduler counts.
SIZES = {"bench": {"cpu": "30m", "memory": "64Mi", "pricePerHour": "3.6"}}
FUNDED_SECONDS = 240
SECONDS_MAX = 600


def run(rig_: Rig, *, count: int) -> Section:
    """All run, all stop; then as many bare pods are deleted at once."""
    wanted = lives.settings(rig_, sizes=SIZES)
    lives.prepare(rig_, wanted)
    with progress.step(f"{count} agents at zero at once"):
        gone, suspended, bare = rig_.inside(lambda: _crowd(rig_, wanted, count))
    beside = "bare pods deleted at once"
    rows = [
        Row(
            "zero second → pod gone, p50",
            [_share(gone, 0.5)],
            "s",
            15.0,
            beside=[_share(bare, 0.5)],
            beside_what=beside,
        ),
        Row(
            "zero second → pod gone, p99",
            [_share(gone, 0.99)],
            "s",
            60.0,
            beside=[_share(bare, 0.99)],
            beside_what=beside,
        ),
        Row("zero second → Suspended and verified, p50", [_share(suspended, 0.5)], "s"),
        Row("zero second → Suspended and verified, p99", [_share(suspended, 0.99)], "s"),
    ]
    note = f"{len(gone)} agents of 30 m CPU each, every one with a volume; the bare pods have none"
    return Section("crowd", rows, [note])


async def _crowd(rig_: Rig, wanted: dict[str, str], count: int) -> tuple[list[float], list[float], list[float]]:
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
            await wire.create_all(kinds.collection_path(kinds.AGENT, CORE), manifests)
            await story.first(READY, _any, count=count, after=began, seconds=FUNDED_SECONDS)
            ready = time.time()
            gone = await pods.first(GONE, lives.is_agent_pod, count=count, after=ready, seconds=SECONDS_MAX)
            suspended = await story.first(SUSPENDED, _any, count=count, after=ready, seconds=SECONDS_MAX)
            zero = lives.zero_second(rig_)
            bare_gone = await _bare_crowd(wire, bare, manifests, wanted)
    return [at - zero for at in gone.values()], [at - zero for at in suspended.values()], bare_gone


async def _bare_crowd(wire: Wire, bare: Diary, manifests: list[dict[str, Any]], wanted: dict[str, str]) -> list[float]:
    pods, began = [_bare_pod(manifest, wanted) for manifest in manifests], time.time()
    path = kinds.collection_path(kinds.POD, BARE)
    await wire.create_all(path, pods)
    await bare.first(READY, _any, count=len(pods), after=began, seconds=SECONDS_MAX)
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


def _share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
