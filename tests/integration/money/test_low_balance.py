"""Low: a wallet that asks for a warning gets one, by its balance or by its runway, once, and at the very second."""

import asyncio

import pytest

from moorage.model.wallet import Standing
from moorage.store import ledger_verify
from tests.integration.money.spending import finished
from tests.integration.money.test_leases import opened
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
DAY_S = 86_400
BURN_MICROS = 10  # per second, of one small agent
MARK = 4_000_000  # a wallet at this mark has runway for days
DAY_MICROS = DAY_S * BURN_MICROS
LOW = ("Wallet", "acme", "LowBalance")


async def look(world: World, now_s: int) -> Standing:
    """What the zero loop alone makes of the wallet at a second; the node is silent for all it knows."""
    await world.at(now_s)
    await world.ledger.settle_due(epoch=1)
    return (await world.see()).standing


async def warned(world: World) -> int:
    """How often the wallet was said to be low."""
    return (await world.outbox()).count(LOW)


async def test_a_wallet_is_low_at_the_second_its_balance_is_below_its_mark(world: World) -> None:
    await world.wallet(micros=MARK + 1_000, low_micros=MARK)
    await world.open(await world.agent("a"), T)
    await world.proven_at(T + 30)
    assert (await world.ledger.settle_due(epoch=1)).next_due_s == T + 101
    assert await look(world, T + 100) is Standing.FUNDED
    assert await look(world, T + 101) is Standing.LOW
    assert not (await world.see()).low_by_runway
    assert await warned(world) == 1


async def test_a_wallet_is_low_at_the_second_its_runway_is_a_day(world: World) -> None:
    await world.wallet(micros=DAY_MICROS + 1_000, low_micros=1)
    await world.open(await world.agent("a"), T)
    assert await look(world, T + 99) is Standing.FUNDED
    assert (await world.ledger.settle_due(epoch=1)).next_due_s == T + 100
    assert await look(world, T + 100) is Standing.LOW
    view = await world.see()
    assert (view.low_by_runway, view.runway_seconds) == (True, DAY_S)
    assert await warned(world) == 1


async def test_a_charge_of_everybody_leaves_the_wallet_that_becomes_low_to_its_second(world: World) -> None:
    for name, micros in (("acme", 1_000), ("zoo", 1_010)):
        await world.wallet(name, micros=DAY_MICROS + micros, low_micros=1)
        await world.open(await world.agent("a", wallet=name), T)
    await world.proven_at(T + 30)
    await world.proven_at(T + 60)
    for second, standings in ((T + 99, ["Funded", "Funded"]), (T + 100, ["Low", "Funded"]), (T + 101, ["Low", "Low"])):
        await world.proven_at(second)
        await world.settle()
        assert [(await world.see(name)).standing for name in ("acme", "zoo")] == standings
        assert (await world.see()).balance_micros == DAY_MICROS + 1_000 - (second - T) * BURN_MICROS


async def test_a_charge_of_everybody_finds_who_is_low_where_nothing_new_is_proven(world: World) -> None:
    await world.wallet(micros=DAY_MICROS + 1_000, low_micros=1)
    await world.open(await world.agent("a"), T)
    await world.at(T + 100)
    await world.settle()
    assert (await world.see()).standing is Standing.LOW


async def test_another_agent_that_starts_makes_a_wallet_low_by_its_runway(world: World) -> None:
    await world.wallet(micros=2 * DAY_MICROS, low_micros=1)
    await world.open(await world.agent("a"), T)
    assert (await world.see()).standing is Standing.FUNDED
    await world.open(await world.agent("b"), T)
    assert ((await world.see()).standing, await warned(world)) == (Standing.LOW, 1)


async def test_an_agent_that_is_not_proven_yet_counts_for_the_runway(world: World) -> None:
    await world.wallet(micros=DAY_MICROS + 1_000, low_micros=1)
    await world.at(T + 10)
    await world.open(await world.agent("a"), T + 5, node="node-new")
    assert await look(world, T + 104) is Standing.FUNDED
    assert await look(world, T + 105) is Standing.LOW


async def test_low_by_balance_ends_a_tenth_above_the_mark_and_begins_at_it(world: World) -> None:
    await world.wallet(micros=MARK + 1, low_micros=MARK + 1)  # a tenth of it is rounded up
    pod = await world.open(await world.agent("a"), T)
    assert await look(world, T + 1) is Standing.LOW
    await world.prove(node_a=T + 1)
    await world.close(pod, T + 1)
    granted = await world.grant(MARK // 10 + BURN_MICROS)
    assert (granted.balance_micros, granted.standing) == (MARK + MARK // 10 + 1, Standing.LOW)
    assert (await world.grant(1)).standing is Standing.FUNDED
    await world.open(await world.agent("b"), T + 1)
    last_s = T + 1 + MARK // 10 // BURN_MICROS
    assert await look(world, last_s) is Standing.FUNDED
    assert await look(world, last_s + 1) is Standing.LOW
    assert await warned(world) == 2


async def test_low_by_runway_ends_a_tenth_above_it_and_begins_at_it(world: World) -> None:
    await world.ledger.set_policy(low_runway_seconds=DAY_S - 9)  # a tenth of it is rounded up
    await world.wallet(micros=DAY_MICROS - 9 * BURN_MICROS, low_micros=1)
    await world.open(await world.agent("a"), T)
    assert (await world.see()).standing is Standing.LOW
    tenth = DAY_MICROS // 10
    assert (await world.grant(tenth + BURN_MICROS - 1)).standing is Standing.LOW
    assert (await world.grant(1)).standing is Standing.FUNDED
    assert await look(world, T + DAY_S // 10) is Standing.FUNDED
    assert await look(world, T + DAY_S // 10 + 1) is Standing.LOW
    assert await warned(world) == 2


async def test_a_low_wallet_is_announced_once_whatever_goes_on_at_its_mark(world: World) -> None:
    await world.wallet(micros=DAY_MICROS + 10, low_micros=DAY_MICROS)
    pods = [await world.open(await world.agent(f"a{number}"), T) for number in range(2)]
    for second in range(T + 1, T + 20):
        await world.proven_at(second)
        await world.settle()
        await world.ledger.settle_due(epoch=1)
        await world.grant(2 * BURN_MICROS)
    await world.close(pods[0], T + 19)
    await world.grant(DAY_MICROS // 20)
    assert ((await world.see()).standing, await warned(world)) == (Standing.LOW, 1)


async def test_a_top_up_ends_low_and_the_next_low_is_announced_again(world: World) -> None:
    await world.wallet(micros=1_000, low_micros=1)
    await world.open(await world.agent("a"), T)
    assert (await world.see()).standing is Standing.LOW
    assert (await world.grant(2 * DAY_MICROS)).standing is Standing.FUNDED
    assert (await world.outbox())[-1] == ("Wallet", "acme", "Funded")
    await world.open(await world.agent("b"), T)
    assert ((await world.see()).standing, await warned(world)) == (Standing.FUNDED, 1)
    assert await look(world, T + 50) is Standing.LOW
    assert await warned(world) == 2


async def test_a_wallet_that_asks_for_no_warning_is_never_low(world: World) -> None:
    await world.wallet(micros=1_000)
    await world.open(await world.agent("a"), T)
    assert {await look(world, T + second) for second in (0, 50, 99)} == {Standing.FUNDED}
    assert await look(world, T + 100) is Standing.EXHAUSTED
    assert await warned(world) == 0


async def test_a_mark_that_is_set_or_taken_away_counts_at_once(world: World) -> None:
    wallet_id = await world.wallet(micros=1_000)
    await world.open(await world.agent("a"), T)
    uid = str(await world.sql.fetchval("SELECT cr_uid FROM money.wallet WHERE id = $1", wallet_id))
    for low_micros, standing in ((1, Standing.LOW), (0, Standing.FUNDED)):
        await world.ledger.ensure_wallet(epoch=1, name="acme", cr_uid=uid, low_micros=low_micros)
        assert (await world.see()).standing is standing


async def test_a_price_to_come_makes_a_wallet_low_a_day_before_the_zero_that_it_brings(world: World) -> None:
    await world.wallet(micros=3 * DAY_MICROS, low_micros=1)
    await world.open(await world.agent("a"), T)
    await world.ledger.settle_due(epoch=1)
    # A day at the old price, then twice as much: the zero comes after two days, not after three.
    await world.price("Pod/small", 2 * 1_000_000 * BURN_MICROS, from_s=T + DAY_S)
    assert (await world.ledger.settle_due(epoch=1)).wallets == 1
    assert (await world.see()).runway_seconds == 2 * DAY_S
    await world.sql.execute("UPDATE money.policy SET catchup_max_seconds = 2592000")
    assert await look(world, T + DAY_S - 1) is Standing.FUNDED
    assert await look(world, T + DAY_S) is Standing.LOW


async def test_another_runway_of_the_policy_counts_within_the_next_second(world: World) -> None:
    await world.wallet(micros=2 * DAY_MICROS, low_micros=1)
    await world.open(await world.agent("a"), T)
    assert (await world.see()).standing is Standing.FUNDED
    await world.ledger.set_policy(low_runway_seconds=2 * DAY_S)
    assert await world.broken() == []
    assert await look(world, T) is Standing.LOW


async def test_model_requests_that_bring_the_mark_nearer_bring_the_look_nearer(world: World) -> None:
    await world.wallet(micros=MARK + 10_000, low_micros=MARK)
    await world.open(await world.agent("a"), T)
    await world.proven_at(T + 30)
    await world.settle()
    gateway = await world.gateway()
    lease = await opened(world, gateway, 20_000)
    (now,) = await gateway.flush([finished(lease, 9_000)])
    assert now.standing is Standing.FUNDED
    assert await look(world, T + 100) is Standing.FUNDED
    assert await look(world, T + 101) is Standing.LOW


async def test_a_wallet_that_is_low_and_asks_for_its_slices_at_once_tells_both(world: World) -> None:
    await world.wallet(micros=100, low_micros=1)
    gateway = await world.gateway()
    await opened(world, gateway, 95)
    await world.open(await world.agent("a"), T)
    assert (await world.outbox())[-2:] == [LOW, ("Wallet", "acme", "Reclaim")]


async def test_sessions_that_settle_together_announce_once(world: World) -> None:
    await world.wallet(micros=DAY_MICROS + 1_000, low_micros=1)
    await world.open(await world.agent("a"), T)
    await world.at(T + 100)
    await asyncio.gather(*(world.ledger.settle_due(epoch=1) for _ in range(4)))
    assert ((await world.see()).standing, await warned(world)) == (Standing.LOW, 1)


BREAKS = {
    "low without a mark": ("standing = 'Low', low_micros = 0", "standing = 'Funded', low_micros = 1", "I-14"),
    "funded below its mark": ("low_micros = balance_micros + 1", "low_micros = 1", "I-14"),
    "funded with a short runway": ("zero_at = as_of + 86400", "zero_at = {zero}", "I-14"),
    "a timer after the runway": ("low_micros = 1, zero_at = due_at + 86399", "zero_at = {zero}", "I-15"),
    "a timer after the mark": ("low_micros = balance_micros - 5", "low_micros = 1", "I-15"),
}


@pytest.mark.parametrize("name", BREAKS, ids=lambda name: name.replace(" ", "_"))
async def test_a_standing_or_timer_that_knows_nothing_of_low_breaks_the_books(world: World, name: str) -> None:
    await world.wallet(micros=3 * DAY_MICROS, low_micros=1)
    await world.open(await world.agent("a"), T)
    zero_s = await world.sql.fetchval("SELECT zero_at FROM money.wallet")
    broken, mended, invariant = BREAKS[name]
    await world.sql.execute(f"UPDATE money.wallet SET {broken}")
    found = {check.id for check in await ledger_verify.verify(world.database) if check.violations}
    assert invariant in found
    await world.sql.execute(f"UPDATE money.wallet SET {mended.format(zero=zero_s)}")
