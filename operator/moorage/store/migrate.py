"""The schema: numbered migrations, applied once each and in order, then the functions as this version has them.

`migrations/NNNN_pre_<what>.sql` runs before the new code starts, `NNNN_post_<what>.sql` after the old code is gone.
`functions/*.sql` hold no data, so they are not migrated but replaced, all of them, whenever one of them was edited.
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
BOOKED = """
INSERT INTO public.moorage_migrations (name, sha256) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, applied_at = excluded.applied_at
"""
FUNCTIONS = "functions"
RIGHTS = "rights.sql"  # names all the others' functions, so it comes last
# Triggers hang on tables, so their functions belong to migrations and stay. Bodies may name each other in any order.
DROP_FUNCTIONS = """
DO $$
DECLARE
    old regprocedure;
BEGIN
    FOR old IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
               WHERE n.nspname IN ('money', 'moorage') AND p.prorettype <> 'trigger'::regtype LOOP
        EXECUTE format('DROP FUNCTION %s', old);
    END LOOP;
END $$;
SET LOCAL check_function_bodies = off;
"""


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
    return _read(folder or resources.files("moorage.store") / "migrations")


def functions(folder: Traversable | None = None) -> Migration:
    """All function files as one step; those of this package when no folder is named."""
    files = sorted(
        _read(folder or resources.files("moorage.store") / "functions"), key=lambda file: file.name == RIGHTS
    )
    return Migration(FUNCTIONS, DROP_FUNCTIONS + "\n".join(file.sql for file in files))


async def migrate(url: str, *, files: list[Migration] | None = None, code: Migration | None = None) -> list[str]:
    """Apply what is missing and return the names of it; two at once wait for each other.

    Raises MigrationRefused before anything is changed when a migration that was applied was edited or is gone.
    """
    wanted = migrations() if files is None else files
    if files is None and code is None:
        code = functions()
    with connect_errors():
        connection = await asyncpg.connect(url, timeout=10, server_settings={"application_name": "moorage migrate"})
    try:
        await connection.execute("SELECT pg_advisory_lock($1, $2)", *LOCK)
        await connection.execute(BOOKS)
        rows = await connection.fetch("SELECT name, sha256 FROM public.moorage_migrations ORDER BY name")
        applied = {row["name"]: row["sha256"] for row in rows}
        booked = applied.pop(FUNCTIONS, None)
        missing = _missing(wanted, applied)
        # Functions name the columns of their tables, so a new table is a reason to look at them again.
        if code is not None and (missing or booked != code.sha256):
            missing.append(code)
        for step in missing:
            await _apply(connection, step)
        return [step.name for step in missing]
    finally:
        await connection.close()  # which also gives the lock back


def _read(folder: Traversable) -> list[Migration]:
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return [Migration(item.name, item.read_text(encoding="utf-8")) for item in files]


def _missing(wanted: list[Migration], applied: dict[str, str]) -> list[Migration]:
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
    return missing


async def _apply(connection: "asyncpg.Connection[Any]", step: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(step.sql)
            await connection.execute(BOOKED, step.name, step.sha256)
    except asyncpg.PostgresError as error:
        raise MigrationRefused(f"migration {step.name} failed and changed nothing: {error}") from error
