"""What other sessions do in the middle of a charge changes nothing of it, even without the nets of uniqueness."""

import asyncio

import asyncpg
import pytest

from moorage.store.database import Database
from moorage.store.ledger import Ledger
from tests.integration.money import stage as stages
from tests.integration.money.world import RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
SESSIONS = 8
GATE = 77
# A charge that stops half-way, between reading who is to be charged and writing who was, until the gate opens.
HALF_WAY = f"""
ALTER FUNCTION money.first_unpaid(bigint[], bigint[], bigint, bigint) RENAME TO first_unpaid_ungated;
CREATE FUNCTION money.first_unpaid(
    seconds bigint[], rates bigint[], available_picos bigint, until_s bigint, OUT zero bigint, OUT left_picos bigint
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared({GATE});
    SELECT u.zero, u.left_picos INTO zero, left_picos
    FROM money.first_unpaid_ungated(seconds, rates, available_picos, until_s) u;
END $$;
"""
WITHOUT_NETS = """
DO $$
DECLARE
    net record;
BEGIN
    FOR net IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
               WHERE contype IN ('u', 'x') AND connamespace = 'money'::regnamespace AND conparentid = 0 LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', net.t, net.conname);
    END LOOP;
    ALTER TABLE money.entry DROP CONSTRAINT entry_pkey;
    ALTER TABLE money.line DROP CONSTRAINT line_pkey;
    DROP INDEX money.entry_key;
END $$;
"""
WAITING = (
    "SELECT a.pid::text FROM pg_stat_activity a WHERE a.wait_event = 'advisory' AND a.datname = current_database()"
)


@pytest.mark.parametrize("what", ["another node is proven", "a proven node falls silent"])
async def test_a_node_that_changes_in_the_middle_of_a_charge_changes_nothing_of_it(
    world: World, database_url: str, what: str
) -> None:
    await world.wallet(micros=1_000_000)
    await world.open(await world.agent("a"), T, node="node-a")
    await world.open(await world.agent("b"), T, node="node-b")
    await world.at(T + 20)
    # By hand: the door that proves would also let the runs join.
    proof = "UPDATE money.node SET proven = $1 WHERE name = $2"
    await world.sql.execute(proof, T + 20, "node-a")
    if what == "a proven node falls silent":
        await world.sql.execute(proof, T + 20, "node-b")
    await world.sql.execute(HALF_WAY)
    gate = await asyncpg.connect(database_url)
    await gate.execute("SELECT pg_advisory_lock($1)", GATE)
    charge = asyncio.ensure_future(world.settle())
    assert await stages.held_while_waiting(world.sql, charge, WAITING)
    await world.sql.execute(proof, T + 20, "node-b")
    await world.sql.execute("UPDATE money.node SET silent = $1", what == "a proven node falls silent")
    await gate.close()
    await charge
    assert await world.broken() == []
    await world.sql.execute("UPDATE money.node SET silent = false, proven = $1, seen_at = $1", T + 20)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - 2 * 20 * RATE_PICOS // 1_000_000


async def test_sessions_at_once_charge_and_book_once_without_any_unique_index(world: World, database_url: str) -> None:
    await world.wallet(micros=10_000_000)
    await world.sql.execute(WITHOUT_NETS)
    pods = [await world.open(await world.agent(name), T) for name in "abc"]
    databases = [await Database.connect(database_url, size_max=2) for _ in range(SESSIONS)]
    ledgers = [Ledger(database) for database in databases]
    for second in range(10, 60, 10):
        await world.proven_at(T + second)
        await world.sql.execute("UPDATE money.timer SET due_at = 0")
        await world.sql.execute("UPDATE money.wallet SET due_at = 0 WHERE due_at IS NOT NULL")
        await asyncio.gather(
            *(ledger.settle_all(epoch=1) for ledger in ledgers),
            *(ledger.settle_due(epoch=1) for ledger in ledgers),
            *(
                ledger.grant(wallet_name="acme", amount_micros=7, key=f"k{second}", reason="r", actor="a")
                for ledger in ledgers
            ),
        )
    await asyncio.gather(
        *(
            ledger.close_run(epoch=1, pod_uid=pod, ended_s=T + 50, reason="PodGone")
            for ledger in ledgers
            for pod in pods
        )
    )
    for database in databases:
        await database.close()
    assert (await world.see()).balance_micros == 10_000_000 - 3 * 50 * 10 + 5 * 7
    assert len(await world.lines()) == len(pods)
