"""Who may do what: every role against every table and every function of the ledger."""

import asyncpg
import pytest

from moorage.store.purges import PurgeRows
from tests.integration.money.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

ROLES = ["moorage_app", "moorage_gateway", "moorage_read", "moorage_verify"]
CLOCK = {"clock", "now_s"}
# What the small roles may call, complete. The application may call every door, and no inner function but the clock.
CALLS = {
    "moorage_gateway": {
        "register_gateway",
        "lease_open",
        "lease_resize",
        "lease_close",
        "lease_flush",
        "leases_asked_back",
        "open_leases",
        "hold_open",
        "hold_settle",
        "hold_void",
    },
    "moorage_read": CLOCK | {"current_rate", "zero_at", "missing_micros", "accrued_balance_micros", "low_by_runway"},
    "moorage_verify": CLOCK | {"zero_at", "seal_next", "broken_seal", "record_verification", "trust_lineage"},
}
# Of the schema `moorage`: whoever checks the books sees whom they stop, and no keys.
READS_OF_THE_HOUSE = {
    "moorage_gateway": set(),
    "moorage_read": {"leader"},
    "moorage_verify": {"agent", "claim", "leader", "notice", "purge_audit"},
}


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_writes_a_table_of_the_ledger(world: World, role: str) -> None:
    assert await _may(world, role, "money", "INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES") == set()


@pytest.mark.parametrize("role", ["moorage_app", "moorage_verify"])
async def test_the_books_are_open_to_the_application_and_the_checks(world: World, role: str) -> None:
    assert await _may(world, role, "money", "SELECT") == await _tables(world, "money")


@pytest.mark.parametrize("role", READS_OF_THE_HOUSE)
async def test_the_small_roles_see_little_of_the_house_and_write_nothing(world: World, role: str) -> None:
    assert await _may(world, role, "moorage", "SELECT") == READS_OF_THE_HOUSE[role]
    assert await _may(world, role, "moorage", "INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES") == set()


@pytest.mark.parametrize("role", CALLS)
async def test_the_small_roles_call_their_own_doors_only(world: World, role: str) -> None:
    assert await _callable(world, role) == CALLS[role]


async def test_the_application_calls_doors_and_no_inner_function(world: World) -> None:
    inner = "NOT p.prosecdef"
    assert await _callable(world, "moorage_app", inner) == CLOCK
    assert await _callable(world, "moorage_app", inner, "moorage") == set()


async def test_the_application_proves_its_epoch_with_its_own_rights(world: World) -> None:
    async with world.database.transaction() as connection:
        await connection.execute("SELECT moorage.require_epoch($1)", world.epoch)


async def test_every_door_names_its_search_path(world: World) -> None:
    # Without it, a caller's own schema could put itself before the ledger's tables.
    rows = await world.sql.fetch(
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace IN ('money'::regnamespace, 'moorage'::regnamespace)"
        " AND p.prosecdef AND NOT coalesce(p.proconfig, '{}') @> '{\"search_path=money, pg_temp\"}'"
    )
    assert [row["proname"] for row in rows] == []


async def test_nobody_else_may_call_anything(world: World) -> None:
    rows = await world.sql.fetch(
        "SELECT p.proname::text FROM pg_proc p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl,"
        " acldefault('f', p.proowner))) a WHERE p.pronamespace IN ('money'::regnamespace, 'moorage'::regnamespace)"
        " AND a.grantee = 0 AND p.prorettype <> 'trigger'::regtype AND p.proname <> 'clock'"
    )
    assert [row["proname"] for row in rows] == []  # the tests' own clock is the exception


# What destroys data is written by doors only: by column, of the tables that the application writes otherwise.
DOORS_ONLY = {
    "agent": {"purged_at"},
    "attempt": {"wrapped_key"},
    "domain": {"paid_until", "unpaid_since", "release_at", "renew_at"},
    "snapshot": {"wrapped_key", "purge_after", "purged_at", "object_tried_at", "object_removed_at"},
}
READ_ONLY = ("notice", "purge_gate", "purge_audit")
# Errands that are over; nothing of a tenant's is in them.
ERRANDS = {"certificate_attempt", "certificate_revocation"}


async def test_the_application_destroys_no_key_and_deletes_no_row(world: World) -> None:
    deleting = await _may(world, "moorage_app", "moorage", "DELETE, TRUNCATE")
    assert deleting == ERRANDS
    for table, columns in DOORS_ONLY.items():
        rows = await world.sql.fetch(
            "SELECT c.attname::text FROM pg_attribute c WHERE c.attrelid = $1::text::regclass AND c.attnum > 0"
            " AND NOT c.attisdropped AND NOT has_column_privilege('moorage_app', c.attrelid, c.attnum, 'UPDATE')",
            f"moorage.{table}",
        )
        assert {row["attname"] for row in rows} == columns
    assert not set(READ_ONLY) & await _may(world, "moorage_app", "moorage", "INSERT, UPDATE")


async def test_a_record_cannot_be_called_purged_by_hand(world: World) -> None:
    await world.wallet()
    agent = await world.agent("a", state="Archived")
    with pytest.raises(asyncpg.CheckViolationError):
        await world.database.run("UPDATE moorage.agent SET state = 'Purged' WHERE uid = $1", agent)


@pytest.mark.parametrize("statement", ["UPDATE {0} SET reason = 'x'", "DELETE FROM {0}", "TRUNCATE {0}"])
async def test_the_audit_of_purges_is_append_only_even_for_its_owner(world: World, statement: str) -> None:
    assert await PurgeRows(world.database).stop(reason="drill", actor="ada")
    with pytest.raises(asyncpg.PostgresError, match="append-only"):
        await world.sql.execute(statement.format("moorage.purge_audit"))


async def _tables(world: World, schema: str) -> set[str]:
    rows = await world.sql.fetch(
        "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = $1::text::regnamespace"
        " AND c.relkind IN ('r', 'p', 'v') AND c.relname <> 'test_clock'",
        schema,
    )
    return {row["relname"] for row in rows}


async def _may(world: World, role: str, schema: str, rights: str) -> set[str]:
    """The tables on which a role has any of these rights."""
    rows = await world.sql.fetch(
        "SELECT t FROM unnest($2::text[]) t WHERE has_table_privilege($1::text, $3 || '.' || t, $4)",
        role,
        sorted(await _tables(world, schema)),
        schema,
        rights,
    )
    return {row["t"] for row in rows}


async def _callable(world: World, role: str, which: str = "true", schema: str = "money") -> set[str]:
    rows = await world.sql.fetch(
        "SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = $2::text::regnamespace"
        f" AND p.prorettype <> 'trigger'::regtype AND has_function_privilege($1::text, p.oid, 'EXECUTE') AND {which}",
        role,
        schema,
    )
    return {row["proname"] for row in rows}
