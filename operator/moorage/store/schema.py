"""Whether the database has the schema this code was written for."""

import asyncio
import logging

from moorage.model.errors import MoorageError
from moorage.store import connecting, migrate
from moorage.store.database import Database

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


class SchemaOutdated(MoorageError):
    """Migrations are missing; the text says what to run."""


async def require_current(database: Database) -> None:
    """Refuse to work on a database that lacks a migration of this version."""
    rows = await database.rows("SELECT name, sha256 FROM public.moorage_migrations")
    applied = {row["name"]: row["sha256"] for row in rows}
    missing = [item.name for item in migrate.migrations() if item.name not in applied]
    if not missing and applied.get(migrate.FUNCTIONS) != migrate.functions().sha256:
        missing = ["this version's functions"]
    if missing:
        raise SchemaOutdated(f"the database lacks {missing[0]}; run `python -m moorage migrate` first")


async def wait_current(url: str, *, seconds_max: float) -> None:
    """Wait for somebody else to migrate; raises what is in the way, also of a database that is away, in the end."""
    clock, said = asyncio.get_running_loop().time, False
    deadline = clock() + seconds_max
    while True:
        try:
            async with connecting.database(url, size_max=1) as database:
                return await require_current(database)
        except MoorageError as error:
            if clock() >= deadline:
                raise
            if not said:
                log.info("waiting for the schema", extra={"why": str(error)})
            said = True
            await asyncio.sleep(LOOK_SECONDS)
