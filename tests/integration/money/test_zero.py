"""Zero and back: the transaction that finds zero stops the agents, the one that brings credit calls them back."""

import pytest

from moorage.model.wallet import Standing
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
RESUME_MICROS = 600 * 10  # ten minutes of one small agent


async def due(world: World) -> int:
    """Run the zero loop once; returns how many wallets hit zero."""
    return (await world.ledger.settle_due(epoch=1)).exhausted


async def test_zero_is_found_at_its_second_and_not_before(world: World) -> None:
    await world.wallet(micros=305)
    agent = await world.agent("a")
    await world.open(agent, T)
    await world.proven_at(T + 29)
    settled = await world.ledger.settle_due(epoch=1)
    assert (settled.wallets, settled.next_due_s) == (0, T + 30)
    await world.proven_at(T + 30)
    assert await due(world) == 1
    view = await world.see()
    assert (view.standing, view.balance_micros, view.runway_seconds) == (Standing.EXHAUSTED, 5, 0)
    record = await world.record(agent)
    assert (record["state"], record["veto"], record["fence"], record["stop_recorded"]) == (
        "Draining",
        "ZeroBalance",
        2,
        False,
    )
    assert (await world.outbox())[-2:] == [("Agent", "a", "ZeroBalance"), ("Wallet", "acme", "ZeroBalance")]
    assert await due(world) == 0


async def test_stopping_does_not_wait_for_the_proof_but_charging_does(world: World) -> None:
    await world.wallet(micros=300)
    agent = await world.agent("a")
    pod = await world.open(agent, T)
    await world.at(T + 30)
    await world.prove(node_a=T + 22)
    assert await due(world) == 1
    assert (await world.see()).balance_micros == 300 - 22 * 10
    await world.proven_at(T + 36)
    await world.settle()
    assert (await world.see()).balance_micros == 0
    await world.close(pod, T + 36)
    assert await world.lines() == [(T, T + 36, 30, 6)]


async def test_a_wallet_that_was_said_to_be_low_is_still_looked_at_at_its_zero(world: World) -> None:
    await world.wallet(micros=300, low_micros=50)
    await world.open(await world.agent("a"), T)
    await world.at(T + 28)
    await world.settle()
    assert (await world.ledger.settle_due(epoch=1)).next_due_s == T + 30
    await world.at(T + 30)
    assert await due(world) == 1


async def test_all_runs_of_a_wallet_are_charged_up_to_the_same_second(world: World) -> None:
    await world.wallet(micros=1_000)
    first = await world.open(await world.agent("a"), T)
    await world.proven_at(T + 20)
    second = await world.open(await world.agent("b"), T + 10)
    await world.proven_at(T + 200)
    assert await due(world) == 1
    await world.close(first, T + 200)
    await world.close(second, T + 200)
    # 20 s of one and 10 s of the other at T+20, then 35 s of both: 1000 = 10·20 + 10·10 + 20·35
    assert await world.lines() == [(T, T + 200, 55, 145), (T + 10, T + 200, 45, 145)]
    assert (await world.see()).balance_micros == 0


async def test_a_backlog_that_cannot_be_paid_ends_where_the_credit_ends(world: World) -> None:
    await world.wallet(micros=1_000)
    await world.prove(node_b=T)
    here = await world.open(await world.agent("a"), T)
    there = await world.open(await world.agent("b"), T, node="node-b")
    await world.proven_at(T + 41)
    await world.proven_at(T + 60)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000 - 60 * 10
    await world.prove(node_b=T + 60)
    assert (await world.see()).standing is Standing.EXHAUSTED
    await world.close(here, T + 60)
    await world.close(there, T + 60)
    assert await world.lines() == [(T, T + 60, 60, 0), (T, T + 60, 40, 20)]


async def test_a_run_that_was_just_opened_counts_for_zero_before_any_proof(world: World) -> None:
    await world.wallet(micros=100)
    await world.at(T + 5)
    await world.open(await world.agent("a"), T + 3)
    assert (await world.ledger.settle_due(epoch=1)).next_due_s == T + 13
    await world.at(T + 13)
    assert await due(world) == 1


async def test_states_that_are_down_already_keep_their_reason(world: World) -> None:
    await world.wallet(micros=100)
    runs = await world.agent("runs")
    others = {state: await world.agent(state.lower(), state=state) for state in
              ("Draining", "Snapshotting", "Verifying", "Restoring", "Suspended", "Archived")}  # fmt: skip
    await world.open(runs, T)
    await world.proven_at(T + 10)
    assert await due(world) == 1
    vetoed = {state for state, agent in others.items() if (await world.record(agent))["veto"]}
    assert vetoed == {"Draining", "Snapshotting", "Verifying", "Restoring"}
    assert [(await world.record(agent))["state"] for agent in others.values()] == list(others)


async def test_too_small_a_top_up_is_kept_and_says_what_is_missing(world: World) -> None:
    await world.wallet(micros=100)
    agent = await world.agent("a")
    await world.open(agent, T)
    await world.proven_at(T + 10)
    await due(world)
    granted = await world.grant(RESUME_MICROS - 1)
    assert (granted.standing, granted.missing_micros, granted.resumed) == (Standing.EXHAUSTED, 1, 0)
    assert (await world.record(agent))["state"] == "Draining"
    granted = await world.grant(1)
    assert (granted.standing, granted.missing_micros, granted.resumed) == (Standing.FUNDED, 0, 1)


async def test_a_top_up_calls_off_a_stop_that_is_not_recorded(world: World) -> None:
    await world.wallet(micros=100)
    agent = await world.agent("a")
    pod = await world.open(agent, T)
    await world.proven_at(T + 14)
    await due(world)
    await world.at(T + 20)
    granted = await world.grant(RESUME_MICROS)
    assert (granted.resumed, granted.balance_micros) == (1, RESUME_MICROS)
    record = await world.record(agent)
    assert (record["state"], record["veto"], record["fence"]) == ("Running", None, 3)
    assert ("Agent", "a", "Funded") in await world.outbox()
    await world.proven_at(T + 50)
    await world.close(pod, T + 50)
    assert await world.lines() == [(T, T + 50, 10 + 30, 10)]
    assert (await world.see()).balance_micros == RESUME_MICROS - 300


async def test_a_top_up_leaves_a_recorded_stop_and_charges_nothing_after_the_cut(world: World) -> None:
    await world.wallet(micros=100)
    agent = await world.agent("a")
    pod = await world.open(agent, T)
    await world.proven_at(T + 14)
    await due(world)
    await world.sql.execute("UPDATE moorage.agent SET stop_recorded = true")
    await world.at(T + 20)
    assert (await world.grant(RESUME_MICROS)).resumed == 1
    record = await world.record(agent)
    assert (record["state"], record["veto"]) == ("Draining", None)
    assert ((await world.see()).zero_at, (await world.ledger.settle_due(epoch=1)).next_due_s) == (None, None)
    await world.proven_at(T + 50)
    await world.settle()
    await world.close(pod, T + 50)
    assert await world.lines() == [(T, T + 50, 10, 40)]
    assert (await world.see()).balance_micros == RESUME_MICROS


async def test_a_tenants_own_pause_is_not_lifted_by_money(world: World) -> None:
    await world.wallet(micros=100)
    paused, runs = await world.agent("paused", state="Draining"), await world.agent("runs")
    await world.sql.execute("UPDATE moorage.agent SET user_paused = true WHERE name = 'paused'")
    await world.open(runs, T)
    await world.proven_at(T + 10)
    await due(world)
    assert (await world.grant(RESUME_MICROS)).resumed == 1
    record = await world.record(paused)
    assert (record["state"], record["veto"], record["user_paused"]) == ("Draining", None, True)


async def test_a_top_up_after_an_unnoticed_zero_pays_for_nothing_before_it(world: World) -> None:
    await world.wallet(micros=100)
    pod = await world.open(await world.agent("a"), T)
    await world.proven_at(T + 500)
    granted = await world.grant(RESUME_MICROS)
    assert (granted.balance_micros, granted.standing, granted.resumed) == (RESUME_MICROS, Standing.FUNDED, 1)
    await world.proven_at(T + 510)
    await world.close(pod, T + 510)
    assert await world.lines() == [(T, T + 510, 20, 490)]


async def test_a_clock_that_jumps_far_ahead_stops_nobody_without_proof(world: World) -> None:
    await world.wallet(micros=100_000)
    agent = await world.agent("a")
    await world.open(agent, T)
    await world.at(T + 40 * 86_400)
    assert await due(world) == 0
    assert (await world.record(agent))["state"] == "Running"


async def test_a_wallet_that_never_had_an_agent_resumes_with_the_first_micro(world: World) -> None:
    await world.wallet()
    assert (await world.grant(1)).standing is Standing.FUNDED


async def test_credit_that_cannot_pay_one_second_of_what_runs_stops_it_again(world: World) -> None:
    await world.wallet()
    agents = [await world.agent(name) for name in "ab"]
    for agent in agents:
        await world.open(agent, T)
    granted = await world.grant(19)
    assert (granted.standing, granted.balance_micros) == (Standing.EXHAUSTED, 19)
    assert {(await world.record(agent))["state"] for agent in agents} == {"Draining"}
    assert (await world.see()).missing_micros == 2 * RESUME_MICROS - 19


async def test_closing_the_last_run_with_the_last_micro_exhausts_the_wallet(world: World) -> None:
    await world.wallet(micros=100)
    starting = await world.agent("starting")
    pod = await world.open(await world.agent("a"), T)
    await world.at(T + 9)
    await world.at(T + 10)
    await world.close(pod, T + 10)
    assert (await world.see()).standing is Standing.EXHAUSTED
    assert (await world.record(starting))["state"] == "Draining"


async def test_the_zero_in_the_row_is_the_one_that_is_predicted(world: World) -> None:
    said = (
        "SELECT count(*) FROM money.wallet w WHERE coalesce(w.cut_at, w.zero_at) IS DISTINCT FROM money.zero_at(w.id)"
    )
    await world.wallet(micros=1_000_000)
    pods = [await world.open(await world.agent(f"a{number}"), T + number) for number in range(3)]
    assert await world.sql.fetchval(said) == 0
    await world.proven_at(T + 50)
    await world.settle()
    assert await world.sql.fetchval(said) == 0
    await world.close(pods[0], T + 40)
    await world.grant(2_000_000)
    assert await world.sql.fetchval(said) == 0
