"""Whether the books are right: every invariant of the ledger, on one consistent view of it."""

import time
from collections.abc import Callable
from typing import Any

import asyncpg

from moorage.model.ledger import Check
from moorage.store import invariants
from moorage.store.database import Database
from moorage.store.invariants.invariant import Invariant
from moorage.store.together import together

EXAMPLES_MAX = 10
WALLETS_MAX = 100
SESSIONS = 2
QUERY_SECONDS_MAX = 1800

_VIEW = f"""
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = '{QUERY_SECONDS_MAX}s';
SET LOCAL work_mem = '256MB';
"""


def _nobody_listens(_done: int, _of: int) -> None:
    """The default of `progress`."""


async def verify(
    database: Database,
    *,
    wallet_id: int | None = None,
    since_seal: int = 0,
    progress: Callable[[int, int], None] = _nobody_listens,
) -> list[Check]:
    """Run every query on one snapshot of the database, over two connections that share it; takes no locks.

    With a wallet, only what breaks in it is found, and what belongs to no wallet is left out. Seals up to `since_seal`
    are taken as they are: their rows are not hashed again.
    """
    checks: list[Check] = []
    waiting = iter(invariants.ALL)
    # Named, because the first transaction must live as long as anybody reads the view it exported.
    async with database.transaction() as first:
        await first.execute(_VIEW)
        view = await first.fetchval("SELECT pg_export_snapshot()")

        async def work(connection: "asyncpg.Connection[Any]") -> None:
            for invariant in waiting:  # shared: each session takes the next one
                checks.append(await _check(connection, invariant, wallet_id, since_seal))
                progress(len(checks), len(invariants.ALL))

        async def work_beside() -> None:
            async with database.transaction() as connection:
                await connection.execute(f"{_VIEW}SET TRANSACTION SNAPSHOT '{view}'")
                await work(connection)

        await together([work(first), *(work_beside() for _ in range(1, SESSIONS))])
    order = {invariant.id: place for place, invariant in enumerate(invariants.ALL)}
    return sorted(checks, key=lambda check: order[check.id])


async def _check(
    connection: "asyncpg.Connection[Any]", invariant: Invariant, wallet_id: int | None, since_seal: int
) -> Check:
    sql = f"""SELECT wallet_id, key, count(*) OVER () AS total FROM ({invariant.sql}) broken (wallet_id, key)
              WHERE ($1::bigint IS NULL OR wallet_id = $1) AND $2::bigint >= 0 LIMIT {WALLETS_MAX}"""  # noqa: S608  # constants of this package
    begun = time.perf_counter()
    rows = await connection.fetch(sql, wallet_id, since_seal, timeout=QUERY_SECONDS_MAX)
    return Check(
        id=invariant.id,
        sentence=invariant.sentence,
        violations=rows[0]["total"] if rows else 0,
        examples=tuple(row["key"] for row in rows[:EXAMPLES_MAX]),
        wallets=tuple(sorted({row["wallet_id"] for row in rows if row["wallet_id"] is not None})),
        milliseconds=int((time.perf_counter() - begun) * 1000),
    )
