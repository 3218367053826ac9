"""Charges of many runs at once, of nobody, of everybody at zero, and of one wallet at a time.

Prints one JSON object. Beside the charges of all and of one stand bare statements, in the same rounds on the same
durable PostgreSQL; the sum of every charge is compared with a query that knows runs only, not what a wallet burns.
"""

import argparse
import asyncio
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

from dev.postgres import Postgres, binaries
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from moorage.store.migrate import migrate
from tests.bench import durable
from tests.bench.settle import GRANT_MICROS, LOW_MICROS, RATE_PICOS, SECONDS_PER_ROUND, SET_UP, START_S

DUE_WALLETS = 500
CLIENTS = (8, 16)
SINGLE_WALLETS = 16_000
NOT_EXACT = """
SELECT count(*) FROM (
    SELECT w.id FROM money.wallet w JOIN money.run r ON r.wallet_id = w.id GROUP BY w.id
    HAVING sum(r.rate_picos * (w.as_of - r.started)) <> w.carry_picos + 1000000 * ($1 - w.balance_micros)
        OR w.as_of <> $2) wrong
"""
# Ten seconds are left to some wallets, by hand.
DRAIN = """
WITH poor AS (
    UPDATE money.wallet SET balance_micros = burn_picos * 10 / 1000000, seq = seq + 1, due_at = $2
    WHERE id > $1 AND id <= $1 + 500 RETURNING id, seq, balance_micros),
timers AS (UPDATE money.timer m SET due_at = $2 FROM poor p WHERE m.wallet_id = p.id)
INSERT INTO money.entry (wallet_id, seq, contra, amount_micros, balance_after_micros, kind, key, effective_at)
SELECT id, seq, -16, balance_micros - $3, balance_micros, 'Manual', 'drained/' || id, $2 FROM poor
"""
# A second of the ledger is a millisecond, so that there is always something to charge; everything is proven.
FAST_CLOCK = """
CREATE OR REPLACE FUNCTION money.clock() RETURNS double precision LANGUAGE sql AS
    $$SELECT {start} + 1000 * (extract(epoch FROM clock_timestamp())::double precision - {begun})$$;
UPDATE money.policy SET catchup_max_seconds = 2592000;
UPDATE money.node SET proven = {start} * 1000::bigint, seen_at = {start} * 1000::bigint;
CREATE TABLE bare_wallet (LIKE money.wallet INCLUDING ALL) WITH (fillfactor = 70);
INSERT INTO bare_wallet OVERRIDING SYSTEM VALUE SELECT * FROM money.wallet;
CREATE TABLE bare_entry (LIKE money.entry INCLUDING ALL);
"""
CHARGE = "SELECT * FROM money.settle_range(1, :id - 1, :id);\n"
BARE = """BEGIN;
UPDATE bare_wallet SET balance_micros = balance_micros - 1, seq = seq + 1 WHERE id = :id
    RETURNING seq, balance_micros AS balance \\gset
INSERT INTO bare_entry (wallet_id, seq, contra, amount_micros, balance_after_micros, kind, effective_at)
    VALUES (:id, :seq, -2, -1, :balance, 'Usage', 1);
END;
"""
ONE_OF_MANY = "\\set id :client_id * 1000 + random(1, 1000)\n"
ALWAYS_THE_SAME = "\\set id 1\n"


async def measure(server: Postgres, *, runs: int, pods: int, rounds: int, seconds: int) -> dict[str, Any]:
    """Each measurement in a database of its own."""
    return {
        "rounds": rounds,
        **await _everybody(server, runs=runs, rounds=rounds),
        **await _zero(server, pods=pods, rounds=rounds),
        **await _single(server, rounds=rounds, seconds=seconds),
    }


async def _database(server: Postgres, name: str, *, runs: int, wallets: int, grant: int) -> "asyncpg.Connection[Any]":
    server.psql(f"CREATE DATABASE {name}")
    await migrate(server.url(name))
    owner = await asyncpg.connect(server.url(name))
    numbers = {"start": START_S, "rate": RATE_PICOS, "grant": grant, "low": LOW_MICROS}
    numbers |= {"runs": runs, "wallets": wallets}
    await owner.execute("SET session_replication_role = replica")  # foreign keys that hold by construction
    await owner.execute(SET_UP.format(**numbers))
    await owner.execute("RESET session_replication_role")
    await owner.execute("VACUUM ANALYZE")
    return owner


async def _pass(owner: "asyncpg.Connection[Any]", seconds: int) -> int:
    sql = "UPDATE money.bench_clock SET now_s = now_s + $1 RETURNING now_s"
    now_s = int(await owner.fetchval(sql, float(seconds)))
    await owner.execute("UPDATE money.node SET proven = money.now_s(), seen_at = money.now_s()")
    return now_s


async def _everybody(server: Postgres, *, runs: int, rounds: int) -> dict[str, Any]:
    """Five runs of each wallet are charged in one go."""
    wallets = runs // 5
    owner = await _database(server, "everybody", runs=runs, wallets=wallets, grant=GRANT_MICROS)
    database = await Database.connect(server.url("everybody"), size_max=4)
    charged, bare = [], []
    for number in range(rounds + 1):
        now_s = await _pass(owner, SECONDS_PER_ROUND)
        await owner.execute("CHECKPOINT")
        begun = time.perf_counter()
        settled = await Ledger(database).settle_all(epoch=1)
        charged.append(round(time.perf_counter() - begun, 3))
        assert settled.wallets == wallets, f"{settled.wallets} of {wallets} wallets were settled"
        wrong = await owner.fetchval(NOT_EXACT, GRANT_MICROS, now_s)
        assert wrong == 0, f"{wrong} wallets were not charged what their runs cost"
        begun = time.perf_counter()
        async with owner.transaction():
            await owner.execute("UPDATE floor_wallet SET balance = balance - 1")
            await owner.execute("INSERT INTO floor_entry SELECT id, $1, 1 FROM floor_wallet", number)
        bare.append(round(time.perf_counter() - begun, 3))
    await database.close()
    await owner.close()
    return {"runs": runs, "wallets": wallets, "everybody": charged[1:], "bare_everybody": bare[1:]}


async def _zero(server: Postgres, *, pods: int, rounds: int) -> dict[str, Any]:
    """The look for wallets at zero, without any and with many of them."""
    owner = await _database(server, "zero", runs=pods, wallets=pods, grant=GRANT_MICROS)
    database = await Database.connect(server.url("zero"), size_max=2)  # the check needs two
    ledger = Ledger(database)
    idle, due = [], []
    for number in range(rounds + 1):
        for _ in range(50):
            begun = time.perf_counter()
            looked = await ledger.settle_due(epoch=1)
            idle.append(1000 * (time.perf_counter() - begun))
            assert looked.wallets == 0, "nothing should be due"
        now_s = START_S + 30 * number
        await owner.execute(DRAIN, DUE_WALLETS * number, now_s + 30, GRANT_MICROS)
        await _pass(owner, 30)
        begun = time.perf_counter()
        acted = await ledger.settle_due(epoch=1, limit=DUE_WALLETS)
        due.append(round(time.perf_counter() - begun, 3))
        stopped = await owner.fetchval("SELECT count(*) FROM moorage.agent WHERE state = 'Draining'")
        assert (acted.exhausted, stopped) == (DUE_WALLETS, DUE_WALLETS * (number + 1)), f"{acted}, {stopped} stopped"
    await durable.check_books(database)
    await database.close()
    await owner.close()
    return {"pods": pods, "idle_milliseconds": [round(one, 2) for one in idle[50:]], "due_seconds": due[1:]}


async def _single(server: Postgres, *, rounds: int, seconds: int) -> dict[str, Any]:
    """One wallet a call, from several clients of pgbench."""
    owner = await _database(server, "single", runs=SINGLE_WALLETS, wallets=SINGLE_WALLETS, grant=10**12)
    await owner.execute(FAST_CLOCK.format(start=START_S, begun=time.time()))
    await owner.execute("VACUUM ANALYZE")
    kinds = {
        f"{name}_{what}_{clients}": (clients, number + script)
        for clients in CLIENTS
        for what, number in (("many", ONE_OF_MANY), ("hot", ALWAYS_THE_SAME))
        for name, script in (("charge", CHARGE), ("bare", BARE))
    }
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(rounds + 1):
        for name, (clients, script) in kinds.items():
            rate = await asyncio.to_thread(_pgbench, server.url("single"), script, clients=clients, seconds=seconds)
            if number:  # the first round fills the cache
                rates[name].append(rate)
    commit = await durable.commit_milliseconds(owner)
    await owner.close()
    ratios = {
        name.replace("charge", "ratio"): _ratios(rates[name], rates[name.replace("charge", "bare")])
        for name in rates
        if name.startswith("charge")
    }
    return {**rates, **ratios, "commit_milliseconds": commit}


def _ratios(ours: Sequence[float], bare: Sequence[float]) -> list[float]:
    return [round(one / other, 2) for one, other in zip(ours, bare, strict=True)]


def _pgbench(url: str, script: str, *, clients: int, seconds: int) -> float:
    """Transactions per second, without the time to connect."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        asked = ["-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(seconds), "-f", file.name]
        done = subprocess.run(
            [str(Path(binaries()) / "pgbench"), *asked, url], capture_output=True, text=True, check=True
        )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("tps = ")]
    return round(float(line.split()[2]), 1)


def main() -> None:
    """Read the arguments, run on a server of its own, print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="charged at once, five of each wallet")
    parser.add_argument("--pods", type=int, default=100_000, help="while wallets are looked for that are at zero")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of every kind of single charge in every round")
    arguments = parser.parse_args()
    durable.run(lambda server: measure(server, **vars(arguments)))


if __name__ == "__main__":
    main()
