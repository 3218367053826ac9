"""No mix of operations in many sessions deadlocks, and every door takes its wallets first, by ascending id.

Runs, timers and entries belong to a wallet and are touched by nobody who does not hold it; agents are also written by
others, who hold nothing else. So the order of wallets decides.
"""

import asyncio
import os

import asyncpg
import pytest

from dev.postgres import Postgres
from moorage.store.database import Database
from tests.integration.money import stage as stages
from tests.integration.money.operations import ALONE, OPERATIONS
from tests.integration.money.stage import Stage
from tests.integration.money.steps import Hands, Place, Seeded, Step
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

SEED = os.environ.get("MOORAGE_TEST_SEED", "20261121")
SESSIONS, STEPS = 8, 60
OVER_S, TRIES_MAX = 121, 20
# What is locked before wallets, and the wallets themselves.
UP_TO_WALLETS = {
    "money.inbox", "money.payment", "money.correction", "money.lease", "money.hold", "money.wallet"}  # fmt: skip
# What a door has written to, or locked rows of, at the moment it waits for a row that somebody else holds.
HELD_OF = """
SELECT DISTINCT l.relation::regclass::text AS held FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p')
WHERE l.locktype = 'relation' AND l.granted AND l.mode IN ('RowExclusiveLock', 'RowShareLock')
  AND a.application_name = 'moorage' AND a.wait_event_type = 'Lock' AND a.datname = current_database()
"""


@pytest.fixture
async def stage(world: World) -> Stage:
    return await Stage.build(world)


async def test_any_mix_of_operations_in_many_sessions_is_free_of_deadlocks(
    stage: Stage, postgres: Postgres, database_url: str
) -> None:
    print(f"seed {SEED}")  # noqa: T201  # pytest shows it with a failure
    said_before = len(postgres.log.read_text())
    await _configure(stage, deadlock_timeout="1ms", log_lock_waits="on")
    place, _ = await stage.begin("mix", micros=3_000)
    await stage.world.at(START_S + SESSIONS * STEPS)
    databases = [await Database.connect(database_url, size_max=2) for _ in range(SESSIONS)]
    agents = list(place.agents.items())
    try:
        await asyncio.gather(
            *(
                _live(Hands(database, stage.world.sql), number, dict(agents[number : number + 1]))
                for number, database in enumerate(databases)
            )
        )
    finally:
        await _configure(stage, deadlock_timeout="1s", log_lock_waits="off")
        for database in databases:
            await database.close()
    said = postgres.log.read_text()[said_before:]
    assert "deadlock detected" not in said
    assert "still waiting for" in said, "nobody waited for anybody: this mix proves nothing"
    assert await stage.broken() == []


async def _live(hands: Hands, number: int, agents: dict[str, str]) -> None:
    """One session's script; sessions share wallets and nodes, and an error of any of them is the test's."""
    place = Place(f"session-{number}", START_S, stages.WALLETS, agents)
    draw = Seeded(f"{SEED}/{number}")
    for _ in range(STEPS):
        place.now += draw.number(0, SESSIONS)
        step = OPERATIONS[draw.pick(sorted(OPERATIONS))](draw, place)
        if step is not None:
            await step.call(hands)


def _next(name: str, draw: Seeded, place: Place) -> Step:
    """The next step of an operation that has something to do."""
    steps = (ALONE[name](draw, place) for _ in range(TRIES_MAX))
    return next(step for step in steps if step is not None)


async def _configure(stage: Stage, **values: str) -> None:
    for name, value in values.items():
        await stage.world.sql.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    await stage.world.sql.execute("SELECT pg_reload_conf()")


async def _until_it_waits(
    stage: Stage, name: str, draw: Seeded, place: Place
) -> tuple[asyncio.Future[object], set[str]]:
    """A call of this operation that waits, and what it holds; not every choice has something to do with a wallet."""
    for _ in range(TRIES_MAX):
        # Long enough for zero, and for the ends of what was set aside: the door has a lot to do, down to the agents.
        place.now += OVER_S
        await stage.world.at(place.now)
        call = asyncio.ensure_future(_next(name, draw, place).call(stage.hands()))
        if held := await stages.held_while_waiting(stage.world.sql, call, HELD_OF):
            return call, held
        await call
    raise AssertionError(f"{name} never waits for a wallet")


@pytest.mark.parametrize("name", sorted(OPERATIONS))
async def test_a_door_that_waits_for_its_first_wallet_holds_nothing_else(
    stage: Stage, database_url: str, name: str
) -> None:
    place, _ = await stage.begin(name, micros=400)
    place.wallets = place.wallets[:1]
    place.agents = dict(list(place.agents.items())[::2])  # those of the first wallet
    draw = Seeded(name)  # the seed is in the test's name
    for before in ("open_run", "lease", "request", "give", "store"):
        await _next(before, draw, place).call(stage.hands())
    blocker = await asyncpg.connect(database_url)
    try:
        holding = blocker.transaction()
        await holding.start()
        first = await blocker.fetchval("SELECT id FROM money.wallet ORDER BY id LIMIT 1 FOR UPDATE")
        call, held = await _until_it_waits(stage, name, draw, place)
        free = await stage.world.sql.fetch("SELECT id FROM money.wallet WHERE id > $1 FOR UPDATE SKIP LOCKED", first)
        await holding.rollback()
        await call
    finally:
        await blocker.close()
    assert "money.wallet" in held
    assert held <= UP_TO_WALLETS
    assert len(free) == len(stages.WALLETS) - 1
