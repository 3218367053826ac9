"""Clients that are killed at any moment, a server that is cut off, and the account of what must be there afterwards."""

import asyncio
import json
import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from dev.postgres import Postgres
from moorage.store import ledger_verify
from moorage.store.database import Database
from tests.integration.money.kill_client import Client
from tests.integration.money.stage import CATCHUP_S, LOW_RUNWAY_S, PREPARED, RESUME_S, SILENT_S
from tests.integration.money.steps import GATEWAY, SIZES, TRACES
from tests.integration.money.world import new_world

WALLETS = ("acme", "bay", "cove", "dune")
FIRST_MICROS = 5_000
CLIENTS = 4
AGENTS_PER_CLIENT = 3
LIFE_SECONDS = (0.005, 0.06)  # between two kills
CLOCK_SECONDS_PER_KILL = 3


# As many rows as were answered, and none of them twice; what the stage itself was given does not count.
COUNTS = {
    "entry": "SELECT count(*) FROM money.entry WHERE key IS NOT NULL AND key LIKE '%client%'",
    "open": "SELECT count(*) FROM money.run WHERE meter = 'Pod'",
    "closed": "SELECT count(*) FROM money.run WHERE meter = 'Pod' AND ended IS NOT NULL",
}


@dataclass(frozen=True)
class Plan:
    """How many deaths of clients, and after how many of them the server is cut off."""

    seed: str
    kills: int
    kills_per_crash: int


@dataclass
class Account:
    """What was done, and what is wrong."""

    kills: int = 0
    inside_a_call: int = 0
    crashes: int = 0
    answered: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Account") -> None:
        """Sum up several runs."""
        self.kills += other.kills
        self.inside_a_call += other.inside_a_call
        self.crashes += other.crashes
        self.answered += other.answered
        self.wrong += other.wrong


def run(server: Postgres, url: str, folder: Path, plan: Plan) -> Account:
    """Play the plan against a durable server on a migrated database; the folder takes the diaries."""
    account = Account()
    clients = asyncio.run(_set_the_stage(url, folder, plan.seed))
    dice = random.Random(plan.seed)
    pids = {client.name: _fork(client) for client in clients}
    try:
        while account.kills < plan.kills:
            time.sleep(dice.uniform(*LIFE_SECONDS))
            victim = dice.choice(clients)
            os.kill(pids[victim.name], signal.SIGKILL)
            os.waitpid(pids[victim.name], 0)
            account.kills += 1
            account.inside_a_call += _was_inside(victim)
            pids[victim.name] = _fork(victim)
            if account.kills % plan.kills_per_crash == 0:
                server.crash()
                server.start()
                account.crashes += 1
            asyncio.run(_pass_time(url))
    finally:
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    asyncio.run(_settle_accounts(url, clients, account))
    account.wrong += [line for line in server.log.read_text().splitlines() if "deadlock detected" in line]
    return account


async def _set_the_stage(url: str, folder: Path, seed: str) -> list[Client]:
    async with new_world(url) as world:
        for size, rate in SIZES.items():
            await world.ledger.publish_rate(size=size, rate_picos=rate)
        await world.ledger.set_policy(
            resume_minimum_seconds=RESUME_S,
            catchup_max_seconds=CATCHUP_S,
            silent_after_seconds=SILENT_S,
            low_runway_seconds=LOW_RUNWAY_S,
        )
        await world.sql.execute(PREPARED)
        await world.sql.execute("SELECT money.register_gateway($1)", GATEWAY)
        for wallet in WALLETS:
            await world.wallet(wallet, micros=FIRST_MICROS, low_micros=50)
        clients = []
        for number in range(CLIENTS):
            agents = {}
            for index in range(AGENTS_PER_CLIENT):
                size, wallet = list(SIZES)[index % len(SIZES)], WALLETS[(number + index) % len(WALLETS)]
                agents[await world.agent(f"agent-{number}-{index}", wallet=wallet, size=size)] = size
            clients.append(Client(f"{seed}-client-{number}", url, WALLETS, agents, folder))
        return clients


def _fork(client: Client) -> int:
    pid = os.fork()
    if pid == 0:
        client.run()
    return pid


def _was_inside(client: Client) -> bool:
    begun = client.inside.read_text() if client.inside.exists() else ""
    return bool(begun.strip()) and int(begun) > client.last().step


async def _pass_time(url: str) -> None:
    sql = await asyncpg.connect(url)
    await sql.execute("UPDATE money.test_clock SET now_s = now_s + $1", float(CLOCK_SECONDS_PER_KILL))
    await sql.close()


async def _settle_accounts(url: str, clients: list[Client], account: Account) -> None:
    """Whatever was answered is there, nothing is there twice, and the books hold."""
    found: dict[str, set[str]] = {kind: set() for kind in TRACES}
    for client in clients:
        await client.live(steps_max=1)  # the step that its last life may have left half-way
        for line in client.diary.read_text().splitlines():
            account.answered += 1
            for kind, key in json.loads(line)["traces"]:
                found[kind].add(key)
    sql = await asyncpg.connect(url)
    for kind, query in TRACES.items():
        lost = [row[0] for row in await sql.fetch(query, sorted(found[kind]))]
        account.wrong += [f"answered but lost: {kind} {key}" for key in lost]
    for kind, query in COUNTS.items():
        count = await sql.fetchval(query)
        if count != len(found[kind]):
            account.wrong.append(f"{kind}: {count} are there, {len(found[kind])} were answered")
    await sql.close()
    database = await Database.connect(url)
    checks = await ledger_verify.verify(database)
    account.wrong += [f"{check.id}: {check.examples}" for check in checks if check.violations]
    await database.close()
