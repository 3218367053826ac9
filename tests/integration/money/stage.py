"""Where scripts of operations are played: a ledger with a few wallets and agents, made anew for each, and its model."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import asyncpg

from moorage.store import invariants
from moorage.store.database import Database
from tests.integration.money.model import HOLD_S, Model
from tests.integration.money.operations import NODES
from tests.integration.money.operations_of_meters import STORAGE
from tests.integration.money.oracle import Agent
from tests.integration.money.steps import GATEWAY, MONTH_MICROS, SIZES, Hands, Place
from tests.integration.money.world import START_S, World

CATCHUP_S, SILENT_S, RESUME_S, LOW_RUNWAY_S = 120, 40, 30, 60
WALLETS = ("acme", "zoo")
AGENTS = (*SIZES, "tiny", "large")
GONE_SECONDS_MAX = 60
KEPT = ("account", "audit", "lineage", "policy", "rate", "rate_proposal", "test_clock")
GRACE_MICROS = 60
# The application may play a gateway, and storage has its prices from the beginning.
PREPARED = f"""
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA money TO moorage_app;
UPDATE money.policy SET hold_seconds = {HOLD_S}, storage_grace_micros = {GRACE_MICROS};
SET session_replication_role = replica;
UPDATE money.rate SET rate_picos = CASE meter WHEN 'Volume' THEN {STORAGE["Volume"]} ELSE {STORAGE["Snapshot"]} END
WHERE meter IN ('Volume', 'Snapshot');
INSERT INTO money.rate (meter, class, rate_picos, valid_from) VALUES ('Domain', '', {MONTH_MICROS} * 1000000, 0)
ON CONFLICT DO NOTHING;
SET session_replication_role = DEFAULT;
"""
STATEMENTS = """
SELECT r.started, r.ended,
       coalesce(sum(l.charged_seconds), 0)::bigint, coalesce(sum(l.absorbed_seconds), 0)::bigint,
       coalesce(sum(l.waived_seconds), 0)::bigint, coalesce(sum(l.amount_picos), 0)::bigint
FROM money.run r LEFT JOIN money.line l ON l.run_id = r.id
WHERE r.ended IS NOT NULL GROUP BY r.id ORDER BY 1, 2, 3, 4, 5, 6
"""
LEASES = "SELECT id::text, granted_micros, spent_picos, state = 'Open' FROM money.lease ORDER BY 1"
MONTHS = """
SELECT d.uid::text, d.state = 'Active', d.unpaid_since IS NOT NULL,
       (SELECT count(*) FROM money.domain_month m WHERE m.hostname = d.hostname AND m.amount_micros > 0),
       coalesce((SELECT h.amount_micros FROM money.hold h WHERE h.domain_uid = d.uid AND h.state = 'Open'), 0)
FROM moorage.domain d ORDER BY 1
"""
# By id; $2 is the seal up to which the seals are taken as they are: none. One query of all would be too long for
# asyncpg to keep, and would be planned again every time.
INVARIANTS = {one.id: one.sql.replace("$2", "0") for one in invariants.ALL}


@dataclass
class Stage:
    """One ledger and the connection that looks at it."""

    world: World
    reset: str

    @classmethod
    async def build(cls, world: World) -> "Stage":
        """Publish prices and policy; once per database."""
        await world.sql.execute(PREPARED)
        for size, rate in SIZES.items():
            await world.ledger.publish_rate(size=size, rate_picos=rate)
        await world.ledger.set_policy(
            resume_minimum_seconds=RESUME_S,
            catchup_max_seconds=CATCHUP_S,
            silent_after_seconds=SILENT_S,
            low_runway_seconds=LOW_RUNWAY_S,
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
        model = Model(
            now=START_S, catchup_max=CATCHUP_S, silent_after=SILENT_S, resume_minimum=RESUME_S,
            grace=GRACE_MICROS,
        )  # fmt: skip
        model.low_runway = LOW_RUNWAY_S
        model.prices = {size: [(0, picos)] for size, picos in (SIZES | STORAGE).items()}
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
        await world.sql.execute("SELECT money.register_gateway($1)", GATEWAY)
        return place, model

    def hands(self, database: Database | None = None) -> Hands:
        """The stage's own connections, or another session's."""
        return Hands(database or self.world.database, self.world.sql)

    async def broken(self) -> list[tuple[str, str]]:
        """The invariants that do not hold, each with the keys it does not hold for."""
        return [(name, key) for name, sql in INVARIANTS.items() for _, key in await self.world.sql.fetch(sql)]

    async def differences(self, model: Model) -> list[str]:
        """Where ledger and model disagree: credit to the pico, standing, cut, agents, and every statement line."""
        sql = self.world.sql
        found = []
        for row in await sql.fetch("SELECT * FROM money.wallet"):
            wallet = model.wallets[row["name"]]
            picos = (row["balance_micros"] - row["held_micros"]) * 1_000_000 - row["carry_picos"]
            found += _unequal(
                row["name"],
                (picos, row["held_micros"], row["standing"], row["cut_at"], row["reclaim_at"]),
                (wallet.picos, wallet.held, wallet.standing, wallet.cut, wallet.asked_back_at),
            )
        for row in await sql.fetch("SELECT uid::text, state, veto, fence FROM moorage.agent"):
            agent = model.agents[row["uid"]]
            found += _unequal(
                row["uid"], (row["state"], row["veto"], row["fence"]), (agent.state, agent.veto, agent.fence)
            )
        rows = await sql.fetch(STATEMENTS)
        lines = sorted(
            (
                run.started, run.ended, len(run.paid), len(run.absorbed), len(run.waived),
                sum(model.rate(run, second) for second in run.paid),
            )
            for run in model.runs
            if run.ended
        )  # fmt: skip
        found += _unequal("lines", [tuple(row) for row in rows], lines)
        rows = await sql.fetch(LEASES)
        leases = sorted((key, one.granted, one.spent, one.is_open) for key, one in model.leases.items())
        found += _unequal("leases", [tuple(row) for row in rows], leases)
        rows = await sql.fetch(MONTHS)
        months = sorted((uid, one.active, one.unpaid, one.paid, one.held) for uid, one in model.months.items())
        found += _unequal("months", [tuple(row) for row in rows], months)
        rows = await sql.fetch("SELECT amount_micros, expired_micros FROM money.credit_grant ORDER BY id")
        given = [(one.micros, one.expired) for one in model.credits if one.expires]
        return found + _unequal("given credit", [tuple(row) for row in rows], given)

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
        if await sql.fetch(query):
            # Locks and waits are not read at one moment; once it waits, what it holds stays as it is.
            return {row[0] for row in await sql.fetch(query)}
        await asyncio.sleep(0.001)
    return set()
