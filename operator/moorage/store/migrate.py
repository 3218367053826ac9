"""Numbered migrations, applied once each, in order, under an advisory lock.

`NNNN_pre_<what>.sql` runs before the new code starts, `NNNN_post_<what>.sql` after the old code is gone.
"""

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import asyncpg

from moorage.model.errors import MoorageError
from moorage.store.connecting import connect_errors

LOCK = (7400001, 2)
BOOKS = """
CREATE TABLE IF NOT EXISTS public.moorage_migrations (
    name       text PRIMARY KEY,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
BOOKED = "INSERT INTO public.moorage_migrations (name, sha256) VALUES ($1, $2)"


class MigrationRefused(MoorageError):
    """The files and the database do not belong together; the text is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name, which orders it, and its text."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """What tells an edited file from the one that was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Traversable | None = None) -> list[Migration]:
    """The migration files in their order; those of this package when no folder is named."""
    source = folder or resources.files("moorage.store") / "migrations"
    files = [item for item in source.iterdir() if item.name.endswith(".sql")]
    return [Migration(item.name, item.read_text(encoding="utf-8")) for item in sorted(files, key=lambda it: it.name)]


async def migrate(url: str, *, files: list[Migration] | None = None) -> list[str]:
    """Apply what is missing and return the names of it; two at once wait for each other.

    Raises MigrationRefused before anything is changed when a file that was applied was edited or is gone.
    """
    wanted = migrations() if files is None else files
    with connect_errors():
        connection = await asyncpg.connect(url, timeout=10, server_settings={"application_name": "moorage migrate"})
    try:
        await connection.execute("SELECT pg_advisory_lock($1, $2)", *LOCK)
        return await _apply(connection, wanted)
    finally:
        await connection.close()  # which also gives the lock back


async def _apply(connection: "asyncpg.Connection[Any]", wanted: list[Migration]) -> list[str]:
    await connection.execute(BOOKS)
    rows = await connection.fetch("SELECT name, sha256 FROM public.moorage_migrations ORDER BY name")
    applied = {row["name"]: row["sha256"] for row in rows}
    known = {migration.name: migration for migration in wanted}
    for name, sha256 in applied.items():
        if name not in known:
            raise MigrationRefused(f"the database has migration {name}, which this version of Moorage does not know")
        if known[name].sha256 != sha256:
            raise MigrationRefused(f"migration {name} was edited after it was applied; write a new one instead")
    missing = [migration for migration in wanted if migration.name not in applied]
    late = [migration.name for migration in missing if applied and migration.name < max(applied)]
    if late:
        raise MigrationRefused(f"migration {late[0]} is numbered before one that was already applied")
    for migration in missing:
        try:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(BOOKED, migration.name, migration.sha256)
        except asyncpg.PostgresError as error:
            raise MigrationRefused(f"migration {migration.name} failed and changed nothing: {error}") from error
    return [migration.name for migration in missing]
