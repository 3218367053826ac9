"""Proof of the books: how long a check of every invariant takes, and a seal, on a durable PostgreSQL.

Prints one JSON object. Beside the check stands the floor of this machine: one bare sum over the same entries, which has
to read all of them once.
"""

import argparse
import statistics
import time
from typing import Any

import asyncpg

from dev.postgres import Postgres
from moorage.store import ledger_verify
from moorage.store.database import VERIFY_ROLE, Database
from moorage.store.migrate import migrate
from moorage.store.seals import Seals
from tests.bench import durable

START_S = 1_700_000_000
ENTRIES_PER_WALLET = 100
TRANSACTION_ENTRIES = 5_000  # as a settlement books them

WALLETS = """
INSERT INTO money.wallet (name, balance_micros, seq, as_of, standing, cut_at)
    SELECT 'wallet-' || n, 0, {per_wallet}, {start}, 'Exhausted', {start} FROM generate_series(1, {wallets}) n;
"""
# Grants and refunds in turn, so that the books hold without a run; the last one takes the balance to nothing.
ENTRIES = """
INSERT INTO money.entry (wallet_id, seq, contra, amount_micros, balance_after_micros, kind, key, reason, actor,
                         effective_at)
    SELECT w, s, -1, CASE s % 2 WHEN 1 THEN 1000000 ELSE -1000000 END, 1000000 * (s % 2), 'Manual', w || '/' || s,
           'a reason of usual length', 'bench', {start} + s
    FROM generate_series($2::bigint, $3::bigint) w, (SELECT $1::bigint AS s) round
"""


async def measure(server: Postgres, *, entries: int, rounds: int) -> dict[str, Any]:
    """Fill the books, seal them, and check them `rounds` times."""
    await migrate(server.url())
    wallets = entries // ENTRIES_PER_WALLET
    connection = await asyncpg.connect(server.url())
    await connection.execute(WALLETS.format(per_wallet=ENTRIES_PER_WALLET, start=START_S, wallets=wallets))
    sql = ENTRIES.format(start=START_S)
    for seq in range(1, ENTRIES_PER_WALLET + 1):
        for first in range(1, wallets + 1, TRANSACTION_ENTRIES):
            await connection.execute(sql, seq, first, min(wallets, first + TRANSACTION_ENTRIES - 1))
    await connection.execute("VACUUM ANALYZE")
    database = await Database.connect(server.url(), size_max=2, role=VERIFY_ROLE)
    begun = time.perf_counter()
    made = await Seals(database).seal()
    seal_seconds = time.perf_counter() - begun
    verify_seconds, floor_seconds = [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        checks = await ledger_verify.verify(database)
        verify_seconds.append(time.perf_counter() - begun)
        assert not [check.id for check in checks if check.violations], "the books do not hold"
        begun = time.perf_counter()
        await connection.fetchval("SELECT sum(amount_micros) FROM money.entry")
        floor_seconds.append(time.perf_counter() - begun)
    await database.close()
    await connection.close()
    return {
        "entries": entries,
        "seals": len(made),
        "rounds": rounds,
        "seal_seconds": round(seal_seconds, 2),
        "verify_seconds_all": [round(one, 2) for one in verify_seconds],
        "verify_seconds_median": round(statistics.median(verify_seconds), 2),
        "floor_seconds_median": round(statistics.median(floor_seconds), 2),
        "milliseconds": {check.id: check.milliseconds for check in checks},
    }


def main() -> None:
    """Read the arguments, run on a server of its own, print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    durable.run(lambda server: measure(server, **vars(arguments)))


if __name__ == "__main__":
    main()
