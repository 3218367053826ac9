"""Who is next: restores before snapshots, tenants in turn, and nobody is passed over for ever."""

import random

import pytest

from tests.integration.movers.world import RESTORE, SNAPSHOT, World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

SEEDS = (1, 2, 3)


async def test_a_free_place_is_given_in_the_transaction_that_asks(world: World) -> None:
    first = await world.ask()
    assert await world.placed() == {first}
    assert await world.woken() == [world.agents[first]]
    record = await world.records.load(world.agents[first])
    assert record is not None
    assert record.attempt is not None
    assert record.attempt.granted_at is not None


async def test_restores_go_before_snapshots(world: World) -> None:
    first = await world.ask()
    snapshots = [await world.ask() for _ in range(2)]
    restores = [await world.ask(RESTORE) for _ in range(2)]
    order = await world.drain()
    assert order[:3] == [first, *restores]
    assert set(order[3:]) == set(snapshots)


async def test_scheduled_snapshots_go_after_those_of_agents_that_have_stopped(world: World) -> None:
    first = await world.ask()
    scheduled = [await world.ask_scheduled() for _ in range(2)]
    stopped = [await world.ask() for _ in range(3)]
    order = await world.drain()
    # The fourth place goes by age, so that no schedule is starved.
    assert order == [first, stopped[0], stopped[1], scheduled[0], stopped[2], scheduled[1]]


async def test_a_tenant_with_one_snapshot_does_not_wait_for_all_of_another_one(world: World) -> None:
    await world.limits(3)
    for _ in range(20):
        await world.ask(tenant="crowd")
    alone = await world.ask(tenant="alone")
    order = await world.drain()
    assert order.index(alone) in (3, 4)  # the three that run, then its turn; one place may go by age


async def test_tenants_take_turns_when_one_place_goes_round(world: World) -> None:
    asked = {await world.ask(tenant=tenant): tenant for tenant in ("a", "b", "c") for _ in range(8)}
    order = [asked[attempt] for attempt in await world.drain()]
    taken = {tenant: [i for i, one in enumerate(order[:12]) if one == tenant] for tenant in ("a", "b", "c")}
    # Of twelve places three go by age, which is a; the other nine go round.
    assert {tenant: len(places) for tenant, places in taken.items()} == {"a": 6, "b": 3, "c": 3}


async def test_a_tenant_whose_movers_are_slow_has_no_more_than_others(world: World) -> None:
    await world.limits(4)
    a, _, b, c = [await world.ask(tenant=tenant) for tenant in ("a", "a", "b", "c")]
    await world.ask(tenant="a")  # it had its last turn before b, and has more
    next_of_b = await world.ask(tenant="b")
    await world.fail(c)
    assert {a, b, next_of_b} <= await world.placed()


async def test_a_snapshot_is_not_starved_by_restores_that_never_end(world: World) -> None:
    await world.ask(RESTORE)
    for _ in range(6):
        await world.ask(RESTORE, tenant="busy")
    snapshot = await world.ask(tenant="patient")
    for _ in range(4):
        (running,) = await world.placed()
        if running == snapshot:
            return
        await world.ask(RESTORE, tenant="busy")  # for each that ends another one comes
        await world.fail(running)
    assert await world.placed() == {snapshot}


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_snapshot_waits_four_places_for_each_that_is_older_at_most(world: World, seed: int) -> None:
    rng = random.Random(seed)
    asked: list[str] = []
    bound: dict[str, int] = {}
    waits: set[str] = set()
    for _ in range(90):
        if rng.random() < 0.6:
            kind = rng.choice((SNAPSHOT, RESTORE))
            attempt = await world.ask(kind, tenant=rng.choice("abc"))
            asked.append(attempt)
            older = len(waits - await world.placed())
            if kind is SNAPSHOT:
                waits.add(attempt)
                bound[attempt] = len(await world.order()) + 4 * (older + 1)
        else:
            for running in await world.placed():
                await world.fail(running)
        waits -= set(await world.order())
    order = await world.drain()
    assert set(order) == set(asked)
    late = [attempt for attempt, turn in bound.items() if order.index(attempt) + 1 > turn]
    assert late == [], f"seed {seed}"


async def test_what_failed_and_is_tried_again_goes_to_the_end_of_its_tenants_turns(world: World) -> None:
    first = await world.ask(tenant="a")
    others = [await world.ask(tenant="b") for _ in range(2)]
    await world.fail(first)
    again = await world.ask(tenant="a", agent=world.agents[first])
    assert await world.drain() == [first, others[0], again, others[1]]


async def test_a_full_node_holds_up_nobody_elsewhere(world: World) -> None:
    await world.limits(10, 2)
    here = [await world.ask(node="here") for _ in range(4)]
    there = await world.ask(node="there")
    anywhere = [await world.ask(RESTORE) for _ in range(3)]
    assert await world.placed() == {*here[:2], there, *anywhere}
    await world.fail(here[0])
    assert await world.placed() == {*here[1:3], there, *anywhere}
