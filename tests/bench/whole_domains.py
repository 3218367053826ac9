"""A thousand Domains applied at once, in real time: reconciles, PostgreSQL, keepers, and the real SDK over HTTP.

Prints one JSON object. API server and Cloudflare are played, Cloudflare with the limit that the real one documents;
everything between them is wired as the operator wires it. A round begins with nothing and ends with a quiet span.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg

from dev.postgres import Postgres
from moorage import naming
from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.controllers.workqueue import KeyedQueue
from moorage.jobs import runner
from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.kube.observe import World as Cluster
from moorage.kube.routes import watched
from moorage.model.names import Key
from moorage.model.offer import DomainOffer
from moorage.naming import Ground
from moorage.observability import Metrics
from moorage.services import name_services
from moorage.settings import Settings
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from moorage.store.migrate import migrate
from tests.bench import durable
from tests.bench.durable import Effort
from tests.fakes.apiserver import ApiServer, Watcher
from tests.fakes.cloudflare.account import LIMIT, TOKEN, WINDOW_SECONDS, Account
from tests.fakes.cloudflare.server import CloudflareServer
from tests.fakes.keys import keyring
from tests.integration.money.world import RATE_PICOS, World

OFFER = DomainOffer(zone="agents.example", target="192.0.2.1")
NAMES_EACH = 20
QUIET_SECONDS = 30.0
LOOK_SECONDS = 0.2
SECONDS_MAX = 900.0


class Platform:
    """The part of an operator that leads which is about host names."""

    def __init__(self, server: ApiServer, client: Client, world: World) -> None:
        self.server, self.world, self.client = server, world, client
        self.objects, self.epoch, self.metrics = Objects(), Epoch(), Metrics()
        self.epoch.lead(world.epoch)
        self.naming: naming.Naming
        self.queue: KeyedQueue[Key] = KeyedQueue(self._reconcile, lane_of=lambda key: key.namespace)
        self._cluster = Cluster(client, self.queue.add, more=watched(OFFER))

    @contextlib.asynccontextmanager
    async def running(self, services: name_services.NameServices) -> AsyncIterator[None]:
        """With its watches, its queue and its jobs."""
        database = self.world.database
        ground = Ground(
            settings=Settings(), database=database, client=self.client, keyring=keyring(database),
            objects=self.objects, world=self._cluster, applier=Applier(self.client, self._cluster), epoch=self.epoch,
            ring=self.queue.add, metrics=self.metrics,
        )  # fmt: skip
        self.naming = naming.build(ground, OFFER, services)
        rng = random.Random(0)
        tasks = [asyncio.create_task(self._cluster.run()), asyncio.create_task(self._listen())]
        await self._cluster.listed()
        tasks += [
            asyncio.create_task(runner.repeat(name, step, rng=rng, metrics=self.metrics))
            for name, step in self.naming.steps.items()
        ]
        try:
            yield
        finally:
            await self.queue.drain()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

    async def tenant(self, number: int) -> None:
        """A tenant with an agent that runs."""
        name, namespace = f"t{number}", f"mn-t{number}"
        await self.world.wallet(name, micros=10_000_000)
        uid = await self.world.agent("helper", wallet=name)
        spec = {"image": "x", "size": "small", "http": {"port": 8080}}
        about = {"name": "helper", "namespace": namespace, "uid": uid, "generation": 1}
        self.objects.put({"apiVersion": "moorage.dev/v1alpha1", "kind": "Agent", "metadata": about, "spec": spec})
        owner = {"apiVersion": "moorage.dev/v1alpha1", "kind": "Agent", "name": "helper", "uid": uid}
        pod = {
            "name": "helper-1", "namespace": namespace, "ownerReferences": [{**owner, "controller": True}],
            "labels": {"moorage.dev/managed": "true", "moorage.dev/component": "agent"},
        }  # fmt: skip
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        self.server.put(kinds.POD, {"metadata": pod, "spec": {}, "status": ready})

    def apply(self, number: int) -> None:
        """A tenant applies a Domain."""
        namespace, name = f"mn-t{number // NAMES_EACH}", f"d{number}"
        uid = f"00000000-0000-4000-8000-{number:012d}"
        about = {"name": name, "namespace": namespace, "uid": uid, "generation": 1}
        spec = {"hostname": f"{name}.{OFFER.zone}", "agentRef": {"name": "helper"}}
        self.server.put(kinds.DOMAIN, {"metadata": about, "spec": spec})

    def ready(self) -> int:
        """How many Domains are Ready."""
        return sum(
            condition["type"] == "Ready" and condition["status"] == "True"
            for domain in self.server.of(kinds.DOMAIN).values()
            for condition in domain.get("status", {}).get("conditions", ())
        )

    async def _reconcile(self, key: Key) -> float | None:
        return await self.naming.reconciles[key.kind](key) if key.kind in self.naming.reconciles else None

    async def _listen(self) -> None:
        """The doorbell of Domains."""
        plural = kinds.DOMAIN.plural
        watcher = Watcher(matches=lambda place, _: place[0] == plural, plural=plural)
        self.server.watchers.add(watcher)
        while (line := await watcher.lines.get()) is not None:
            key, news = self.objects.put(json.loads(line)["object"])
            if news:
                self.queue.add(key)


async def measure(server: Postgres, folder: Path, count: int) -> dict[str, Any]:
    """One round."""
    await migrate(server.url())
    account = Account(time.monotonic)
    account.zone(OFFER.zone)
    token = folder / "token"
    token.write_text(TOKEN)
    async with contextlib.AsyncExitStack() as stack:
        provider = await stack.enter_async_context(CloudflareServer(account).serving())
        sql = await asyncpg.connect(server.url())
        stack.push_async_callback(sql.close)
        database = await Database.connect(server.url())
        stack.push_async_callback(database.close)
        world = World(database, sql, Ledger(database), url=server.url())
        await sql.execute("UPDATE moorage.leader SET epoch = 1, holder = 'bench', expires_at = 'infinity'")
        await world.ledger.publish_rate(size="small", rate_picos=RATE_PICOS)
        settings = dataclasses.replace(Settings(), cloudflare_url=provider.url, cloudflare_token_file=token)
        metrics = Metrics()
        services = await stack.enter_async_context(name_services.opened(settings, database, metrics))
        assert services is not None
        played = ApiServer()
        platform = Platform(played, await stack.enter_async_context(played.serving()), world)
        await stack.enter_async_context(platform.running(services))
        for number in range(-(-count // NAMES_EACH)):
            await platform.tenant(number)
        return await _measured(platform, account, Effort.now, (server, sql), count)


async def _measured(platform: Platform, account: Account, effort: Any, of: Any, count: int) -> dict[str, Any]:
    calls, before = account.calls.total(), await effort(*of)
    for number in range(count):
        platform.apply(number)
    async with asyncio.timeout(SECONDS_MAX):
        while platform.ready() < count:  # noqa: ASYNC110  # nobody rings when the last one is
            await asyncio.sleep(LOOK_SECONDS)
    after = await effort(*of)
    used = account.calls.total() - calls
    assert len(account.certificates) == count
    assert account.blocked_until == 0, "the limit was broken"
    account.calls.clear()
    await asyncio.sleep(QUIET_SECONDS)
    assert platform.ready() == count
    return {
        "seconds": round(after.at - before.at, 1), "allowed_seconds": round(used / (LIMIT / WINDOW_SECONDS), 1),
        "calls_per_domain": round(used / count, 3), "quiet_calls": account.calls.total(),
        "cpu_seconds": round(after.client_s - before.client_s, 1),
        "server_cpu_seconds": round(after.server_s - before.server_s, 1),
    }  # fmt: skip


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.whole_domains", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    found = []
    for _ in range(arguments.rounds):
        with durable.started() as (server, folder):
            found.append(asyncio.run(measure(server, folder, arguments.count)))
    together = {key: [one[key] for one in found] for key in found[0]}
    about = {"count": arguments.count, "rounds": arguments.rounds, "quiet_span": QUIET_SECONDS}
    sys.stdout.write(json.dumps({**about, **together}) + "\n")


if __name__ == "__main__":
    main()
