"""After an outage of the operator: what was proven is charged, as far as there was credit for it, and nothing more."""

import pytest

from moorage.model.wallet import Standing
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
PRICE = 10  # micro-credits per second
OUTAGE_S = 10_000
BACK = T + OUTAGE_S
CATCHUP_S = 21_600


async def away(world: World, *, micros: int = 1_000_000, node: str = "node-a") -> tuple[str, str]:
    """An agent that runs and is charged up to T, and its pod; then nobody looks until BACK."""
    await world.prove(node_b=T)
    await world.wallet(micros=micros)
    agent = await world.agent("a")
    return agent, await world.open(agent, T, node=node)


async def absorbed(world: World) -> dict[str, int]:
    """Seconds that the platform has paid for, by cause."""
    rows = await world.sql.fetch("SELECT cause, sum(seconds)::bigint AS seconds FROM money.system_entry GROUP BY cause")
    return {row["cause"]: row["seconds"] for row in rows}


async def test_a_pod_that_provably_ran_is_charged_in_one_step(world: World) -> None:
    await away(world)
    await world.proven_at(BACK)
    await world.settle()
    assert await world.moves() == [("Grant", 1_000_000), ("Usage", -OUTAGE_S * PRICE)]


async def test_older_seconds_than_the_limit_are_absorbed_as_an_outage(world: World) -> None:
    _, pod = await away(world)
    await world.proven_at(T + CATCHUP_S + 500)
    await world.settle()
    await world.close(pod, T + CATCHUP_S + 500)
    assert (await world.see()).balance_micros == 1_000_000 - CATCHUP_S * PRICE
    assert await absorbed(world) == {"Overdue": 500}


async def test_a_container_that_restarted_is_charged_from_its_new_start_and_the_gap_is_nobodys(world: World) -> None:
    agent, _ = await away(world)
    await world.proven_at(T + 100)
    await world.settle()
    await world.at(BACK)
    pod = await world.open(agent, BACK - 300)
    await world.proven_at(BACK)
    await world.close(pod, BACK)
    rows = await world.sql.fetch("SELECT lo, hi, charged_seconds, waived_seconds FROM money.line ORDER BY lo")
    assert [tuple(row) for row in rows] == [(T, BACK - 300, 100, OUTAGE_S - 400), (BACK - 300, BACK, 300, 0)]
    assert await absorbed(world) == {}


async def test_a_run_on_a_node_that_vanished_ends_with_its_last_proof(world: World) -> None:
    _, pod = await away(world, node="node-b")
    await world.at(T + 30)
    await world.prove(node_a=T + 30, node_b=T + 20)
    await world.proven_at(BACK)
    await world.close(pod, None)
    assert await world.lines() == [(T, T + 20, 20, 0)]


async def test_credit_that_ended_meanwhile_is_cut_at_its_second_and_nothing_becomes_debt(world: World) -> None:
    agent, pod = await away(world, micros=5_000)
    await world.proven_at(BACK)
    await world.ledger.settle_due(epoch=1)
    view = await world.see()
    assert (view.standing, view.balance_micros) == (Standing.EXHAUSTED, 0)
    assert (await world.record(agent))["veto"] == "ZeroBalance"
    await world.close(pod, BACK)
    assert await world.lines() == [(T, BACK, 500, OUTAGE_S - 500)]
    assert await absorbed(world) == {"Zero": OUTAGE_S - 500}


async def test_credit_bought_before_the_old_ran_out_pays_for_the_rest(world: World) -> None:
    _, pod = await away(world, micros=50_000)
    await world.at(T + 4_000)  # nobody proves anything, but the payment arrives
    await world.grant(100_000)
    await world.proven_at(BACK)
    await world.close(pod, BACK)
    assert await world.lines() == [(T, BACK, OUTAGE_S, 0)]
    assert (await world.see()).balance_micros == 150_000 - OUTAGE_S * PRICE


async def test_credit_bought_after_the_old_ran_out_pays_only_from_then_on(world: World) -> None:
    _, pod = await away(world, micros=5_000)
    await world.at(T + 4_000)
    assert (await world.grant(100_000)).standing is Standing.FUNDED
    await world.proven_at(BACK)
    await world.close(pod, BACK)
    # Until the payment nothing was proven, and nobody could say any more that the old credit had paid for it.
    assert await world.lines() == [(T, BACK, OUTAGE_S - 4_000, 4_000)]
    assert (await world.see()).balance_micros == 105_000 - (OUTAGE_S - 4_000) * PRICE


async def test_of_many_wallets_that_are_overdue_the_oldest_is_settled_first(world: World) -> None:
    for number, micros in enumerate((3_000, 1_000, 2_000)):
        name = f"wallet-{number}"
        await world.wallet(name, micros=micros)
        await world.open(await world.agent(f"a-{number}", wallet=name), T)
    await world.proven_at(BACK)
    stopped = []
    for _ in range(3):
        await world.sql.execute("SELECT money.settle_due(1, 1)")
        seen = [number for number in range(3) if (await world.see(f"wallet-{number}")).standing is Standing.EXHAUSTED]
        stopped.append(seen)
    assert stopped == [[1], [1, 2], [0, 1, 2]]
