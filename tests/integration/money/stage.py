"""Where scripts of operations are played: a ledger with a few wallets and agents, made anew for each, and its model."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import asyncpg

from moorage.store import invariants
from moorage.store.ledger import Ledger
from tests.integration.money.operations import NODES, SIZES, Hands, Model, Place
from tests.integration.money.oracle import Agent
from tests.integration.money.world import START_S, World

CATCHUP_S, SILENT_S, RESUME_S = 120, 40, 30
WALLETS = ("acme", "zoo")
AGENTS = (*SIZES, "tiny", "large")
GONE_SECONDS_MAX = 10
VETO = {False: None, True: "ZeroBalance"}
KEPT = ("account", "audit", "lineage", "policy", "rate", "rate_proposal", "test_clock")
# $2 is the seal up to which the seals are taken as they are: none.
BROKEN = " UNION ALL ".join(
    f"SELECT '{one.id}' AS id, key FROM ({one.sql.replace('$2', '0')}) broken_{number} (wallet_id, key)"
    for number, one in enumerate(invariants.ALL)
)


@dataclass
class Stage:
    """One ledger and the connection that looks at it."""

    world: World
    reset: str

    @classmethod
    async def build(cls, world: World) -> "Stage":
        """Publish prices and policy; once per database."""
        for size, rate in SIZES.items():
            await world.ledger.publish_rate(size=size, rate_picos=rate)
        await world.ledger.set_policy(
            resume_minimum_seconds=RESUME_S, catchup_max_seconds=CATCHUP_S, silent_after_seconds=SILENT_S
        )
        rows = await world.sql.fetch(
            "SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND ("
            " n.nspname = 'money' AND c.relname <> ALL ($1::text[]) OR n.nspname = 'moorage' AND c.relname IN"
            " ('agent', 'tenant', 'outbox')) ORDER BY 1",
            KEPT,
        )
        tables = ", ".join(row["name"] for row in rows)
        return cls(
            world,
            f"SET session_replication_role = replica; TRUNCATE {tables} RESTART IDENTITY CASCADE;"
            " SET session_replication_role = DEFAULT",
        )

    async def begin(self, name: str, *, low_micros: int = 0, micros: int = 500) -> tuple[Place, Model]:
        """Empty the ledger, and put the wallets, the agents and some credit on it."""
        world = self.world
        await world.sql.execute(self.reset)
        world.tenants.clear()
        await world.at(START_S + 0.5)
        model = Model(now=START_S, catchup_max=CATCHUP_S, silent_after=SILENT_S, resume_minimum=RESUME_S)
        model.prices = {size: [(0, picos)] for size, picos in SIZES.items()}
        for wallet in WALLETS:
            await world.wallet(wallet, low_micros=low_micros)
            model.add_wallet(wallet, low_micros)
            await world.grant(micros, name=wallet, key=f"{name}-first-{wallet}")
            model.grant(wallet, micros)
        place = Place(name, START_S, WALLETS, {})
        for index, size in enumerate(AGENTS):
            wallet = WALLETS[index % 2]
            uid = await world.agent(f"agent-{index}", wallet=wallet, size=size)
            model.agents[uid] = Agent(wallet=model.wallets[wallet], size=size)
            place.agents[uid] = size
        proofs = dict.fromkeys(NODES, START_S)
        await world.ledger.prove(epoch=1, proofs=proofs)
        model.prove(proofs)
        return place, model

    def hands(self, ledger: Ledger | None = None) -> Hands:
        """The stage's own connections, or another session's ledger."""
        return Hands(ledger or self.world.ledger, self.world.sql)

    async def broken(self) -> list[tuple[str, str]]:
        """The invariants that do not hold, in one query."""
        return [tuple(row) for row in await self.world.sql.fetch(BROKEN)]

    async def differences(self, model: Model) -> list[str]:
        """Where ledger and model disagree: credit to the pico, standing, cut, agents, and every statement line."""
        sql = self.world.sql
        found = []
        for row in await sql.fetch("SELECT * FROM money.wallet"):
            wallet = model.wallets[row["name"]]
            picos = row["balance_micros"] * 1_000_000 - row["carry_picos"]
            found += _unequal(
                row["name"],
                (picos, row["standing"], row["cut_at"]),
                (wallet.picos, wallet.standing, wallet.cut),
            )
        for row in await sql.fetch("SELECT uid::text, state, veto, fence FROM moorage.agent"):
            agent = model.agents[row["uid"]]
            found += _unequal(
                row["uid"], (row["state"], row["veto"], row["fence"]), (agent.state, VETO[agent.veto], agent.fence)
            )
        rows = await sql.fetch("SELECT lo, hi, charged_seconds, absorbed_seconds FROM money.line ORDER BY 1, 2, 3, 4")
        lines = sorted(
            (run.started, run.ended, len(run.paid), len(run.absorbed))
            for run in model.runs
            if run.ended and run.ended > run.started
        )
        return found + _unequal("lines", [tuple(row) for row in rows], lines)

    async def disagreements(self, model: Model) -> list[Any]:  # Any: sentences and keys, for a person to read
        """Everything that is wrong."""
        return [*await self.broken(), *await self.differences(model)]


def down(model: Model) -> set[str]:
    """The agents whose pods may not be started."""
    return {uid for uid, agent in model.agents.items() if agent.state != "Running"}


def _unequal(what: str, ledger: object, model: object) -> list[str]:
    return [] if ledger == model else [f"{what}: the ledger says {ledger}, the model {model}"]


async def wait_for_nobody_at(sql: "asyncpg.Connection[Any]", ports: set[int]) -> None:
    """Until the server is done with what the connections from these ports left in it."""
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while await sql.fetchval("SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY ($1::integer[])", ports):
        assert time.monotonic() < deadline, "a broken connection is still busy"
        await asyncio.sleep(0.001)


async def held_while_waiting(sql: "asyncpg.Connection[Any]", call: "asyncio.Future[object]", query: str) -> set[str]:
    """What the query says a call holds at the moment it waits for a lock; nothing when it never waits."""
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while not call.done():
        assert time.monotonic() < deadline, "the call neither waits nor ends"
        if held := {row[0] for row in await sql.fetch(query)}:
            return held
        await asyncio.sleep(0.001)
    return set()
