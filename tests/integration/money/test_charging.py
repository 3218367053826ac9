"""What is charged: proven seconds, affordable seconds, nothing else."""

import pytest

from moorage.model.wallet import Standing
from tests.integration.money.world import RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S


async def test_a_new_wallet_is_exhausted_from_its_first_second(world: World) -> None:
    await world.wallet()
    view = await world.see()
    assert (view.standing, view.balance_micros, view.missing_micros) == (Standing.EXHAUSTED, 0, 1)


async def test_a_wallet_of_the_same_name_is_adopted(world: World) -> None:
    first = await world.wallet(micros=5)
    assert await world.wallet() == first
    assert (await world.see()).balance_micros == 5


async def test_only_proven_seconds_are_charged(world: World) -> None:
    await world.wallet(micros=1_000_000)
    await world.open(await world.agent("a"), T)
    await world.at(T + 100)
    await world.prove(node_a=T + 60)
    await world.settle()
    view = await world.see()
    assert view.balance_micros == 1_000_000 - 60 * 10
    assert view.live_balance_micros == 1_000_000 - 100 * 10
    assert view.burn_picos == RATE_PICOS
    assert view.runway_seconds == 100_000 - 100


async def test_a_run_that_waits_for_its_proof_counts_as_burn(world: World) -> None:
    await world.wallet(micros=1_000_000)
    await world.open(await world.agent("a"), T)
    await world.prove(node_a=T + 10)
    await world.open(await world.agent("b"), T + 20)
    assert (await world.see()).burn_picos == 2 * RATE_PICOS


async def test_a_proof_never_moves_back_nor_beyond_the_database_clock(world: World) -> None:
    await world.wallet(micros=1_000_000)
    await world.open(await world.agent("a"), T)
    await world.at(T + 50)
    await world.prove(node_a=T + 5_000)
    await world.prove(node_a=T + 10)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - 50 * 10


async def test_settling_twice_charges_once(world: World) -> None:
    await world.wallet(micros=1_000_000)
    await world.open(await world.agent("a"), T)
    await world.proven_at(T + 30)
    await world.settle()
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - 30 * 10


async def test_a_clock_that_steps_back_charges_nothing_twice_and_refunds_nothing(world: World) -> None:
    await world.wallet(micros=1_000_000)
    await world.open(await world.agent("a"), T)
    await world.proven_at(T + 100)
    await world.settle()
    await world.at(T + 20)
    await world.settle()
    await world.proven_at(T + 110)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - 110 * 10


async def test_fractions_of_a_micro_are_carried_not_lost(world: World) -> None:
    await world.ledger.publish_rate(size="odd", rate_picos=333_333)
    await world.wallet(micros=1_000)
    pod = await world.open(await world.agent("a", size="odd"), T, size="odd")
    for second in range(1, 8):
        await world.proven_at(T + second)
        await world.settle()
    await world.close(pod, T + 7)
    assert (await world.see()).balance_micros == 1_000 - 7 * 333_333 // 1_000_000
    assert await world.lines() == [(T, T + 7, 7, 0)]


async def test_a_run_that_ended_earlier_than_charged_is_corrected_exactly(world: World) -> None:
    await world.wallet(micros=1_000_000)
    pod = await world.open(await world.agent("a"), T)
    await world.proven_at(T + 100)
    await world.settle()
    await world.close(pod, T + 70)
    assert (await world.see()).balance_micros == 1_000_000 - 70 * 10
    assert [entry.kind for entry in await world.ledger.history("acme")] == ["Correction", "Usage", "Grant"]


async def test_a_short_run_that_no_proof_ever_covered_is_charged_at_its_end(world: World) -> None:
    await world.wallet(micros=1_000_000)
    agent = await world.agent("a")
    await world.at(T + 5)
    pod = await world.open(agent, T + 2)
    await world.at(T + 9)
    await world.close(pod, T + 8)
    assert await world.lines() == [(T + 2, T + 8, 6, 0)]
    assert (await world.record(agent))["pod_uid"] is None


async def test_opening_and_closing_again_changes_nothing(world: World) -> None:
    await world.wallet(micros=1_000_000)
    agent = await world.agent("a")
    pod = await world.open(agent, T)
    assert str((await world.record(agent))["pod_uid"]) == pod
    await world.open(agent, T, pod=pod)
    await world.proven_at(T + 10)
    await world.close(pod, T + 10)
    await world.close(pod, T + 12)
    await world.open(agent, T, pod=pod)
    assert await world.lines() == [(T, T + 10, 10, 0)]


async def test_a_new_container_ends_the_run_of_the_old_one(world: World) -> None:
    await world.wallet(micros=1_000_000)
    agent = await world.agent("a")
    await world.open(agent, T)
    await world.proven_at(T + 100)
    await world.settle()
    await world.open(agent, T + 40)
    await world.settle()
    assert await world.lines() == [(T, T + 40, 40, 0)]
    assert (await world.see()).balance_micros == 1_000_000 - 100 * 10


async def test_a_silent_node_holds_up_nobody_and_is_caught_up_when_it_returns(world: World) -> None:
    await world.wallet(micros=1_000_000)
    await world.prove(node_b=T)
    await world.open(await world.agent("a"), T)
    await world.open(await world.agent("b"), T, node="node-b")
    for second in range(10, 110, 10):
        await world.proven_at(T + second)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - 100 * 10
    await world.at(T + 120)
    await world.prove(node_a=T + 120, node_b=T + 120)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - 2 * 120 * 10


async def test_a_node_is_silent_after_its_limit_and_not_at_it(world: World) -> None:
    await world.wallet(micros=1_000_000)
    await world.prove(node_b=T)
    await world.open(await world.agent("a"), T)
    await world.open(await world.agent("b"), T, node="node-b")
    await world.proven_at(T + 40)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000
    await world.proven_at(T + 41)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - 41 * 10


async def test_a_run_on_a_dead_node_ends_at_its_proof(world: World) -> None:
    await world.wallet(micros=1_000_000)
    await world.prove(node_b=T)
    await world.open(await world.agent("a"), T)
    pod = await world.open(await world.agent("b"), T, node="node-b")
    await world.at(T + 25)
    await world.prove(node_a=T + 25, node_b=T + 20)
    await world.proven_at(T + 100)
    await world.close(pod, None)
    await world.settle()
    assert await world.lines() == [(T, T + 20, 20, 0)]


async def test_seconds_older_than_the_catch_up_limit_are_absorbed(world: World) -> None:
    await world.wallet(micros=1_000_000)
    pod = await world.open(await world.agent("a"), T)
    await world.proven_at(T + 30_000)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - 21_600 * 10
    await world.close(pod, T + 30_000)
    assert await world.lines() == [(T, T + 30_000, 21_600, 8_400)]


async def test_a_run_that_ends_without_any_proof_is_charged_no_further_back_than_the_limit(world: World) -> None:
    await world.wallet(micros=1_000_000)
    await world.prove(node_b=T)
    pod = await world.open(await world.agent("b"), T, node="node-b")
    await world.proven_at(T + 30_000)
    await world.close(pod, T + 30_000)
    assert await world.lines() == [(T, T + 30_000, 21_600, 8_400)]


async def test_a_correction_gives_back_only_what_was_charged(world: World) -> None:
    await world.wallet(micros=1_000_000)
    pod = await world.open(await world.agent("a"), T)
    await world.proven_at(T + 100)
    await world.settle()
    await world.proven_at(T + 30_100)
    await world.settle()
    await world.close(pod, T + 50)
    assert await world.lines() == [(T, T + 50, 50, 0)]
    assert (await world.see()).balance_micros == 1_000_000 - 50 * 10
