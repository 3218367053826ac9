"""A sealed row that is edited behind the ledger's back is found and named; nothing that commits late is missed."""

import hashlib
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from moorage.store import ledger_verify
from moorage.store.database import VERIFY_ROLE, Database
from moorage.store.seals import Seals
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

# One edit per column: as small as it can be.
FLIPS = {
    "wallet_id": "wallet_id + 1",
    "seq": "seq + 100",
    "contra": "-16",
    "amount_micros": "amount_micros + 1",
    "balance_after_micros": "balance_after_micros + 1",
    "kind": "'Manual'",
    "key": "key || ' '",
    "run_id": "1",
    "reason": "'tesu'",
    "actor": "'somebody else'",
    "effective_at": "effective_at + 1",
    "at": "at + interval '1 microsecond'",
}
SYSTEM_NUMBERS = ("id", "debit", "credit", "amount_picos", "seconds")
SYSTEM_FLIPS = {
    "debit": "-10",
    "credit": "-4",
    "amount_picos": "amount_picos + 1",
    "cause": "'Overdue'",
    "seconds": "seconds + 1",
    "line_no": "line_no + 1",
    "at": "at - interval '1 microsecond'",
}


@pytest.fixture
async def seals(database_url: str) -> AsyncIterator[Seals]:
    """Whoever seals has the rights of the checks only."""
    database = await Database.connect(database_url, size_max=1, role=VERIFY_ROLE)
    yield Seals(database)
    await database.close()


async def _booked(world: World) -> None:
    """Three entries, and one absorbed stretch."""
    await world.wallet("acme", micros=1_000_000)
    pod = await world.open(await world.agent("a"), START_S)
    await world.proven_at(START_S + 100)
    await world.grant(5)
    await world.at(START_S + 200)
    await world.close(pod, START_S + 200)
    assert await world.sql.fetchval("SELECT count(*) FROM money.entry") >= 3


async def _found(world: World, since: int = 0) -> tuple[str, ...]:
    checks = await ledger_verify.verify(world.database, since_seal=since)
    return next(check.examples for check in checks if check.id == "I-18")


async def test_every_column_of_an_entry_is_sealed(world: World, seals: Seals) -> None:
    await _booked(world)
    await seals.seal()
    columns = await world.sql.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'money.entry'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    # The transaction id decides which seal a row belongs to: an edit of it is a row gone here and one slipped in there.
    assert {row["attname"] for row in columns} == {*FLIPS, "xid"}
    for column, flipped in FLIPS.items():
        await _tampered(world, "entry", f"UPDATE money.entry SET {column} = {flipped} WHERE seq = 1")
        found = await _found(world)
        assert found[0].startswith("entry "), column
        assert found[-1] == "seal 1"
        await _mended(world, "entry")
    assert await _found(world) == ()


async def test_every_column_of_a_system_entry_is_sealed(world: World, seals: Seals) -> None:
    await _absorbed(world)
    await seals.seal()
    columns = await world.sql.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'money.system_entry'::regclass AND attnum > 0"
        " AND NOT attisdropped"
    )
    assert {row["attname"] for row in columns} == {*SYSTEM_FLIPS, "id", "run_id", "reservation_id", "xid"}
    for column, flipped in SYSTEM_FLIPS.items():
        await _tampered(world, "system_entry", f"UPDATE money.system_entry SET {column} = {flipped}")
        assert await _found(world) == ("system entry 1", "seal 1"), column
        await _mended(world, "system_entry")


async def test_a_deleted_row_and_a_row_slipped_in_are_found(world: World, seals: Seals) -> None:
    await _booked(world)
    await seals.seal()
    await _tampered(world, "entry", "DELETE FROM money.entry WHERE seq = 2")
    assert await _found(world) == ("seal 1",)  # and I-2 names the gap
    await _mended(world, "entry")
    await _tampered(
        world,
        "entry",
        """INSERT INTO money.entry
               (wallet_id, seq, contra, amount_micros, balance_after_micros, kind, effective_at, xid)
           SELECT wallet_id, 77, -2, -1, 0, 'Usage', effective_at, xid FROM money.entry WHERE seq = 1""",
    )
    assert await _found(world) == ("entry 1/77", "seal 1")
    await _mended(world, "entry")


async def test_an_edited_seal_breaks_the_chain(world: World, seals: Seals) -> None:
    await _booked(world)
    await seals.seal()
    await world.grant(7)
    assert [one.no for one in await seals.seal()] == [2]
    await _tampered(world, "seal", "UPDATE money.seal SET hash = sha256('x') WHERE no = 1")
    assert set(await _found(world)) == {"seal 1", "seal 2"}
    assert await _found(world, since=1) == ("seal 2",)
    await _mended(world, "seal")


async def test_nothing_new_makes_no_seal(world: World, seals: Seals) -> None:
    assert await seals.seal() == []
    await _booked(world)
    assert [one.no for one in await seals.seal()] == [1]
    assert await seals.seal() == []


async def test_a_transaction_that_commits_late_is_in_a_later_seal(
    world: World, seals: Seals, database_url: str
) -> None:
    first, second = await world.wallet("acme", micros=1), await world.wallet("other", micros=1)
    slow = await asyncpg.connect(database_url)
    try:
        late = slow.transaction()
        await late.start()
        await slow.execute("SELECT money.grant_credit('acme', 10, 'slow', '', '')")
        await world.grant(20, name="other")  # a younger transaction, committed before the older one
        before = await seals.seal()
        assert [one.entries for one in before] == [2]
        await late.commit()
    finally:
        await slow.close()
    assert [one.entries for one in await seals.seal()] == [2]
    assert await world.sql.fetchval("SELECT sum(entries) FROM money.seal") == 4
    assert (first, second) == (1, 2)


async def test_blocks_end_with_whole_transactions(world: World, seals: Seals) -> None:
    for name in ("a", "b", "c"):
        await world.wallet(name, micros=1)
    made = [await world.sql.fetchrow("SELECT no, entries FROM money.seal_next(2)") for _ in range(3)]
    assert [row and tuple(row) for row in made] == [(1, 2), (2, 1), None]


async def test_two_who_seal_at_once_make_one_chain(world: World, seals: Seals, database_url: str) -> None:
    await _booked(world)
    other = await asyncpg.connect(database_url)
    try:
        first = other.transaction()
        await first.start()
        await other.execute("SELECT * FROM money.seal_next(1000)")
        waiting = world.sql.fetch("SELECT no FROM money.seal_next(1000)")
        await first.commit()
        assert await waiting == []
    finally:
        await other.close()
    assert await _found(world) == ()


async def test_the_bytes_are_those_of_the_page(world: World, seals: Seals) -> None:
    """Recomputed here by hand, from docs/ledger.md: whoever has only the rows can check a seal without our code."""
    await _absorbed(world)
    (made,) = await seals.seal()
    leaves = [_entry_leaf(row) for row in await world.sql.fetch("SELECT * FROM money.entry ORDER BY wallet_id, seq")]
    for row in await world.sql.fetch("SELECT * FROM money.system_entry ORDER BY id"):
        numbers = [row[name] for name in (*SYSTEM_NUMBERS, "run_id", "line_no")]
        xid, cause = struct.pack(">q", row["xid"]), _sha(row["cause"].encode())
        # No lease or hold is a uuid of zeros.
        leaves.append(_sha(struct.pack(">7q", *numbers), _time(row["at"]), xid, cause, bytes(16)))
    head = struct.pack(">5q", made.no, made.from_xid, made.to_xid, made.entries, made.system_entries)
    assert made.hash == _sha(head, _time(made.at), bytes(32), _sha(*leaves)).hex()


def _entry_leaf(row: Any) -> bytes:
    names = ("wallet_id", "seq", "contra", "amount_micros", "balance_after_micros", "run_id", "effective_at")
    numbers = struct.pack(">7q", *(row[name] or 0 for name in names))
    texts = [_sha(row[name].encode()) if row[name] else bytes(32) for name in ("kind", "key", "reason", "actor")]
    return _sha(numbers, _time(row["at"]), struct.pack(">q", row["xid"]), *texts)


def _sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _time(moment: datetime) -> bytes:
    since = moment - datetime(2000, 1, 1, tzinfo=UTC)
    return struct.pack(">q", (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


async def _absorbed(world: World) -> None:
    """One run whose last seconds nobody pays."""
    await world.wallet("acme", micros=1_000)  # a hundred seconds
    pod = await world.open(await world.agent("a"), START_S)
    await world.proven_at(START_S + 150)
    await world.settle()
    await world.close(pod, START_S + 150)
    assert await world.sql.fetchval("SELECT count(*) FROM money.system_entry") == 1


async def _tampered(world: World, table: str, edit: str) -> None:
    """What a superuser can do: no trigger, no constraint is in the way."""
    await world.sql.execute(f"CREATE TABLE money.before AS SELECT * FROM money.{table}")
    await world.sql.execute("SET session_replication_role = replica")
    await world.sql.execute(f"ALTER TABLE money.{table} DROP CONSTRAINT IF EXISTS cause_has_a_key")
    await world.sql.execute(edit)


async def _mended(world: World, table: str) -> None:
    override = "OVERRIDING SYSTEM VALUE" if table == "system_entry" else ""
    await world.sql.execute(f"DELETE FROM money.{table}")
    await world.sql.execute(f"INSERT INTO money.{table} {override} SELECT * FROM money.before")
    await world.sql.execute("DROP TABLE money.before")
    await world.sql.execute("SET session_replication_role = DEFAULT")
