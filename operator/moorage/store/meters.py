"""What is metered beside pods, and the statements of everything: storage, price changes, lines."""

from typing import Any

import asyncpg

from moorage.model.errors import Permanent
from moorage.model.rates import Absorbed, Meter, Stored
from moorage.model.reasons import Reason
from moorage.store.database import Database
from moorage.store.ledger import UNKNOWN_WALLET, LedgerRefusal

STORAGE_REFUSED = "MO013"
WALLETS_PER_CALL_MAX = 500
MONTHS_AHEAD = 2


class Meters:
    """Every method is repeatable: its key or the state it finds decides whether anything is left to do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_storage(self, *, epoch: int, agent_uid: str, stored: Stored) -> None:
        """Start the meter of a volume or snapshot, or change its size; nothing once it was freed."""
        sql = "SELECT money.open_storage($1, $2, $3, $4, $5)"
        await self._call(sql, epoch, agent_uid, stored.meter.value, stored.object_id, stored.mib)

    async def close_storage(self, *, epoch: int, stored: Stored) -> None:
        """Stop the meter of a volume or snapshot that is gone."""
        await self._call("SELECT money.close_storage($1, $2, $3)", epoch, stored.meter.value, stored.object_id)

    async def reprice(self, *, epoch: int) -> None:
        """Let runs go over to the prices that have become valid, charging the old ones up to that very second."""
        await self._each("SELECT money.reprice($1, $2, $3) AS last", epoch)

    async def write_statements(self, *, epoch: int, slot: int) -> None:
        """Settle the wallets whose id is `slot` modulo 60 and write their statement lines."""
        await self._each("SELECT money.write_statements($1, $4, $2, $3) AS last", epoch, slot)

    async def prepare_months(self, *, epoch: int) -> int:
        """Make the partitions that statement lines will need; returns how many were missing."""
        made: int = await self._database.value("SELECT money.prepare_months($1, $2)", epoch, MONTHS_AHEAD)
        return made

    async def absorbed(self, *, after_entry: int | None) -> tuple[int, list[Absorbed]]:
        """What the platform has absorbed since a system entry, and the entry to ask from next; None: from now on."""
        if after_entry is None:
            newest: int = await self._database.value("SELECT coalesce(max(id), 0) FROM money.system_entry")
            return newest, []
        rows = await self._database.rows("SELECT * FROM money.absorbed_since($1)", after_entry)
        found = [Absorbed(cause=row["cause"], meter=Meter(row["meter"]), seconds=row["seconds"]) for row in rows]
        return max([after_entry, *(row["last_entry"] for row in rows)]), found

    async def _each(self, sql: str, epoch: int, *args: object) -> None:
        last = 0
        while last is not None:
            last = (await self._call(sql, epoch, last, WALLETS_PER_CALL_MAX, *args))["last"]

    async def _call(self, sql: str, *args: object) -> Any:  # Any: asyncpg.Record has no types
        try:
            return await self._database.row(sql, *args)
        except asyncpg.PostgresError as error:
            if error.sqlstate == UNKNOWN_WALLET:
                raise Permanent(Reason.WALLET_NOT_FOUND, str(error)) from error
            if error.sqlstate == STORAGE_REFUSED:
                raise LedgerRefusal(str(error)) from error
            raise
