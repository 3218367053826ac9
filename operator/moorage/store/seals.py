"""The seals of the ledger, and the record of its checks."""

import asyncpg

from moorage.model.ledger import Check, Seal
from moorage.store.database import Database

ROWS_PER_SEAL = 100_000

_COLUMNS = "no, from_xid, to_xid, entries, system_entries, hash, at"
_LAST_CHECKS = """
SELECT extract(epoch FROM clock_timestamp() - max(at))::double precision AS age,
       extract(epoch FROM clock_timestamp() - max(at) FILTER (WHERE since_seal = 0))::double precision AS full_age,
       coalesce(max(through_seal) FILTER (WHERE broken = '{}'), 0) AS seal
FROM money.verification
"""


class Seals:
    """Needs a database that acts as moorage_verify."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seal(self) -> list[Seal]:
        """Seal everything that can be sealed, in blocks of whole transactions; nothing when nothing is new."""
        made: list[Seal] = []
        while row := await self._database.row(f"SELECT {_COLUMNS} FROM money.seal_next($1)", ROWS_PER_SEAL):  # noqa: S608  # a constant of this file
            made.append(_seal(row))
        return made

    async def head(self) -> Seal | None:
        """The newest seal; None before the first."""
        row = await self._database.row(f"SELECT {_COLUMNS} FROM money.seal ORDER BY no DESC LIMIT 1")  # noqa: S608
        return None if row is None else _seal(row)

    async def after(self, no: int, limit: int) -> list[Seal]:
        """The seals that follow a number, oldest first."""
        sql = f"SELECT {_COLUMNS} FROM money.seal WHERE no > $1 ORDER BY no LIMIT $2"  # noqa: S608
        return [_seal(row) for row in await self._database.rows(sql, no, limit)]

    async def last_checks(self) -> tuple[float | None, float | None, int]:
        """Seconds since the last recorded check, since the last one of everything, and the last seal that was fine."""
        row = await self._database.row(_LAST_CHECKS)
        assert row is not None
        return row["age"], row["full_age"], row["seal"]

    async def record(self, checks: list[Check], *, since_seal: int, through_seal: int, actor: str) -> list[int]:
        """Keep what a check found and put the wallets it named on hold; returns the ids of those held by this call."""
        broken = [check for check in checks if check.violations]
        wallets = sorted({wallet for check in broken for wallet in check.wallets})
        held: list[int] = await self._database.value(
            "SELECT money.record_verification($1, $2, $3, $4, $5, $6, $7, $8)",
            since_seal,
            through_seal,
            len(checks),
            [check.id for check in broken],
            [f"{check.id} {key}" for check in broken for key in check.examples],
            wallets,
            sum(check.milliseconds for check in checks),
            actor,
        )
        return held


def _seal(row: asyncpg.Record) -> Seal:
    return Seal(**{**row, "hash": row["hash"].hex()})
