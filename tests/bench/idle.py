"""(b) Steady and (c) restart: what many idle Agents cost, and how soon a new operator has looked at all of them."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from dev import processes, progress
from tests.bench import meters
from tests.bench.contestants import SETTINGS
from tests.bench.report import Row, Section
from tests.bench.rig import OPERATOR_METRICS, Rig
from tests.bench.wire import Wire

CALM_SECONDS = 30.0
CONVERGED_SECONDS_MAX = 180.0
POLL_SECONDS = 0.1
AFTERWARDS_SECONDS = 5.0
WITHOUT = "without operator"


@dataclass(frozen=True)
class Calm:
    """A stretch of time in which nothing happened."""

    seconds: float
    cpu: dict[str, float]
    writes: int
    server_writes: dict[str, float]

    def percent(self, name: str) -> float:
        """CPU of a part, of one core."""
        return 100 * self.cpu.get(name, 0.0) / self.seconds


@dataclass(frozen=True)
class Start:
    """A start of the operator, in seconds since its process was started."""

    caches: float
    leading: float
    converged: float
    writes: Counter[str]
    cpu_seconds: float


def steady(rig: Rig, *, count: int, seconds: float) -> Section:
    """Watch them do nothing; then watch the cluster without an operator."""
    with progress.step(f"{count} idle agents for {seconds:.0f} s, and {seconds / 2:.0f} s without operator"):
        time.sleep(CALM_SECONDS)
        quiet = rig.inside(lambda: calm(rig, seconds))
        rig.stop_operator()
        time.sleep(5.0)
        alone = rig.inside(lambda: calm(rig, seconds / 2, with_operator=False))
    minutes = quiet.seconds / 60
    rows = [
        Row("writes of the operator to the API", [quiet.writes / minutes], "/min", at_most=0.0),
        Row("operator CPU, of one core", [quiet.percent("operator")], "%", at_most=1.0),
        *(
            Row(
                f"{name} CPU, of one core",
                [quiet.percent(name)],
                "%",
                beside=[alone.percent(name)],
                beside_what=WITHOUT,
            )
            for name in ("kube-apiserver", "etcd", "postgres")
        ),
    ]
    everybody = ", ".join(f"{name} {each * 60 / quiet.seconds:.1f}" for name, each in quiet.server_writes.items())
    notes = [
        f"{count} agents without storage and http, {quiet.seconds:.0f} s, beginning {CALM_SECONDS:.0f} s after Ready"
    ]
    return Section("steady", rows, [*notes, f"writes of everybody per minute: {everybody}"])


async def calm(rig: Rig, seconds: float, *, with_operator: bool = True) -> Calm:
    """What a stretch of time cost in which nobody asked for anything."""
    async with Wire.connect(rig.layout, rig.token) as wire:

        async def own() -> int:
            return meters.operator_writes(await wire.text(OPERATOR_METRICS)).total() if with_operator else 0

        server, writes = meters.server_writes(await wire.text("/metrics")), await own()
        cpu, began = meters.cpu_seconds(rig.layout), time.monotonic()
        await asyncio.sleep(seconds)
        spent, lasted = meters.spent(cpu, meters.cpu_seconds(rig.layout)), time.monotonic() - began
        made = meters.server_writes(await wire.text("/metrics")) - server
        return Calm(lasted, spent, await own() - writes, dict(made.most_common()))


def restart(rig: Rig, *, count: int, rounds: int) -> Section:
    """Kill it and start it, then end it and start it, a few times."""
    ways: dict[str, Callable[[], None]] = {
        "killed": lambda: rig.stop_operator(grace_seconds=0),
        "ended": rig.stop_operator,
    }
    with progress.step("start after a while without operator"):
        rig.stop_operator()
        after_absence = started(rig, count)
    starts: dict[str, list[Start]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, stop in ways.items():
            with progress.step(f"restart {number + 1}, {way}"):
                stop()
                starts[way].append(started(rig, count))
    rows = [row for way, found in starts.items() for row in _rows(way, found)]
    written = sum((each.writes for found in starts.values() for each in found), Counter[str]())
    notes = [
        f"{count} agents without storage and http, {rounds} times each way; Python's own start is in it",
        f"written in all these starts: {_listed(written)}",
        f"written by a start after minutes without any operator: {_listed(after_absence.writes)}",
    ]
    return Section("restart", rows, notes)


def _rows(way: str, found: list[Start]) -> list[Row]:
    return [
        Row(f"{way}: start → all Agents looked at", [each.converged for each in found], "s", at_most=5.0),
        Row(f"{way}: start → caches listed", [each.caches for each in found], "s"),
        Row(f"{way}: start → leading", [each.leading for each in found], "s"),
        Row(f"{way}: CPU until then", [each.cpu_seconds for each in found], "s"),
        Row(f"{way}: writes to the API", [float(each.writes.total()) for each in found], "", at_most=0.0),
    ]


def _listed(writes: Counter[str]) -> str:
    return ", ".join(f"{number} × {name}" for name, number in writes.most_common()) or "nothing"


def started(rig: Rig, count: int) -> Start:
    """Start the operator, and follow it until it has looked at so many agents."""
    began = time.monotonic()
    rig.launch_operator(rig.settings(**SETTINGS))
    return rig.inside(lambda: _followed(rig, count, began))


async def _followed(rig: Rig, count: int, began: float) -> Start:
    moments: dict[str, float] = {}
    async with aiohttp.ClientSession() as session:
        while "converged" not in moments:
            if time.monotonic() - began > CONVERGED_SECONDS_MAX:
                raise TimeoutError(f"the operator has not converged: {moments}")
            if not processes.alive(rig.layout, "operator"):
                raise RuntimeError(f"the operator ended:\n{processes.last_lines(rig.layout, 'operator')}")
            for name in await _state(session, count):
                moments.setdefault(name, time.monotonic() - began)
            await asyncio.sleep(POLL_SECONDS)
        used = meters.cpu_seconds(rig.layout)["operator"]
        await asyncio.sleep(AFTERWARDS_SECONDS)
        exposition = await _text(session, OPERATOR_METRICS)
    writes = meters.operator_writes(exposition)
    return Start(moments["caches"], moments["leading"], moments["converged"], writes, used)


async def _state(session: aiohttp.ClientSession, count: int) -> list[str]:
    exposition = await _text(session, OPERATOR_METRICS)
    if not exposition:
        return []
    reached = []
    if "waiting" not in await _text(session, OPERATOR_METRICS.replace("/metrics", "/readyz")):
        reached.append("caches")
    if meters.total(exposition, "moorage_leader") == 1:
        reached.append("leading")
        if meters.total(exposition, "moorage_reconciles_total", kind="Agent") >= count:
            reached.append("converged")
    return reached


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    """Empty while nobody listens."""
    try:
        async with session.get(url) as answer:
            return await answer.text()
    except aiohttp.ClientError:
        return ""
