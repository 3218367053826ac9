"""Who may do what: every role against every table and every function of the ledger."""

import pytest

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
READS_OF_THE_HOUSE = {"moorage_gateway": set(), "moorage_read": {"leader"}, "moorage_verify": {"agent", "leader"}}


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
