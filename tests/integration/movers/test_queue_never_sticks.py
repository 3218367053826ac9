"""Whatever ends, dies or is forgotten, its place goes to the next; limits hold whoever asks at once."""

import asyncio
import contextlib
import random
import uuid
from dataclasses import replace

import asyncpg
import pytest

from moorage.model.errors import LostLeadership
from moorage.model.record import AttemptKind, AttemptState
from tests.integration.movers.world import EPOCH, RESTORE, SNAPSHOT, World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

NODES = ("n1", "n2", "n3", None)
CROWD, TENANTS = 200, 10
MOVERS_MAX, PER_NODE_MAX = 10, 2
# One statement, so one moment: how many run, and how many on the fullest node.
NOW = """
SELECT count(*) AS total, coalesce(max(of_node), 0) AS fullest FROM (
    SELECT count(*) FILTER (WHERE node IS NOT NULL) OVER (PARTITION BY node) AS of_node FROM moorage.places()) p
"""


async def test_limits_hold_while_two_hundred_ask_and_end_at_once(world: World) -> None:
    await world.limits(MOVERS_MAX, PER_NODE_MAX)
    rng = random.Random(7)  # picks tenants and nodes
    agents = []
    for number in range(CROWD):
        tenant = f"t{number % TENANTS}"
        agents.append((await world.agent(tenant), world.tenants[tenant], rng.choice([*AttemptKind]), rng.choice(NODES)))
    done = asyncio.Event()
    seen = asyncio.create_task(_watch(world, done))
    await asyncio.gather(*(world.ask_for(*agent) for agent in agents), _end_all(world))
    done.set()
    assert await seen > 0
    assert len(await world.order()) == CROWD


async def _end_all(world: World) -> None:
    """End who is told that it has a place, several at once, as movers do; nobody looks at the queue otherwise."""
    ended = 0
    async with asyncio.timeout(300):
        while ended < CROWD:
            rows = await world.database.rows(
                "SELECT id::text FROM moorage.attempt WHERE granted_at IS NOT NULL AND state = 'Created'"
            )
            await asyncio.gather(*(world.fail(row["id"]) for row in rows))
            ended += len(rows)
            await asyncio.sleep(0)


async def _watch(world: World, done: asyncio.Event) -> int:
    looks = 0
    while not done.is_set():
        row = await world.admin.fetchrow(NOW)
        assert row is not None
        assert row["total"] <= MOVERS_MAX
        assert row["fullest"] <= PER_NODE_MAX
        looks += 1
        await asyncio.sleep(0)
    return looks


async def test_the_next_is_woken_in_the_transaction_of_a_movers_report(world: World) -> None:
    first, second = await world.ask(), await world.ask()
    await world.report(first)
    assert await world.placed() == {second}
    assert await world.woken() == [world.agents[first], world.agents[second]]


async def test_a_call_off_while_queued_takes_no_place(world: World) -> None:
    first, second, third = [await world.ask() for _ in range(3)]
    await world.fail(second)  # a top-up: the agent runs from its volume
    assert await world.placed() == {first}
    await world.fail(first)
    assert await world.placed() == {third}


async def test_a_call_off_between_place_and_mover_gives_the_place_back(world: World) -> None:
    first, second = await world.ask(), await world.ask()
    await world.fail(first)
    assert await world.placed() == {second}


@pytest.mark.parametrize("queued", [False, True], ids=["while it has a place", "while it waits"])
async def test_an_agent_that_is_deleted_frees_its_place(world: World, queued: bool) -> None:
    first, second, third = [await world.ask(tenant=name) for name in ("a", "gone", "c")]
    doomed, left = (second, [first, third]) if queued else (first, [second, third])
    await world.records.mark_deleted(epoch=EPOCH, uid=world.agents[doomed])
    assert await world.placed() == {left[0]}
    await world.fail(left[0])
    assert await world.placed() == {left[1]}


async def test_an_attempt_that_its_agent_has_left_frees_its_place(world: World) -> None:
    first, second = await world.ask(), await world.ask()
    record = await world.records.load(world.agents[first])
    assert record is not None
    assert await world.records.save(epoch=EPOCH, before=record, after=replace(record, attempt=None))
    assert await world.placed() == {second}


async def test_a_place_survives_the_operator_and_is_given_once(world: World) -> None:
    first, second = await world.ask(), await world.ask()
    # Killed between place and Job; the next leader asks again and again.
    await world.admin.execute("UPDATE moorage.leader SET epoch = epoch + 1")
    for _ in range(3):
        assert await world.movers.grant(epoch=EPOCH + 1) == 0
    assert await world.placed() == {first}
    record = await world.records.load(world.agents[first])
    assert record is not None
    assert record.attempt is not None
    assert (record.attempt.state, record.attempt.granted_at is None) == (AttemptState.CREATED, False)
    await world.rows.fail(EPOCH + 1, first, "CalledOff")
    assert await world.placed() == {second}


async def test_a_transaction_that_is_rolled_back_gives_nothing(world: World) -> None:
    first, second = await world.ask(), await world.ask()
    transaction = world.admin.transaction()
    await transaction.start()
    await world.admin.execute("UPDATE moorage.attempt SET state = 'Failed' WHERE id = $1", first)
    await world.admin.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert await world.placed() == {second}
    await transaction.rollback()
    assert await world.placed() == {first}
    assert await world.woken() == [world.agents[first]]


async def test_the_net_gives_what_nobody_was_told_of(world: World) -> None:
    first, second = await world.ask(), await world.ask()
    async with world.admin.transaction():  # a wake-up that is lost: triggers do not fire
        await world.admin.execute("SET LOCAL session_replication_role = replica")
        await world.admin.execute("UPDATE moorage.attempt SET state = 'Failed' WHERE id = $1", first)
    assert await world.placed() == set()
    assert await world.movers.grant(epoch=EPOCH) == 1
    assert await world.placed() == {second}


async def test_only_the_leader_moves_the_queue(world: World) -> None:
    await world.admin.execute("UPDATE moorage.leader SET epoch = epoch + 1")
    with pytest.raises(LostLeadership):
        await world.movers.grant(epoch=EPOCH)
    with pytest.raises(LostLeadership):
        await world.limits(5)


async def test_new_limits_count_at_once_and_stop_nobody(world: World) -> None:
    asked = [await world.ask(RESTORE) for _ in range(4)]
    await world.limits(3)
    assert await world.placed() == set(asked[:3])
    await world.limits(0)
    assert await world.placed() == set(asked[:3])
    await world.fail(asked[0])
    assert await world.placed() == set(asked[1:3])
    queue = await world.movers.queue()
    assert (queue.waiting, queue.running) == ({SNAPSHOT: 0, RESTORE: 1}, 2)


async def test_no_mover_starts_without_a_place(world: World) -> None:
    await world.ask()
    second = await world.ask()
    with pytest.raises(asyncpg.CheckViolationError):
        await world.rows.move(EPOCH, second, AttemptState.CREATED, AttemptState.STARTED)


SESSIONS, STEPS, SEED = 16, 50, 3


async def test_any_mix_of_steps_in_many_sessions_is_free_of_deadlocks_and_leaves_nothing_to_the_net(
    world: World,
) -> None:
    await world.limits(5, PER_NODE_MAX)
    agents = [(await world.agent(f"t{number % 5}"), world.tenants[f"t{number % 5}"]) for number in range(40)]
    print(f"seed {SEED}")  # noqa: T201  # pytest shows it with a failure
    await asyncio.gather(*(_live(world, agents, random.Random(SEED * number)) for number in range(SESSIONS)))
    assert await world.movers.grant(epoch=EPOCH) == 0
    await world.limits(MOVERS_MAX, PER_NODE_MAX)
    for attempt in await world.placed():
        await world.fail(attempt)
    assert len(await world.drain()) > STEPS


async def _live(world: World, agents: list[tuple[str, uuid.UUID]], rng: random.Random) -> None:
    """Steps of operators that cross each other; a deadlock would end one of them with an error."""
    for _ in range(STEPS):
        agent, tenant = rng.choice(agents)
        record = await world.records.load(agent)
        assert record is not None
        attempt, step = record.attempt, rng.random()
        if attempt is None or attempt.state is AttemptState.FAILED:
            with contextlib.suppress(AssertionError):  # another session was faster
                await world.ask_for(agent, tenant, rng.choice([*AttemptKind]), rng.choice(NODES))
        elif step < 0.6:
            await world.rows.fail(EPOCH, attempt.id, "CalledOff")
        elif step < 0.75:
            await world.records.save(epoch=EPOCH, before=record, after=replace(record, attempt=None))
        elif step < 0.9 and attempt.granted_at is not None:
            await world.rows.move(EPOCH, attempt.id, AttemptState.CREATED, AttemptState.STARTED)
        else:
            await world.limits(rng.randint(1, 6), PER_NODE_MAX)
