"""Given credit is used up before bought credit, the earliest to expire first, and what is left of it expires."""

import pytest

from moorage.model.ledger import Granted
from moorage.model.payments import GrantKind
from moorage.model.wallet import Standing
from moorage.store.ledger import LedgerRefusal
from moorage.store.wallets import Wallets
from tests.integration.money.world import RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

RATE = RATE_PICOS // 1_000_000


async def _give(
    world: World, micros: int, *, for_s: int, campaign: str = "hello", kind: GrantKind = GrantKind.PROMO
) -> Granted:
    return await Wallets(world.database).give_credit(
        wallet_name="acme", kind=kind, campaign=campaign, amount_micros=micros, expires_s=START_S + for_s,
        reason="test", actor="test")  # fmt: skip


async def _burn(world: World, until_s: int) -> None:
    await world.proven_at(START_S + until_s)
    await world.settle()
    await Wallets(world.database).record_consumption()


async def _left(world: World) -> dict[int, int]:
    rows = await world.sql.fetch("SELECT credit_seq, left_micros FROM money.credit_left(1)")
    return {row["credit_seq"]: row["left_micros"] for row in rows}


async def test_a_campaign_gives_once_and_a_plan_once_per_period(world: World) -> None:
    await world.wallet()
    repeated = [(await _give(world, 5, for_s=9)).repeated for _ in "ab"]
    for period in ("pro/2026-11", "pro/2026-12", "pro/2026-12"):
        await _give(world, 7, for_s=9, campaign=period, kind=GrantKind.PLAN)
    assert repeated == [False, True]
    assert await world.moves() == [("Promo", 5), ("Plan", 7), ("Plan", 7)]


async def test_a_campaign_with_another_amount_is_refused(world: World) -> None:
    await world.wallet()
    await _give(world, 5, for_s=9)
    with pytest.raises(LedgerRefusal, match="another amount"):
        await _give(world, 6, for_s=9)


@pytest.mark.parametrize(("micros", "for_s"), [(0, 9), (-5, 9), (9_000_000_000_001, 9), (5, 0), (5, -1)])
async def test_a_grant_of_nothing_or_of_the_past_is_refused(world: World, micros: int, for_s: int) -> None:
    await world.wallet()
    with pytest.raises(LedgerRefusal):
        await _give(world, micros, for_s=for_s)
    assert await world.moves() == []


async def test_what_expires_first_is_used_up_first_and_bought_credit_last(world: World) -> None:
    await world.wallet(micros=1_000 * RATE)
    await _give(world, 100 * RATE, for_s=9_000, campaign="late")
    await _give(world, 100 * RATE, for_s=5_000, campaign="soon")
    await world.open(await world.agent("a"), START_S)
    await _burn(world, 60)
    assert await _left(world) == {1: 1_000 * RATE, 2: 100 * RATE, 3: 40 * RATE}
    await _burn(world, 250)
    assert await _left(world) == {1: 950 * RATE, 2: 0, 3: 0}


async def test_what_was_spent_before_a_grant_is_not_paid_by_it(world: World) -> None:
    await world.wallet(micros=1_000 * RATE)
    await world.open(await world.agent("a"), START_S)
    await world.proven_at(START_S + 100)
    await _give(world, 500 * RATE, for_s=9_000)
    await _burn(world, 150)
    left = await _left(world)
    assert sorted(left.values()) == [450 * RATE, 900 * RATE]


async def test_only_what_is_left_expires_and_only_once(world: World) -> None:
    await world.wallet(micros=1_000 * RATE)
    await _give(world, 100 * RATE, for_s=50)
    pod = await world.open(await world.agent("a"), START_S)
    await world.proven_at(START_S + 60)
    ended = [await Wallets(world.database).expire_credit() for _ in "ab"]
    await world.close(pod, START_S + 60)
    assert ended == [1, 0]
    assert ("Expiry", -40 * RATE) in await world.moves()
    assert (await world.see()).balance_micros == 1_000 * RATE


async def test_expiry_never_makes_a_debt(world: World) -> None:
    wallet = await world.wallet()
    await world.pay(wallet)
    await _give(world, 1_000_000, for_s=50)
    await world.pay(wallet, version=2, refunded_ext=1_000)
    await world.open(await world.agent("a"), START_S)
    await world.proven_at(START_S + 60)
    await Wallets(world.database).expire_credit()
    assert (await world.see()).balance_micros == 0
    assert (await world.see()).standing is Standing.EXHAUSTED


async def test_seconds_given_back_are_used_up_again_before_more(world: World) -> None:
    await world.wallet(micros=1_000 * RATE)
    pod = await world.open(await world.agent("a"), START_S)
    await _burn(world, 100)
    await world.close(pod, START_S + 70)
    await Wallets(world.database).record_consumption()
    assert await _left(world) == {1: 900 * RATE}
    await world.open(await world.agent("b"), START_S + 100)
    await _burn(world, 120)
    assert await _left(world) == {1: 900 * RATE}
    await _burn(world, 140)
    assert await _left(world) == {1: 890 * RATE}


async def test_consumption_that_does_not_add_up_is_found(world: World) -> None:
    await world.wallet(micros=1_000 * RATE)
    await world.open(await world.agent("a"), START_S)
    await _burn(world, 60)
    await world.sql.execute("UPDATE money.consumption_head SET pending_micros = pending_micros + 1")
    assert [line.partition(":")[0] for line in await world.broken()] == ["I-20"]
    await world.sql.execute("UPDATE money.consumption_head SET pending_micros = pending_micros - 1")
