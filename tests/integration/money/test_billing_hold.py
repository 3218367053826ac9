"""A wallet on hold spends nothing, starts nothing and loses nothing, until the last reason for it is lifted."""

import pytest

from moorage.model.errors import Permanent
from moorage.model.wallet import Standing
from tests.integration.money.world import RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

RATE_MICROS = RATE_PICOS // 1_000_000


async def test_a_hold_stops_the_agents_and_charges_to_its_second(world: World) -> None:
    wallet = await world.wallet(micros=1_000_000)
    agent = await world.agent("a")
    pod = await world.open(agent, START_S)
    await world.proven_at(START_S + 100)
    assert await world.ledger.place_hold(wallet, cause="Manual", ref="look", actor="test")
    seen = await world.see()
    assert (seen.standing, seen.balance_micros) == (Standing.ON_HOLD, 1_000_000 - 100 * RATE_MICROS)
    record = await world.record(agent)
    assert (record["state"], record["veto"]) == ("Draining", "BillingOnHold")
    await world.proven_at(START_S + 160)
    await world.settle()
    await world.close(pod, START_S + 160)
    assert (await world.see()).balance_micros == 1_000_000 - 100 * RATE_MICROS
    assert await world.lines() == [(START_S, START_S + 160, 100, 60)]


async def test_the_proof_of_seconds_before_the_hold_may_come_later(world: World) -> None:
    wallet = await world.wallet(micros=1_000_000)
    pod = await world.open(await world.agent("a"), START_S)
    await world.at(START_S + 100)
    await world.ledger.place_hold(wallet, cause="Manual", ref="look", actor="test")
    assert (await world.see()).balance_micros == 1_000_000
    await world.proven_at(START_S + 160)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - 100 * RATE_MICROS
    await world.close(pod, START_S + 160)


async def test_agents_come_back_when_the_last_reason_is_lifted(world: World) -> None:
    wallet = await world.wallet(micros=1_000_000)
    agent = await world.agent("a")
    await world.open(agent, START_S)
    await world.proven_at(START_S + 10)
    await world.ledger.place_hold(wallet, cause="Manual", ref="one", actor="test")
    await world.ledger.place_hold(wallet, cause="Verification", ref="two", actor="test")
    assert await world.ledger.lift_hold(wallet, cause="Manual", ref="one", actor="test")
    assert (await world.see()).standing is Standing.ON_HOLD
    await world.proven_at(START_S + 30)
    assert await world.ledger.lift_hold(wallet, cause="Verification", ref="two", actor="test")
    assert (await world.see()).standing is Standing.FUNDED
    assert (await world.record(agent))["state"] == "Running"
    await world.proven_at(START_S + 50)
    await world.settle()
    assert (await world.see()).balance_micros == 1_000_000 - (10 + 20) * RATE_MICROS


async def test_the_same_hold_twice_is_one_and_so_is_its_end(world: World) -> None:
    wallet = await world.wallet(micros=1_000_000)
    placed = [await world.ledger.place_hold(wallet, cause="Manual", ref="r", actor="test") for _ in "ab"]
    lifted = [await world.ledger.lift_hold(wallet, cause="Manual", ref="r", actor="test") for _ in "ab"]
    assert (placed, lifted) == ([True, False], [True, False])


async def test_a_top_up_does_not_end_a_hold(world: World) -> None:
    wallet = await world.wallet(micros=1_000_000)
    agent = await world.agent("a")
    await world.ledger.place_hold(wallet, cause="Dispute", ref="pay", actor="test")
    granted = await world.grant(5_000_000)
    assert (granted.standing, granted.resumed) == (Standing.ON_HOLD, 0)
    assert (await world.record(agent))["state"] == "Draining"


async def test_a_wallet_without_credit_is_exhausted_after_its_hold(world: World) -> None:
    wallet = await world.wallet(micros=100 * RATE_MICROS)
    agent = await world.agent("a")
    await world.open(agent, START_S)
    await world.proven_at(START_S + 100)
    await world.settle()
    assert (await world.see()).standing is Standing.EXHAUSTED
    await world.ledger.place_hold(wallet, cause="Manual", ref="r", actor="test")
    assert (await world.see()).standing is Standing.ON_HOLD
    await world.ledger.lift_hold(wallet, cause="Manual", ref="r", actor="test")
    assert (await world.see()).standing is Standing.EXHAUSTED
    assert (await world.record(agent))["veto"] == "ZeroBalance"


async def test_a_hold_on_no_wallet_is_refused(world: World) -> None:
    with pytest.raises(Permanent):
        await world.ledger.place_hold(4711, cause="Manual", ref="r", actor="test")
