"""What the ledger refuses to people, as errors of the house with its sentence."""

from typing import Any

import asyncpg

from moorage.model.errors import Permanent
from moorage.model.reasons import Reason
from moorage.store.database import Database
from moorage.store.ledger import AMOUNT_REFUSED, KEY_TAKEN, UNKNOWN_WALLET, LedgerRefusal

WALLET_CLOSED = "MO040"
WALLET_STAYS_OPEN = "MO041"
CORRECTION_REFUSED = "MO042"
NOTHING_WAITS = "MO043"
MERGE_REFUSED = "MO044"
REFUSED = frozenset(
    {AMOUNT_REFUSED, KEY_TAKEN, WALLET_CLOSED, WALLET_STAYS_OPEN, CORRECTION_REFUSED, NOTHING_WAITS, MERGE_REFUSED}
)


async def call(database: Database, sql: str, *args: object) -> Any:  # Any: asyncpg.Record has no types
    """The row of one call of a door; raises LedgerRefusal, or Permanent when there is no such wallet."""
    try:
        return await database.row(sql, *args)
    except asyncpg.PostgresError as error:
        if error.sqlstate == UNKNOWN_WALLET:
            raise Permanent(Reason.WALLET_NOT_FOUND, str(error)) from error
        if error.sqlstate in REFUSED:
            raise LedgerRefusal(str(error)) from error
        raise
