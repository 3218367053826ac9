"""Charge of all open runs: how long one settlement of everybody takes on a durable PostgreSQL.

Prints one JSON object with the median over the rounds, and beside it, in the same rounds, the floor of this machine:
the same number of rows updated and inserted by two bare statements on one connection.
"""

import argparse
import statistics
import time
from typing import Any

import asyncpg

from dev.postgres import Postgres
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from moorage.store.migrate import migrate
from tests.bench import durable

START_S = 1_700_000_000
SECONDS_PER_ROUND = 60
RATE_PICOS = 10_000_001
GRANT_MICROS = 1_000_000_000
LOW_MICROS = 1_000_000  # every wallet asks for a warning

SET_UP = """
CREATE TABLE money.bench_clock (now_s double precision NOT NULL);
INSERT INTO money.bench_clock VALUES ({start});
GRANT SELECT ON money.bench_clock TO moorage_app;
CREATE OR REPLACE FUNCTION money.clock() RETURNS double precision LANGUAGE sql AS 'SELECT now_s FROM money.bench_clock';
UPDATE moorage.leader SET epoch = 1, holder = 'bench', expires_at = 'infinity';
SELECT money.publish_rate('small', {rate});
INSERT INTO money.node (name, proven, seen_at) SELECT 'node-' || n, {start}, {start} FROM generate_series(1, 100) n;
INSERT INTO money.wallet (name, balance_micros, seq, as_of, standing, burn_picos, low_micros, zero_at, due_at)
    SELECT 'wallet-' || n, {grant}, 1, {start}, 'Funded', {rate} * ({runs} / {wallets}), {low}, zero, zero - 200000
    FROM generate_series(1, {wallets}) n,
         LATERAL (SELECT {start} + {grant} * 1000000::bigint / ({rate} * ({runs} / {wallets})) AS zero) ahead;
INSERT INTO money.entry (wallet_id, seq, contra, amount_micros, balance_after_micros, kind, key, effective_at)
    SELECT id, 1, -1, balance_micros, balance_micros, 'Grant', name, {start} FROM money.wallet;
INSERT INTO money.timer (wallet_id, due_at) SELECT id, due_at FROM money.wallet;
INSERT INTO moorage.tenant (uid, name, core_namespace, wallet_id)
    VALUES ('00000000-0000-0000-0000-000000000001', 'bench', 'mn-bench', 1);
INSERT INTO moorage.agent (uid, tenant_uid, wallet_id, namespace, name, size, pod_uid)
    SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 1 + n % {wallets}, 'mn-bench', 'agent-' || n,
           'small', gen_random_uuid() FROM generate_series(1, {runs}) n;
INSERT INTO money.run (wallet_id, agent_uid, pod_uid, container_id, node, rate_id, rate_picos, started, cursor,
                       lined_to, in_burn)
    SELECT wallet_id, uid, pod_uid, 'c', 'node-' || (1 + (hashtext(name) & 63)),
           (SELECT id FROM money.rate WHERE class = 'small'), {rate}, {start}, {start}, {start}, true
    FROM moorage.agent;
CREATE TABLE floor_wallet (id bigint PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 70);
CREATE TABLE floor_entry (id bigint, seq bigint, amount bigint, PRIMARY KEY (id, seq));
INSERT INTO floor_wallet SELECT n, 0 FROM generate_series(1, {wallets}) n;
"""


async def measure(server: Postgres, *, runs: int, wallets: int, rounds: int) -> dict[str, Any]:
    """Fill the database, settle everybody `rounds` times, and check the books."""
    await migrate(server.url())
    connection = await asyncpg.connect(server.url())
    numbers = {"start": START_S, "rate": RATE_PICOS, "grant": GRANT_MICROS, "low": LOW_MICROS}
    numbers |= {"runs": runs, "wallets": wallets}
    await connection.execute(SET_UP.format(**numbers))
    await connection.execute("VACUUM ANALYZE")
    database = await Database.connect(server.url(), size_max=4)
    ledger = Ledger(database)
    settle_seconds, floor_seconds = [], []
    # The first round is not counted: it plans the functions and fills the cache.
    for number in range(rounds + 1):
        await connection.execute("UPDATE money.bench_clock SET now_s = now_s + $1", float(SECONDS_PER_ROUND))
        await connection.execute("UPDATE money.node SET proven = money.now_s(), seen_at = money.now_s()")
        await connection.execute("CHECKPOINT")
        begun = time.perf_counter()
        settled = await ledger.settle_all(epoch=1)
        settle_seconds.append(time.perf_counter() - begun)
        assert settled.wallets == wallets, f"{settled.wallets} of {wallets} wallets were settled"
        begun = time.perf_counter()
        async with connection.transaction():
            await connection.execute("UPDATE floor_wallet SET balance = balance - 1")
            await connection.execute("INSERT INTO floor_entry SELECT id, $1, 1 FROM floor_wallet", number)
        floor_seconds.append(time.perf_counter() - begun)
    await durable.check_books(database)
    await database.close()
    await connection.close()
    settle_s, floor_s = statistics.median(settle_seconds[1:]), statistics.median(floor_seconds[1:])
    return {
        "runs": runs,
        "wallets": wallets,
        "rounds": rounds,
        "settle_seconds_median": round(settle_s, 3),
        "settle_seconds_all": [round(one, 3) for one in settle_seconds[1:]],
        "floor_seconds_median": round(floor_s, 3),
        "ratio_to_floor": round(settle_s / floor_s, 2),
    }


def main() -> None:
    """Read the arguments, run on a server of its own, print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--wallets", type=int, help="default: one per run")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    wallets = arguments.wallets or arguments.runs
    if arguments.runs % wallets:
        parser.error("--runs must be a multiple of --wallets")
    durable.run(lambda server: measure(server, runs=arguments.runs, wallets=wallets, rounds=arguments.rounds))


if __name__ == "__main__":
    main()
