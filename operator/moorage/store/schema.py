"""Whether the database has the schema this code was written for."""

from moorage.model.errors import MoorageError
from moorage.store import migrate
from moorage.store.database import Database


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
