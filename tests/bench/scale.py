"""Ten thousand Agents, and one tenant with five thousand broken ones, under a single operator."""

import asyncio
import functools
import time
from dataclasses import dataclass
from typing import Any  # manifests

from dev import progress
from moorage.kube import kinds
from moorage.model import names
from tests.bench import burst, contestants, idle, meters, report, rig
from tests.bench.report import Row, Section
from tests.bench.rig import Rig
from tests.bench.wire import Wire, as_user, eventually

FULL_COUNT, QUICK_COUNT = 10_000, 1_000
SAMPLE = 200
# Tenants of their own: the first one's quota is as large as a quota may be, and full.
NOISY, NEXT_DOOR = "noisy", "next-door"
NOISY_CORE, NEXT_DOOR_CORE = names.core_namespace(NOISY), names.core_namespace(NEXT_DOOR)
# A settled cluster: nothing of the burst is left in anybody's queues.
SETTLE_SECONDS = 60.0
RESIDENT_MB_AT_MOST = 300.0
CONVERGED_SECONDS_AT_MOST = 20.0
STEADY_PERCENT_AT_MOST = 5.0
SLOWER_AT_MOST = 2.0


def run(found: Rig, *, count: int, rounds: int, seconds: float) -> Section:
    """Fill, watch, restart; then let one tenant make half as many Agents that can never run."""
    noisy = count // 2
    burst.fill(found, count, raised=True)
    with progress.step(f"{count} idle agents for {seconds:.0f} s"):
        time.sleep(SETTLE_SECONDS)
        calm = found.inside(lambda: idle.calm(found, seconds))
        now, most = (mib * (1 << 20) / 1e6 for mib in meters.resident_mib(found.layout, "operator"))
    starts = []
    for number in range(rounds):
        with progress.step(f"restart {number + 1}, killed"):
            found.stop_operator(grace_seconds=0)
            starts.append(idle.started(found, count))
    after = meters.resident_mib(found.layout, "operator")[1] * (1 << 20) / 1e6
    with progress.step(f"{SAMPLE} agents beside a quiet tenant, then beside {noisy} broken ones"):
        next_door = found.inside(lambda: _beside_a_noisy_tenant(found, noisy))
    rows = [
        Row(f"operator memory with {count} agents", [now, after], "MB", at_most=RESIDENT_MB_AT_MOST),
        Row("operator memory, most in the burst", [most], "MB"),
        Row("operator CPU, steady, of one core", [calm.percent("operator")], "%", at_most=STEADY_PERCENT_AT_MOST),
        Row("writes of the operator to the API, steady", [calm.writes * 60 / calm.seconds], "/min", at_most=0.0),
        Row("killed: start → all Agents looked at", [each.converged for each in starts], "s",
            at_most=CONVERGED_SECONDS_AT_MOST),
        *next_door.rows(noisy),
    ]  # fmt: skip
    notes = [
        f"{count} agents without storage and http on the fake node; scheduler and controllers may make more calls",
        f"broken: an image nobody allowed; the operator looked at all {noisy} of them within {next_door.judged:.1f} s",
        "who makes them is a user of their own, as tenants are",
    ]
    return Section("scale", rows, notes)


@dataclass(frozen=True, slots=True)
class _NextDoor:
    """The p99 from create to Ready of a sample, in seconds: alone, while the noise is made, and once it is there."""

    alone: float
    made: float
    there: float
    judged: float
    """How long it took until every broken Agent had its verdict."""

    def rows(self, noisy: int) -> list[Row]:
        found = []
        for p99, when in ((self.made, "while they are made"), (self.there, "once they are there")):
            what = f"create → Ready p99 of {SAMPLE} beside {noisy} broken ones of another tenant, {when}"
            found.append(Row(what, [p99], "s", beside=[self.alone], beside_what="without them"))
            found.append(Row(f"that p99, compared, {when}", [p99 / self.alone], "×", at_most=SLOWER_AT_MOST))
        return found


async def _beside_a_noisy_tenant(found: Rig, noisy: int) -> _NextDoor:
    async with (
        Wire.connect(found.layout, found.token) as wire,
        Wire.connect(found.layout, found.token, who=as_user(NOISY)) as its_wire,
        Wire.connect(found.layout, found.token, who=as_user(NEXT_DOOR)) as our_wire,
    ):
        for name, agents in ((NOISY, noisy), (NEXT_DOOR, 3 * SAMPLE)):
            await _open(found, wire, name, agents)
        await asyncio.sleep(burst.TRAIL_SECONDS)  # the quota controller must have looked
        alone = await _sample(our_wire, "quiet")
        path = kinds.collection_path(kinds.AGENT, NOISY_CORE)
        version = await wire.version(path)
        began = time.monotonic()
        judged = asyncio.create_task(wire.first_times(path, version, noisy, lambda event: event.object.has("Ready")))
        making = asyncio.create_task(its_wire.create_all([(path, _broken(number))] for number in range(noisy)))
        await asyncio.sleep(1.0)  # into the middle of it
        made = await _sample(our_wire, "loud")
        await making
        await judged
        took = time.monotonic() - began
        return _NextDoor(alone, made, await _sample(our_wire, "used-to-it"), took)


async def _open(found: Rig, wire: Wire, name: str, agents: int) -> None:
    """A tenant, and the rights in it for the user of its name."""
    await wire.call("POST", kinds.collection_path(kinds.TENANT_NAMESPACE), rig.tenant(agents, name))
    await eventually("a tenant", 60, functools.partial(found.ready, wire, kinds.TENANT_NAMESPACE, name))
    subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "name": "moorage-tenant-edit", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "bench"}, "subjects": [subject], "roleRef": role}
    await wire.call("POST", kinds.collection_path(kinds.ROLE_BINDING, names.core_namespace(name)), binding)


async def _sample(wire: Wire, prefix: str) -> float:
    path = kinds.collection_path(kinds.AGENT, NEXT_DOOR_CORE)
    wanted = [[(path, contestants.agent(f"{prefix}-{number:03}", NEXT_DOOR_CORE, {}))] for number in range(SAMPLE)]
    sent, seen = await burst.until_ready(wire, path, wanted)
    return report.percentile([seen[name] - sent[name] for name in sent], 0.99)


def _broken(number: int) -> dict[str, Any]:
    wanted = contestants.agent(f"b{number:05}", NOISY_CORE, {})
    spec = {**wanted["spec"], "image": "registry.example.com/nobody/allowed:1"}
    del spec["runtime"]
    return wanted | {"spec": spec}
