"""A client that stops, a listener that dies, a commit that comes late: nobody else notices for long."""

import asyncio
import signal
import sys

import asyncpg
import pytest

from dev.postgres import Postgres
from moorage.jobs.deliver_wakeups import DeliverWakeups
from moorage.model.errors import Unavailable
from moorage.model.names import Key
from moorage.store.database import READ_ROLE, SESSION, Database
from moorage.store.outbox import Outbox
from tests.integration.money import stage as stages
from tests.integration.money import wire_proxy
from tests.integration.money.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

CREDITS = 1_500
LOOKS = 5
BALANCES = "SELECT id, balance_micros FROM money.wallet"
PAGES = "SELECT pg_relation_size('money.wallet') / 8192"
# Each in a transaction of its own, since what one transaction leaves behind is not cleaned up before it ends.
MANY_CREDITS = f"""
DO $$ BEGIN
    FOR i IN 1 .. {CREDITS} LOOP
        PERFORM money.grant_credit('acme', 1, gen_random_uuid()::text, 'r', 'a');
        COMMIT;
    END LOOP;
END $$
"""

# It listens once it rests: whoever ends it while it still says LISTEN takes the answer away from its client.
LISTENER = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'listen%' AND state = 'idle'"
)

# The application's own session, only less patient, stopped after it has moved money and before it has committed.
STOPPED = """
import asyncio, sys, asyncpg
from moorage.store.database import SESSION

async def main():
    patience = {"idle_in_transaction_session_timeout": "200ms"}
    connection = await asyncpg.connect(sys.argv[1], server_settings={**SESSION, **patience})
    # In one message: between two, a slow machine could use up the patience.
    await connection.execute("BEGIN; SELECT money.grant_credit('acme', 70, 'stopped', 'r', 'a')")
    print("holds the wallet", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_client_stopped_inside_a_transaction_holds_its_wallet_only_until_its_limit(
    world: World, database_url: str
) -> None:
    assert SESSION["idle_in_transaction_session_timeout"].rstrip("ms") not in {"", "0"}
    await world.wallet()
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STOPPED, database_url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert client.stdout is not None
        assert await client.stdout.readline() == b"holds the wallet\n"
        client.send_signal(signal.SIGSTOP)
        granted = await world.grant(5)
        assert granted.balance_micros == 5
    finally:
        client.kill()
        await client.wait()


async def test_a_wakeup_arrives_by_the_poll_when_the_listening_connection_is_dead(
    world: World, database_url: str
) -> None:
    await world.wallet()
    database = await Database.connect(database_url, size_max=2)
    rung: asyncio.Queue[Key] = asyncio.Queue()
    wakeups = DeliverWakeups(Outbox(database), lambda key, _: rung.put_nowait(key))
    delivering = asyncio.ensure_future(wakeups.deliver())
    async with asyncio.timeout(stages.GONE_SECONDS_MAX):
        while (listener := await world.sql.fetchval(LISTENER)) is None:
            pass
        assert await world.sql.fetchval("SELECT pg_terminate_backend($1)", listener)
        await world.grant(5)
        await delivering
        await wakeups.deliver()
        assert (await rung.get()).name == "acme"
    await database.close()


async def test_a_listening_connection_that_dies_is_replaced(world: World, database_url: str) -> None:
    await world.wallet()
    database = await Database.connect(database_url, size_max=2)
    outbox, heard = Outbox(database), asyncio.Event()
    await outbox.listen(heard.set)
    dead = await world.sql.fetchval(LISTENER)
    assert await world.sql.fetchval("SELECT pg_terminate_backend($1)", dead)
    async with asyncio.timeout(stages.GONE_SECONDS_MAX):
        while await world.sql.fetchval(LISTENER) in {dead, None}:
            await outbox.listen(heard.set)
        await world.grant(5)
        await heard.wait()
    await database.close()


async def test_a_pool_whose_listening_connection_died_closes(world: World, database_url: str) -> None:
    database = await Database.connect(database_url, size_max=2)
    await Outbox(database).listen(lambda: None)
    dead = await world.sql.fetchval(LISTENER)
    assert await world.sql.fetchval("SELECT pg_terminate_backend($1)", dead)
    async with asyncio.timeout(stages.GONE_SECONDS_MAX):
        while await world.sql.fetchval(LISTENER) == dead:
            pass
    assert await database.value("SELECT 1") == 1
    await database.close()


async def test_a_server_that_takes_its_leave_between_two_statements_is_away_and_no_bug(
    database_url: str, postgres: Postgres
) -> None:
    """The driver has read the goodbye of a stopping server, and has not yet seen the connection end."""
    async with wire_proxy.in_front_of(postgres.host, postgres.port) as proxy:
        database = await Database.connect(proxy.url(database_url), size_max=1)

        async def meanwhile() -> None:
            async with database.transaction():
                await proxy.take_leave()
                for _ in range(LOOKS):  # of the loop, until the driver has read what has arrived
                    await asyncio.sleep(0)

        with pytest.raises(Unavailable):
            await meanwhile()
        await database.close()


async def test_a_wakeup_that_commits_after_a_later_one_is_delivered_all_the_same(
    world: World, database_url: str
) -> None:
    for name in ("acme", "zoo"):
        await world.wallet(name)
    outbox = Outbox(world.database)
    await outbox.take()
    slow = await asyncpg.connect(database_url)
    late = slow.transaction()
    await late.start()
    await slow.execute("SELECT money.grant_credit('acme', 1, 'late', 'r', 'a')")
    await world.grant(1, name="zoo")
    assert {key.name for key in await outbox.take()} == {"zoo"}
    await late.commit()
    await slow.close()
    assert {key.name for key in await outbox.take()} == {"acme"}
    assert await outbox.take() == []


async def test_a_long_read_sees_one_moment_delays_nobody_and_leaves_no_lasting_bloat(
    world: World, database_url: str
) -> None:
    await world.wallet(micros=1)
    # However long a slow machine writes meanwhile: how long a reader may rest is another test's.
    patience = {"idle_in_transaction_session_timeout": "0"}
    export = await asyncpg.connect(database_url, server_settings={**SESSION, "role": READ_ROLE, **patience})
    view = export.transaction(isolation="repeatable_read", readonly=True)
    await view.start()
    seen = await export.fetch(BALANCES)
    await world.sql.execute(MANY_CREDITS, timeout=None)
    assert await export.fetch(BALANCES) == seen
    grown = await world.sql.fetchval(PAGES)
    assert grown > 2, "nothing was kept for the reader: this proves nothing"
    await view.rollback()
    await export.close()
    for _ in "ab":
        await world.sql.execute("VACUUM money.wallet")
        await world.sql.execute(MANY_CREDITS, timeout=None)
    assert await world.sql.fetchval(PAGES) <= grown
    assert (await world.see()).balance_micros == 1 + 3 * CREDITS


async def test_a_reader_that_forgets_its_view_is_sent_away(database_url: str) -> None:
    """What a reader keeps from being cleaned up is bounded by its limits, as what a writer locks is."""
    assert {SESSION["statement_timeout"], SESSION["idle_in_transaction_session_timeout"]} == {"30s", "10s"}
    patience = {"idle_in_transaction_session_timeout": "50ms"}
    export = await asyncpg.connect(database_url, server_settings={**SESSION, "role": READ_ROLE, **patience})
    await export.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    ended = asyncio.Event()
    export.add_termination_listener(lambda _: ended.set())
    async with asyncio.timeout(stages.GONE_SECONDS_MAX):
        await ended.wait()
