"""The charts: how long an install takes, what an upgrade does to agents, and how the operator does as a pod."""

import time
from typing import Any  # manifests

from dev import environment, node, platform, progress, release
from moorage.kube import kinds
from tests.bench import burst, contestants, rig
from tests.bench.outcomes import Outcome
from tests.bench.report import Row, Section
from tests.bench.rig import Rig
from tests.bench.wire import Wire

INSTALL_SECONDS_AT_MOST = 60.0
NEXT_TAG = "next"


def run(found: Rig, *, count: int, rounds: int) -> Section:
    """Install from nothing, as often as asked; then fill, upgrade, and count who was replaced."""
    installs = []
    for number in range(rounds):
        with progress.step(f"install {number + 1}"):
            _uninstall(found)
            found.empty()
            installs.append(_timed(found))
    with progress.step(f"{count} agents, the operator as a pod"):
        as_pod = found.inside(lambda: _fill(found, count))
        before = found.inside(lambda: _pods(found))
    with progress.step("upgrade"):
        node.ctr(found.layout, "images", "tag", "--force", found.platform_image, _next(found))
        upgrade = _timed(found, _next(found))
        after = found.inside(lambda: _pods(found))
    _uninstall(found)
    platform.prepare(found.layout)  # the accounts are others now, and so are their tokens
    program = burst.fill(found, count)
    rows = [
        Row("install of both charts, until operator and API are ready", installs, "s",
            at_most=INSTALL_SECONDS_AT_MOST),
        Row(f"upgrade to another image with {count} agents, until ready", [upgrade], "s"),
        Row(f"pods of {count} agents that the upgrade replaced", [float(len(before - after))], "", at_most=0.0),
        Row("operator as a pod: agents Ready", [as_pod.rate], "/s", beside=[program.rate], beside_what="as a program"),
        *(
            Row(f"operator as a pod: create → Ready p{p}", [as_pod.percentile(p / 100)], "s",
                beside=[program.percentile(p / 100)], beside_what="as a program")
            for p in (50, 99)
        ),
    ]  # fmt: skip
    notes = ["images present on the node, the schema current"]
    return Section("install", rows, notes)


def _next(found: Rig) -> str:
    return f"{found.platform_image.rpartition(':')[0]}:{NEXT_TAG}"


def _timed(found: Rig, image: str = "") -> float:
    settings = environment.of_pods(found.agent_image)
    bench = {name: rig.text(value) for name, value in contestants.SETTINGS.items()}
    wanted = release.local(found.layout, settings | bench, image or found.platform_image)
    began = time.monotonic()
    release.install(found.layout, wanted, wait=True)
    return time.monotonic() - began


def _uninstall(found: Rig) -> None:
    found.stop_operator()
    release.helm(found.layout, "uninstall", release.NAME, "--ignore-not-found", "--wait")


async def _fill(found: Rig, count: int) -> Outcome:
    async with Wire.connect(found.layout, found.token) as wire:
        await found.open_tenant(wire)
        path = kinds.collection_path(kinds.AGENT, rig.CORE)
        batches = [[(path, contestants.agent(f"a{number:05}", rig.CORE, {}))] for number in range(count)]
        sent, seen = await burst.until_ready(wire, path, batches)
    return Outcome("as a pod", count, max(seen.values()) - min(sent.values()), [seen[n] - sent[n] for n in sent], {})


async def _pods(found: Rig) -> set[str]:
    async with Wire.connect(found.layout, found.token) as wire:
        items: list[dict[str, Any]] = (await wire.get(kinds.collection_path(kinds.POD, rig.CORE)))["items"]
    return {item["metadata"]["uid"] for item in items}
