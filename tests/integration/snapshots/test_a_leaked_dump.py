"""Whoever gets a dump of the database, and not the root key, reads no data and finds nothing to log in with."""

import base64
import itertools
import subprocess
from pathlib import Path

import asyncpg
import pytest

from dev import postgres
from moorage.model.sealing import PLATFORM, KeyUnreadable, wrapping_context
from moorage.services.keyring import WrongRootKey
from moorage.services.snapshots import open_data_key
from moorage.store.database import Database
from moorage.store.owner_keys import OwnerKeys
from tests import store_server
from tests.fakes import keys
from tests.integration.snapshots.world import ROOT_KEY, World

pytestmark = [pytest.mark.postgres, pytest.mark.store, pytest.mark.anyio]

IN_A_FILE = b"canary-in-the-volume-5a1f"
OPEN_BY_NATURE = "canary-in-the-open-77c2"  # shows that the search would find something
_numbers = itertools.count(1)


async def test_a_restored_dump_holds_no_secret_in_any_column_of_any_table(
    world: World, database_url: str, tmp_path: Path
) -> None:
    secrets = await _lived(world)
    dump = tmp_path / "dump.sql"
    _run("pg_dump", "--dbname", database_url, "--file", str(dump))
    restored = await _restored(world, database_url, dump)
    connection = await asyncpg.connect(restored)
    try:
        columns = await _columns(connection)
        found = [await _search(connection, *column, needle) for column in columns for needle in secrets]
        control = [await _search(connection, *column, OPEN_BY_NATURE.encode()) for column in columns]
    finally:
        await connection.close()
    assert len(columns) > 100, "everything was looked at"
    assert any(control)
    assert [one for one in found if one] == []
    text = dump.read_bytes()
    assert [needle for needle in secrets for spelt in _spellings(needle) if spelt in text] == []


async def test_a_restored_dump_opens_with_no_root_key_but_its_own(
    world: World, database_url: str, tmp_path: Path
) -> None:
    await _lived(world)
    dump = tmp_path / "dump.sql"
    _run("pg_dump", "--dbname", database_url, "--file", str(dump))
    thief = await Database.connect(await _restored(world, database_url, dump))
    try:
        for root in (bytes(32), b"x" * 32):
            with pytest.raises(WrongRootKey):
                await keys.keyring(thief, root).require()
            key = await OwnerKeys(thief).newest(world.tenant_uid)
            assert key is not None
            context = wrapping_context(key.owner, key.version)
            with pytest.raises(KeyUnreadable):
                await keys.root_keys(root).newest.unwrap(key.wrapped, context)
        await keys.keyring(thief, ROOT_KEY).require()
    finally:
        await thief.close()


async def _lived(world: World) -> list[bytes]:
    """A snapshot was taken and restored; returns everything that nobody else may read."""
    await world.keyring.require()
    await world.admin.execute("UPDATE moorage.tenant SET name = $1", OPEN_BY_NATURE)
    volume = world.volume()
    (volume / IN_A_FILE.decode()).write_bytes(IN_A_FILE)
    taken = await world.snapshot(volume)
    await world.restore(world.volume("again"))
    opened = [ROOT_KEY, IN_A_FILE, store_server.SECRET_KEY.encode(), await open_data_key(world.keyring, taken)]
    for owner in (PLATFORM, world.tenant_uid):
        key = await OwnerKeys(world.database).newest(owner)
        assert key is not None
        opened.append(await keys.root_keys(ROOT_KEY).newest.unwrap(key.wrapped, wrapping_context(owner, key.version)))
    return [*opened, *(file.read_bytes() for file in world.scratch.glob("token-*"))]


async def _restored(world: World, database_url: str, dump: Path) -> str:
    name = f"leaked_{next(_numbers)}"
    await world.admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    url = f"{database_url.rpartition('/')[0]}/{name}"
    _run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", str(dump))
    return url


def _run(program: str, *arguments: str) -> None:
    subprocess.run([postgres.binaries() / program, *arguments], check=True, stdout=subprocess.DEVNULL)


async def _columns(connection: "asyncpg.Connection[asyncpg.Record]") -> list[tuple[str, str]]:
    """Every column of every table of every schema but the server's own."""
    rows = await connection.fetch(
        "SELECT format('%I.%I', table_schema, table_name) AS within, quote_ident(column_name) AS name"
        " FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'"
    )
    return [(row["within"], row["name"]) for row in rows]


async def _search(
    connection: "asyncpg.Connection[asyncpg.Record]", table: str, column: str, needle: bytes
) -> str | None:
    """Where a secret stands, in whatever spelling; bytes are shown as hexadecimal by the server."""
    spelt = [one.decode() for one in _spellings(needle) if one.isascii() and b"\0" not in one]
    there = await connection.fetchval(
        f"SELECT EXISTS (SELECT 1 FROM {table} WHERE EXISTS (SELECT 1 FROM unnest($1::text[]) n"
        f" WHERE strpos({column}::text, n) > 0))",
        spelt,
    )
    return f"{table}.{column}" if there else None


def _spellings(needle: bytes) -> list[bytes]:
    in_base64 = [base64.b64encode(needle), base64.urlsafe_b64encode(needle)]
    return [needle, needle.hex().encode(), *(one.rstrip(b"=") for one in in_base64)]
