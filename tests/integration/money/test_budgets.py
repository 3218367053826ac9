"""Daily budgets: what an agent, and all agents of a wallet together, may spend until midnight UTC, to the second."""

import asyncio
import random
from dataclasses import replace

import pytest

from moorage.model.names import AgentUid, WalletId
from moorage.model.wallet import Standing, Veto
from moorage.store.agents import Agents
from moorage.store.ledger import LedgerRefusal
from tests.integration.money.budget_oracle import DAY, ByTheSecond, Pays
from tests.integration.money.spending import finished, lease_id
from tests.integration.money.world import NODE, RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
MIDNIGHT = START_S - START_S % DAY + DAY
MICRO = 1_000_000


async def budget(world: World, agent: str, micros: int | None) -> None:
    """Set an agent's budget in micro-credits a day."""
    picos = None if micros is None else micros * MICRO
    await world.ledger.set_budget(epoch=1, agent_uid=agent, picos_per_day=picos)


async def limit(world: World, micros: int | None) -> None:
    """Set the wallet's limit in micro-credits a day."""
    picos = None if micros is None else micros * MICRO
    uid = str(await world.sql.fetchval("SELECT cr_uid FROM money.wallet WHERE name = 'acme'"))
    await world.ledger.ensure_wallet(epoch=1, name="acme", cr_uid=uid, low_micros=0, limit_picos_per_day=picos)


async def due(world: World) -> int | None:
    """Run the zero loop once; returns when a budget will be reached. The timer may come earlier, never later."""
    settled = await world.ledger.settle_due(epoch=1)
    reach_at: int | None = await world.sql.fetchval("SELECT reach_at FROM money.wallet")
    until: int | None = await world.sql.fetchval("SELECT min(reached_until) FROM moorage.agent")
    assert all(second is None or (settled.next_due_s or 0) <= second for second in (reach_at, until))
    return reach_at


async def state(world: World, agent: str) -> tuple[str, str | None]:
    """The agent's state and veto."""
    record = await world.record(agent)
    return record["state"], record["veto"]


async def running(world: World, name: str = "a", *, since: int = T) -> tuple[str, str]:
    """An agent with an open run, and its pod."""
    agent = await world.agent(name)
    return agent, await world.open(agent, since)


async def test_a_budget_is_reached_at_its_second_and_not_before(world: World) -> None:
    await world.wallet(micros=10_000)
    agent, pod = await running(world)
    await budget(world, agent, 305)
    await world.proven_at(T + 29)
    await world.settle()
    assert (await due(world), await state(world, agent)) == (T + 30, ("Running", None))
    await world.proven_at(T + 30)
    assert await due(world) is None
    assert await state(world, agent) == ("Draining", "BudgetReached")
    assert (await world.outbox())[-1] == ("Agent", "a", "BudgetReached")
    view = await world.see()
    assert (view.standing, view.balance_micros, view.burn_picos) == (Standing.FUNDED, 10_000 - 300, 0)
    await world.proven_at(T + 36)
    await world.close(pod, T + 36)
    assert await world.lines() == [(T, T + 36, 30, 6)]


@pytest.mark.parametrize("noticed_s", [T + 100, T + 102, T + 500])
async def test_a_budget_is_reached_at_its_second_although_the_price_rises_on_the_way(
    world: World, noticed_s: int
) -> None:
    await world.wallet(micros=10_000)
    agent, pod = await running(world)
    await budget(world, agent, 1_100)
    assert await due(world) == T + 110
    # A hundred seconds of 10, and then five of 20.
    await world.price("Pod/small", 2 * RATE_PICOS, from_s=T + 100)
    await world.proven_at(noticed_s)
    await world.meters.reprice(epoch=1)
    if noticed_s < T + 105:
        assert (await due(world), await state(world, agent)) == (T + 105, ("Running", None))
    await world.proven_at(max(noticed_s, T + 105))
    assert await due(world) is None
    assert await state(world, agent) == ("Draining", "BudgetReached")
    await world.proven_at(T + 509)
    await world.close(pod, T + 509)
    assert (await world.see()).balance_micros == 10_000 - 1_100
    assert await world.lines() == [(T, T + 100, 100, 0), (T + 100, T + 509, 5, 404)]


async def test_a_late_look_charges_no_second_beyond_the_budget(world: World) -> None:
    await world.wallet(micros=10_000)
    agent, _ = await running(world)
    free, _ = await running(world, "free")
    await budget(world, agent, 300)
    await world.proven_at(T + 500)
    await world.settle()
    assert (await world.see()).balance_micros == 10_000 - 300 - 5_000
    assert (await state(world, agent), await state(world, free)) == (("Draining", "BudgetReached"), ("Running", None))


async def test_a_stop_does_not_wait_for_the_proof_and_what_is_proven_later_is_charged(world: World) -> None:
    await world.wallet(micros=10_000)
    agent, pod = await running(world)
    await budget(world, agent, 300)
    await world.at(T + 30)
    await world.prove(node_a=T + 22)
    await due(world)
    assert await state(world, agent) == ("Draining", "BudgetReached")
    assert (await world.see()).balance_micros == 10_000 - 220
    await world.proven_at(T + 36)
    await world.close(pod, T + 36)
    assert await world.lines() == [(T, T + 36, 30, 6)]


async def test_midnight_brings_a_suspended_agent_back(world: World) -> None:
    await world.wallet(micros=10_000)
    agent, pod = await running(world)
    await budget(world, agent, 300)
    await world.proven_at(T + 30)
    await due(world)
    await world.close(pod, T + 33)
    await world.sql.execute("UPDATE moorage.agent SET state = 'Suspended'")
    await world.proven_at(MIDNIGHT - 1)
    assert (await due(world), await state(world, agent)) == (None, ("Suspended", "BudgetReached"))
    await world.proven_at(MIDNIGHT)
    await due(world)
    assert await state(world, agent) == ("Suspended", None)
    assert (await world.outbox())[-1] == ("Agent", "a", "Funded")
    await world.open(agent, MIDNIGHT)
    assert await due(world) == MIDNIGHT + 30


async def test_an_agent_that_was_not_stopped_yet_at_midnight_goes_on(world: World) -> None:
    await world.wallet(micros=10_000)
    await world.proven_at(MIDNIGHT - 100)
    agent, pod = await running(world, since=MIDNIGHT - 100)
    await budget(world, agent, 950)
    await world.proven_at(MIDNIGHT - 5)
    await due(world)
    assert await state(world, agent) == ("Draining", "BudgetReached")
    await world.proven_at(MIDNIGHT + 1)
    await due(world)
    assert await state(world, agent) == ("Running", None)
    await world.proven_at(MIDNIGHT + 11)
    await world.close(pod, MIDNIGHT + 11)
    assert await world.lines() == [(MIDNIGHT - 100, MIDNIGHT + 11, 105, 6)]


async def test_a_budget_that_lasts_a_day_needs_no_timer(world: World) -> None:
    await world.wallet(micros=1_000_000_000)
    agent, _ = await running(world)
    await budget(world, agent, DAY * 10)
    assert await world.sql.fetchval("SELECT reach_at FROM money.wallet") is None
    await budget(world, agent, DAY * 10 - 1)
    assert await world.sql.fetchval("SELECT reach_at FROM money.wallet") == MIDNIGHT + DAY - 1


@pytest.mark.parametrize(
    ("micros", "expected"),
    [
        pytest.param(309, ("Draining", "BudgetReached"), id="too little for one more second"),
        pytest.param(310, ("Running", None), id="one more second"),
        pytest.param(None, ("Running", None), id="no budget"),
    ],
)
async def test_a_larger_budget_lifts_the_veto_at_once(
    world: World, micros: int | None, expected: tuple[str, str | None]
) -> None:
    await world.wallet(micros=10_000)
    agent, pod = await running(world)
    await budget(world, agent, 300)
    await world.proven_at(T + 30)
    await due(world)
    await world.proven_at(T + 32)
    await budget(world, agent, micros)
    assert await state(world, agent) == expected
    await world.proven_at(T + 50)
    await world.settle()
    await world.close(pod, T + 50)
    charged = {309: 30, 310: 31, None: 48}[micros]
    assert await world.lines() == [(T, T + 50, charged, 50 - charged)]


async def test_a_smaller_budget_applies_at_once(world: World) -> None:
    await world.wallet(micros=10_000)
    agent, _ = await running(world)
    await budget(world, agent, 1_000)
    await world.proven_at(T + 30)
    await budget(world, agent, 200)
    loaded = await Agents(world.database).load(agent)
    assert loaded is not None
    assert (loaded.budget_picos, loaded.veto) == (200 * MICRO, Veto.BUDGET_REACHED)
    assert await state(world, agent) == ("Draining", "BudgetReached")
    assert (await world.see()).balance_micros == 10_000 - 300


async def test_the_limit_stops_all_agents_at_one_second(world: World) -> None:
    await world.wallet(micros=10_000)
    agents = [(await running(world, name))[0] for name in "abc"]
    await limit(world, 1_000)
    assert await due(world) == T + 33
    await world.proven_at(T + 60)
    await world.settle()
    assert (await world.see()).balance_micros == 10_000 - 990
    assert {await state(world, agent) for agent in agents} == {("Draining", "BudgetReached")}
    late = await world.agent("late")
    pod = await world.open(late, T + 60)
    await world.proven_at(T + 70)
    await world.settle()
    await world.close(pod, T + 70)
    assert (await world.see()).balance_micros == 10_000 - 990
    assert (await world.see()).limit_reached
    await limit(world, 2_000)
    assert await state(world, agents[0]) == ("Running", None)
    assert not (await world.see()).limit_reached


async def test_a_top_up_does_not_lift_a_budget_and_the_lasting_reason_is_named(world: World) -> None:
    wallet = await world.wallet(micros=300)
    agent, _ = await running(world)
    await budget(world, agent, 200)
    await world.proven_at(T + 20)
    await due(world)
    await world.grant(50_000)
    assert await state(world, agent) == ("Draining", "BudgetReached")
    await world.sql.execute("SELECT money.place_hold($1, 'Manual', 'x', 'test')", wallet)
    assert await state(world, agent) == ("Draining", "BillingOnHold")
    await world.sql.execute("SELECT money.lift_hold($1, 'Manual', 'x', 'test')", wallet)
    assert await state(world, agent) == ("Draining", "BudgetReached")
    other, _ = await running(world, "b")
    await world.proven_at(T + 10_000)
    await due(world)
    assert (await state(world, agent), await state(world, other)) == (
        ("Draining", "ZeroBalance"),
        ("Draining", "ZeroBalance"),
    )
    await world.grant(50_000)
    assert (await state(world, agent), await state(world, other)) == (("Draining", "BudgetReached"), ("Running", None))


async def test_model_requests_count_for_budget_and_limit(world: World) -> None:
    wallet = await world.wallet(micros=10_000)
    agent, _ = await running(world)
    other, _ = await running(world, "b")
    await budget(world, agent, 500)
    await limit(world, 1_000)
    gateway = await world.gateway()
    lease = lease_id()
    await gateway.open(lease, WalletId(wallet), want_micros=2_000, at_least_micros=2_000)

    async def spend(agent: str, micros: int) -> None:
        request = replace(finished(lease, micros), agent_uid=AgentUid(agent))
        await gateway.flush([request])
        await gateway.flush([request])

    await world.proven_at(T + 10)
    await spend(agent, 390)
    assert await due(world) == T + 11
    await spend(agent, 10)
    assert (await state(world, agent), await state(world, other)) == (("Draining", "BudgetReached"), ("Running", None))
    await spend(other, 400)
    assert await state(world, other) == ("Draining", "BudgetReached")
    assert await gateway.asked_back() == [lease]
    assert (await world.see()).balance_micros == 10_000 - 800 - 200


async def test_two_sessions_at_the_second_of_the_budget_stop_the_agent_once(world: World) -> None:
    await world.wallet(micros=100_000)
    agent, _ = await running(world)
    await budget(world, agent, 300)
    await world.proven_at(T + 40)
    calls = [world.ledger.settle_due(epoch=1), world.settle(), world.ledger.settle_due(epoch=1), world.settle()]
    await asyncio.gather(*calls)
    record = await world.record(agent)
    assert (record["veto"], record["fence"]) == ("BudgetReached", 2)
    assert (await world.see()).balance_micros == 100_000 - 300


async def test_raising_the_budget_races_its_second_and_ends_the_same(world: World) -> None:
    await world.wallet(micros=100_000)
    agent, _ = await running(world)
    for step in range(1, 11):
        await budget(world, agent, 300 * step)
        await world.proven_at(T + 40 * step)
        await asyncio.gather(
            world.ledger.settle_due(epoch=1), budget(world, agent, 300 * step + 100_000), world.settle()
        )
        assert await state(world, agent) == ("Running", None)
    assert await world.broken() == []


@pytest.mark.parametrize("micros", [0, -1])
async def test_a_budget_or_limit_that_is_no_amount_is_refused(world: World, micros: int) -> None:
    await world.wallet(micros=10_000)
    agent, _ = await running(world)
    with pytest.raises(LedgerRefusal, match="a budget is a positive amount for a day"):
        await budget(world, agent, micros)
    with pytest.raises(LedgerRefusal, match="a spend limit is a positive amount for a day"):
        await limit(world, micros)


async def test_an_agent_that_is_charged_beyond_its_budget_is_found_by_the_check(world: World) -> None:
    await world.wallet(micros=10_000)
    agent, _ = await running(world)
    await budget(world, agent, 300)
    await world.proven_at(T + 10)
    await world.settle()
    assert await world.broken() == []
    await world.sql.execute("UPDATE moorage.agent SET reached_until = $1", MIDNIGHT)
    assert await world.broken() == [f"I-23: ('{agent}',)"]
    await world.sql.execute("UPDATE moorage.agent SET reached_until = NULL")


@pytest.mark.parametrize("seed", range(12))
async def test_budgets_and_limit_agree_with_an_oracle_that_counts_seconds(world: World, seed: int) -> None:
    dice = random.Random(seed)  # the seed is in the test's name
    await world.at(MIDNIGHT - 150)
    await world.prove(node_a=MIDNIGHT - 150)
    await world.wallet(micros=1_000_000_000)
    rates = {"small": RATE_PICOS, "odd": 333_333, "large": 77_000_001}
    for size in ("odd", "large"):
        await world.ledger.publish_rate(size=size, rate_picos=rates[size])
    oracle = ByTheSecond(agents=[], limit=dice.choice([None, 1_500 * MICRO, 9_000 * MICRO]))
    await limit(world, None if oracle.limit is None else oracle.limit // MICRO)
    now = MIDNIGHT - 150
    for index, size in enumerate(rates):
        uid = await world.agent(f"agent-{index}", size=size)
        daily = dice.choice([None, rates[size] * dice.randint(1, 90) + dice.randint(0, rates[size] - 1)])
        await world.ledger.set_budget(epoch=1, agent_uid=uid, picos_per_day=daily)
        one = Pays(uid=uid, rate=rates[size], budget=daily, live_from=now)
        one.pod = await world.open(uid, now, size=size)
        oracle.agents.append(one)
    for _ in range(30):
        step = dice.choice([1, 1, 7, 13, 40])
        oracle.live(now, now + step)
        now += step
        await world.proven_at(now)
        await due(world)
        if dice.random() < 0.5:
            await world.settle()
        oracle.paying(now)
        oracle.renew(now)
        oracle.paying(now)
        for index, one in enumerate(oracle.agents):
            record = await world.record(one.uid)
            assert record["veto"] == ("BudgetReached" if one.until or oracle.until else None), (now, index)
            if record["state"] == "Draining" and dice.random() < 0.3:
                await world.close(one.pod, now)
                await world.sql.execute("UPDATE moorage.agent SET state = 'Suspended' WHERE uid = $1", record["uid"])
                one.live_from = None
            elif record["state"] == "Suspended" and record["veto"] is None:
                await world.sql.execute("UPDATE moorage.agent SET state = 'Running' WHERE uid = $1", record["uid"])
                one.pod = await world.open(one.uid, now, size=list(rates)[index], node=NODE)
                one.live_from = now
    await world.settle()
    row = await world.sql.fetchrow("SELECT balance_micros, carry_picos FROM money.wallet")
    paid = sum(one.rate * len(one.paid) for one in oracle.agents)
    assert 1_000_000_000 * MICRO - (row["balance_micros"] * MICRO - row["carry_picos"]) == paid
    assert await world.broken() == []
