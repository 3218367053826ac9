"""Which history of the database is ours: a restored server is led by nobody until a person trusts it."""

from dataclasses import dataclass

import asyncpg

from moorage.model.errors import MoorageError
from moorage.store.database import Database

BEHIND_THE_SEALS = "MO051"


class NotTrusted(MoorageError):
    """This history cannot be trusted; the text is a sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageNow:
    """How far this database is."""

    system_identifier: int
    timeline: int
    written_bytes: int  # of the write-ahead log, since the server was made
    trusted_at: int  # when a person last trusted it: microseconds since 1970, 0 for never
    at: int  # microseconds since 1970


class Lineage:
    """Reads with the application's rights; only whoever checks the books may trust."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def now(self) -> LineageNow:
        """Where this history stands."""
        row = await self._database.row("SELECT * FROM money.lineage_now()")
        assert row is not None
        return LineageNow(**row)

    async def doubt(self, *, reason: str, actor: str) -> None:
        """End every epoch, and let nobody take the next one until somebody trusts."""
        await self._database.run("SELECT money.doubt_lineage($1, $2)", reason, actor)

    async def trust(self, *, reason: str, actor: str) -> bool:
        """Say that this is our history from now on; False when nobody doubted it. Raises NotTrusted."""
        try:
            trusted: bool = await self._database.value("SELECT money.trust_lineage($1, $2)", reason, actor)
        except asyncpg.PostgresError as error:
            if error.sqlstate == BEHIND_THE_SEALS:
                raise NotTrusted(str(error)) from error
            raise
        return trusted
