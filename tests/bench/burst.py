"""(a) Burst: so many Agents created at once on the fake node, beside as many bare pods in the same run."""

import asyncio
import functools
import os
import signal
import time
from collections import Counter
from typing import Any  # manifests

from dev import processes, progress
from tests.bench import contestants, meters, outcomes, report, rig
from tests.bench.contestants import SETTINGS, Contestant
from tests.bench.outcomes import Outcome
from tests.bench.report import Section
from tests.bench.rig import OPERATOR_METRICS, Rig
from tests.bench.wire import IN_FLIGHT, Event, Wire

# Work that trails the last Ready is still charged to those who caused it.
TRAIL_SECONDS = 3.0
PROFILED_SECONDS = 15
READY_SECONDS_MAX = 600
SLOWEST_PER_SECOND = 5

Batches = list[list[tuple[str, dict[str, Any]]]]


def run(found: Rig, *, count: int, rounds: int, names: list[str]) -> Section:
    """Every contestant in every round, each time another one first, each beginning with an empty cluster."""
    chosen = [contestants.ALL[name] for name in names]
    rounded: list[Outcome] = []
    for number in range(rounds):
        for place in range(len(chosen)):
            contestant = chosen[(number + place) % len(chosen)]
            with progress.step(f"round {number + 1}: {count} x {contestant.name}"):
                prepare(found, raised=contestant.raised)
                rounded.append(found.inside(functools.partial(_measure, found, contestant, count)))
            report.say(rounded[-1].summary())
    if found.profile is not None:
        found.stop_operator()  # it writes its samples now
    rows = [row for contestant in chosen for row in outcomes.rows(rounded, contestant)]
    notes = [f"{count} objects at once, {IN_FLIGHT} requests in flight, {rounds} rounds in changing order"]
    return Section("burst", rows, notes + [outcomes.writes(rounded, name) for name in names])


def fill(found: Rig, count: int, *, raised: bool = False) -> Outcome:
    """So many plain Agents, all Ready."""
    with progress.step(f"{count} agents"):
        prepare(found, raised=raised)
        return found.inside(functools.partial(_measure, found, contestants.ALL["agent"], count))


def prepare(found: Rig, *, raised: bool = False) -> None:
    """An empty cluster with a fresh operator, a funded tenant and a namespace of nobody."""
    found.limit_calls(raised=raised)
    found.empty()
    found.start_operator(found.settings(**SETTINGS))

    async def work() -> None:
        async with Wire.connect(found.layout, found.token) as wire:
            await rig.open_bare_namespace(wire)
            await found.open_tenant(wire)

    found.inside(work)
    time.sleep(TRAIL_SECONDS)


async def _measure(found: Rig, contestant: Contestant, count: int) -> Outcome:
    batches = contestant.batches(count, found.settings(**SETTINGS))
    async with Wire.connect(found.layout, found.token) as wire:
        if "storage" in contestant.spec:
            await contestants.make_volumes(wire, count)
        server = meters.server_writes(await wire.text("/metrics"))
        own = await wire.text(OPERATOR_METRICS)
        profile = _begin_profile(found, wire)
        cpu = meters.cpu_seconds(found.layout)
        sent, seen = await until_ready(wire, contestant.watched, batches)
        await _end_profile(found, profile)
        await asyncio.sleep(TRAIL_SECONDS)
        used = meters.spent(cpu, meters.cpu_seconds(found.layout))
        own_after = await wire.text(OPERATOR_METRICS)
        server_after = meters.server_writes(await wire.text("/metrics"))
    return Outcome(
        name=contestant.name,
        count=count,
        seconds=max(seen.values()) - min(sent.values()),
        latencies=[seen[name] - sent[name] for name in sent],
        cpu_ms={name: 1000 * seconds / count for name, seconds in used.items()},
        reconciles=_each(meters.reconciles(own_after) - meters.reconciles(own), count),
        ours=_each(meters.operator_writes(own_after) - meters.operator_writes(own), count),
        server=_each(server_after - server, count),
        rss_mib=meters.resident_mib(found.layout, "operator"),
    )


async def until_ready(wire: Wire, path: str, batches: Batches) -> tuple[dict[str, float], dict[str, float]]:
    """Create them all at once; by name when each was sent, and when it was seen Ready in its collection."""
    version, count = await wire.version(path), len(batches)
    ours = {objects[-1][1]["metadata"]["name"] for objects in batches}  # others may be there, and change
    async with asyncio.timeout(max(READY_SECONDS_MAX, count / SLOWEST_PER_SECOND)):
        ready = asyncio.create_task(wire.first_times(path, version, count, lambda event: _is_ready(event, ours)))
        sent = await wire.create_all(batches)
        return sent, await ready


def _begin_profile(found: Rig, wire: Wire) -> asyncio.Task[bytes] | None:
    if found.profile is None:
        return None
    os.kill(processes.pid_of(found.layout, "operator"), signal.SIGUSR2)
    return asyncio.create_task(wire.read(f"/debug/pprof/profile?seconds={PROFILED_SECONDS}"))


async def _end_profile(found: Rig, profile: asyncio.Task[bytes] | None) -> None:
    if found.profile is not None and profile is not None:
        await asyncio.to_thread(found.profile.with_suffix(".apiserver.pprof").write_bytes, await profile)


def _is_ready(event: Event, ours: set[str]) -> bool:
    return event.object.metadata.name in ours and event.object.holds("Ready")


def _each(counted: Counter[str], count: int) -> dict[str, float]:
    return {name: round(number / count, 3) for name, number in counted.most_common() if number / count >= 0.001}
