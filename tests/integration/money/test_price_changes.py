"""A price change takes effect at its very second, however late it is noticed, and each price has its line."""

import pytest

from moorage.model.wallet import Standing
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
OLD, NEW = 10, 20  # micro-credits per second
CHANGE = T + 100


async def running(world: World, *, micros: int = 1_000_000) -> str:
    """One small agent, whose price doubles at CHANGE."""
    await world.wallet(micros=micros)
    pod = await world.open(await world.agent("a"), T)
    await world.price("Pod/small", NEW * 1_000_000, from_s=CHANGE)
    return pod


@pytest.mark.parametrize("noticed_s", [CHANGE, CHANGE + 1, CHANGE + 5_000])
async def test_every_second_has_the_price_that_was_valid_then(world: World, noticed_s: int) -> None:
    pod = await running(world)
    await world.proven_at(noticed_s)
    await world.settle()
    await world.proven_at(CHANGE + 6_000)
    await world.close(pod, CHANGE + 6_000)
    assert (await world.see()).balance_micros == 1_000_000 - 100 * OLD - 6_000 * NEW
    assert await world.lines() == [(T, CHANGE, 100, 0), (CHANGE, CHANGE + 6_000, 6_000, 0)]


async def test_the_job_lets_runs_go_over_without_anybody_looking_at_their_wallet(world: World) -> None:
    await running(world)
    await world.proven_at(CHANGE + 10)
    await world.meters.reprice(epoch=1)
    await world.meters.reprice(epoch=1)
    assert await world.lines() == [(T, CHANGE, 100, 0)]
    assert (await world.see()).burn_picos == NEW * 1_000_000


async def test_a_change_that_is_not_proven_yet_waits_for_its_proof(world: World) -> None:
    pod = await running(world)
    await world.at(CHANGE + 10)
    await world.prove(node_a=CHANGE - 5)
    await world.meters.reprice(epoch=1)
    await world.settle()
    assert await world.lines() == []
    await world.proven_at(CHANGE + 20)
    await world.close(pod, CHANGE + 20)
    assert (await world.see()).balance_micros == 1_000_000 - 100 * OLD - 20 * NEW


async def test_zero_is_predicted_with_the_price_to_come(world: World) -> None:
    await running(world, micros=100 * OLD + 50 * NEW)
    await world.proven_at(T + 1)
    await world.settle()
    view = await world.see()
    assert view.zero_at is not None
    assert int(view.zero_at.timestamp()) == CHANGE + 50
    await world.proven_at(CHANGE + 50)
    await world.meters.reprice(epoch=1)
    assert (await world.see()).standing is Standing.EXHAUSTED


async def test_a_silent_nodes_backlog_is_charged_at_the_prices_of_its_seconds(world: World) -> None:
    await world.prove(node_b=T)
    await world.wallet(micros=1_000_000)
    pod = await world.open(await world.agent("b"), T, node="node-b")
    await world.price("Pod/small", NEW * 1_000_000, from_s=CHANGE)
    await world.proven_at(T + 150)  # node-b fell silent
    await world.at(CHANGE + 100)
    await world.prove(node_a=CHANGE + 100, node_b=CHANGE + 100)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - 100 * OLD - 100 * NEW
    await world.close(pod, CHANGE + 100)
    assert await world.lines() == [(T, CHANGE, 100, 0), (CHANGE, CHANGE + 100, 100, 0)]


async def test_a_run_found_late_begins_with_the_price_of_its_own_start(world: World) -> None:
    await world.wallet(micros=1_000_000)
    agent = await world.agent("a")
    await world.price("Pod/small", NEW * 1_000_000, from_s=CHANGE)
    await world.proven_at(CHANGE + 50)
    pod = await world.open(agent, CHANGE - 20)
    await world.close(pod, CHANGE + 50)
    assert await world.lines() == [(CHANGE - 20, CHANGE, 20, 0), (CHANGE, CHANGE + 50, 50, 0)]
    assert (await world.see()).balance_micros == 1_000_000 - 20 * OLD - 50 * NEW


async def test_an_earlier_end_gives_back_through_lines_that_are_written(world: World) -> None:
    pod = await running(world)
    await world.proven_at(CHANGE + 50)
    await world.state()
    await world.close(pod, CHANGE - 30)
    assert (await world.see()).balance_micros == 1_000_000 - 70 * OLD
    assert await world.lines() == [
        (T, CHANGE, 100, 0),
        (CHANGE, CHANGE + 50, 50, 0),
        (CHANGE + 50, CHANGE, -50, 0),
        (CHANGE, CHANGE - 30, -30, 0),
    ]


async def test_only_wallets_with_the_changed_class_leave_the_plain_charge(world: World) -> None:
    await world.ledger.publish_rate(size="large", rate_picos=3_000_000)
    await running(world)
    await world.wallet("zoo", micros=1_000_000)
    await world.open(await world.agent("z", wallet="zoo", size="large"), T, size="large")
    await world.proven_at(CHANGE + 10)
    await world.settle()
    assert (await world.see("zoo")).balance_micros == 1_000_000 - 110 * 3
    assert (await world.see()).balance_micros == 1_000_000 - 100 * OLD - 10 * NEW


@pytest.mark.parametrize("still_runs", [True, False])
async def test_a_price_set_while_the_clock_is_behind_begins_after_all_that_is_charged(
    world: World, still_runs: bool
) -> None:
    await world.wallet(micros=1_000_000)
    pod = await world.open(await world.agent("a"), T)
    await world.proven_at(T + 300)
    await world.settle()
    if not still_runs:
        await world.close(pod, T + 300)
    await world.at(T + 100)
    await world.price("Pod/small", NEW * 1_000_000)
    if still_runs:
        await world.proven_at(T + 400)
        await world.close(pod, T + 400)
    assert await world.broken() == []
    assert (await world.see()).balance_micros == 1_000_000 - 300 * OLD - (60 * OLD + 40 * NEW if still_runs else 0)
