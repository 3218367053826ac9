"""What a wallet did, for people who want to check it: read only, from the same rows as the checks of the books."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from moorage.model import clock
from moorage.model.ledger import EntryView
from moorage.model.statement import Explanation, Metered, Movements, Present
from moorage.model.wallet import Standing
from moorage.store.database import Database

ENTRIES_PER_READ = 1000

# The balance at a moment is that of the last entry booked for a second before or at it.
_LAST = """
SELECT seq, balance_after_micros FROM money.entry
WHERE wallet_id = $1 AND ($2::bigint IS NULL OR effective_at <= $2) ORDER BY seq DESC LIMIT 1
"""
_MOVEMENTS = """
SELECT kind, count(*) AS entries, sum(amount_micros)::bigint AS amount_micros
FROM money.entry WHERE wallet_id = $1 AND seq <= $2 GROUP BY kind ORDER BY min(seq)
"""
_METERED = """
SELECT coalesce(a.namespace || '/' || a.name, '') AS agent, p.meter, p.class AS price_class,
       sum(l.charged_seconds)::bigint AS charged_seconds, sum(l.absorbed_seconds)::bigint AS absorbed_seconds,
       sum(l.amount_picos) AS amount_picos
FROM money.line l JOIN money.run r ON r.id = l.run_id JOIN money.rate p ON p.id = l.rate_id
LEFT JOIN moorage.agent a ON a.uid = r.agent_uid
WHERE l.wallet_id = $1 AND l.lo >= $2 AND l.lo < $3
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_PRESENT = """
SELECT w.standing, w.balance_micros, w.held_micros, w.burn_picos, w.carry_picos, w.as_of,
       money.accrued_balance_micros(w.id) AS live_balance_micros, money.zero_at(w.id) AS zero_s,
       money.missing_micros(w.id) AS missing_micros, money.now_s() AS now_s,
       (SELECT coalesce(sum(amount_micros), 0) FROM money.entry
        WHERE wallet_id = w.id AND kind IN ('Usage', 'Correction')) AS usage_micros
FROM money.wallet w WHERE w.id = $1
"""
_ENTRIES = """
SELECT seq, kind, amount_micros, balance_after_micros, effective_at, key, reason, actor
FROM money.entry WHERE wallet_id = $1 AND seq > $2 AND effective_at >= $3 AND effective_at < $4 ORDER BY seq LIMIT $5
"""
ALL_TIME_S = (0, 2**63 - 1)


async def wallet_id(database: Database, name: str) -> int | None:
    """The id of the open wallet of this name, or of the one closed last; None when there never was one."""
    sql = "SELECT id FROM money.wallet WHERE name = $1 ORDER BY closed_at IS NULL DESC, closed_at DESC LIMIT 1"
    found: int | None = await database.value(sql, name)
    return found


async def explain(database: Database, name: str, at_s: int | None = None) -> Explanation | None:
    """How the balance came about: now, or as it was booked at a past second. None when there is no such wallet."""
    wallet = await wallet_id(database, name)
    if wallet is None:
        return None
    async with database.transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        last = await connection.fetchrow(_LAST, wallet, at_s)
        seq = last["seq"] if last else 0
        movements = await connection.fetch(_MOVEMENTS, wallet, seq)
        now_s = await connection.fetchval("SELECT money.now_s()")
        present = await _present(connection, wallet) if at_s is None else None
    return Explanation(
        wallet=name,
        at=clock.from_epoch(now_s if at_s is None else at_s),
        movements=tuple(Movements(**row) for row in movements),
        last_seq=seq,
        balance_micros=last["balance_after_micros"] if last else 0,
        present=present,
    )


async def metered(database: Database, wallet: int, first_s: int, end_s: int) -> list[Metered]:
    """The statement lines that begin in `first_s` … `end_s - 1`, added up by agent, meter and price class."""
    return [_metered(row) for row in await database.rows(_METERED, wallet, first_s, end_s)]


async def entries(database: Database, wallet: int, first_s: int, end_s: int) -> AsyncIterator[EntryView]:
    """The entries booked for `first_s` … `end_s - 1`, oldest first, read a page at a time: entries never change."""
    seq = 0
    while True:
        page = await database.rows(_ENTRIES, wallet, seq, first_s, end_s, ENTRIES_PER_READ)
        for row in page:
            yield EntryView(**{**row, "effective_at": clock.from_epoch(row["effective_at"])})
        if len(page) < ENTRIES_PER_READ:
            return
        seq = page[-1]["seq"]


async def _present(connection: "asyncpg.Connection[Any]", wallet: int) -> Present:
    lines = [_metered(row) for row in await connection.fetch(_METERED, wallet, *ALL_TIME_S)]
    row = await connection.fetchrow(_PRESENT, wallet)
    assert row is not None, "a wallet is never deleted"
    on_lines = sum(line.amount_picos for line in lines)
    # The identity that the check I-7 proves run by run: what was metered is what was booked and what is carried.
    open_picos = row["carry_picos"] - 1_000_000 * int(row["usage_micros"]) - on_lines
    zero_s = row["zero_s"]
    return Present(
        metered=tuple(lines),
        open_picos=open_picos,
        carry_picos=row["carry_picos"],
        accrued_micros=row["balance_micros"] - row["live_balance_micros"],
        accrued_since=clock.from_epoch(row["as_of"]),
        live_balance_micros=row["live_balance_micros"],
        held_micros=row["held_micros"],
        burn_picos=row["burn_picos"],
        zero_at=None if zero_s is None else clock.from_epoch(zero_s),
        missing_micros=row["missing_micros"],
        standing=Standing(row["standing"]),
    )


def _metered(row: asyncpg.Record) -> Metered:
    return Metered(**{**row, "amount_picos": int(row["amount_picos"])})
