"""A refund or dispute may take credit that a gateway has set aside: nobody overspends, nothing is paid twice.

What was set aside and is gone is not paid by the wallet any more: its requests are the platform's.
"""

import pytest

from moorage.model.names import WalletId
from moorage.model.payments import GrantKind, Outcome
from moorage.model.spending import Reservation
from moorage.model.wallet import Standing
from moorage.store.leases import Leases, Reservations
from moorage.store.ledger import LedgerRefusal
from moorage.store.wallets import Wallets
from tests.integration.money.spending import AGENT, finished, lease_id, request_id
from tests.integration.money.world import RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
CENT = 10_000
PAID = 100 * CENT
BURN = RATE_PICOS // 1_000_000
ABSORBED = "SELECT coalesce(sum(amount_picos), 0)::bigint / 1000000 FROM money.system_entry WHERE reservation_id = $1"


async def _paid(world: World) -> tuple[WalletId, Leases]:
    wallet = WalletId(await world.wallet())
    await world.pay(wallet, paid_ext=100)
    return wallet, await world.gateway()


async def _leased(gateway: Leases, wallet: WalletId, micros: int) -> str:
    lease = lease_id()
    opened = await gateway.open(lease, wallet, want_micros=micros, at_least_micros=micros)
    assert opened.state is Reservation.OPEN
    return lease


async def test_a_wallet_that_holds_more_than_it_has_gives_no_slice_and_no_hold(world: World) -> None:
    wallet, gateway = await _paid(world)
    await _leased(gateway, wallet, 90 * CENT)
    assert (await world.pay(wallet, version=2, paid_ext=100, refunded_ext=60)).outcome is Outcome.APPLIED
    view = await world.see()
    assert (view.balance_micros, view.held_micros, view.standing) == (40 * CENT, 90 * CENT, Standing.FUNDED)
    refused = await gateway.open(lease_id(), wallet, want_micros=1, at_least_micros=1)
    assert (refused.state, refused.spare_micros) == (Reservation.REFUSED, 0)
    assert await gateway.hold(request_id(), wallet, AGENT, amount_micros=1) is Reservation.REFUSED


async def test_an_agent_runs_on_when_what_is_set_aside_comes_back_in_time(world: World) -> None:
    wallet, gateway = await _paid(world)
    lease = await _leased(gateway, wallet, 90 * CENT)
    await world.open(await world.agent("a"), T)
    await world.pay(wallet, version=2, paid_ext=100, refunded_ext=60)
    await world.proven_at(T + 1)
    await world.settle()
    assert ((await world.see()).standing, await gateway.asked_back()) == (Standing.FUNDED, [lease])
    await gateway.close(lease)
    await world.proven_at(T + 10)
    await world.settle()
    assert ((await world.see()).standing, (await world.see()).balance_micros) == (
        Standing.FUNDED, 40 * CENT - 10 * BURN)  # fmt: skip


async def test_an_agent_stops_when_it_does_not_and_its_seconds_are_not_charged(world: World) -> None:
    wallet, gateway = await _paid(world)
    lease = await _leased(gateway, wallet, 90 * CENT)
    agent = await world.agent("a")
    await world.open(agent, T)
    await world.pay(wallet, version=2, paid_ext=100, refunded_ext=60)
    for second in (1, 10):
        await world.proven_at(T + second)
        await world.settle()
    assert ((await world.see()).standing, (await world.see()).balance_micros) == (Standing.EXHAUSTED, 40 * CENT)
    assert (await world.record(agent))["veto"] == "ZeroBalance"
    await gateway.close(lease)
    assert ((await world.see()).standing, (await world.record(agent))["veto"]) == (Standing.FUNDED, None)


@pytest.mark.parametrize(
    ("refunded", "spent", "balance", "absorbed"),
    [
        pytest.param(5, 80, 15, 0, id="what the slice left free was refunded"),
        pytest.param(60, 30, 10, 0, id="the rest still pays the requests"),
        pytest.param(60, 80, 0, 40, id="the rest pays some of them"),
        pytest.param(100, 80, 0, 80, id="nothing is left"),
    ],
)
async def test_a_slice_pays_what_the_refund_has_left(
    world: World, refunded: int, spent: int, balance: int, absorbed: int
) -> None:
    wallet, gateway = await _paid(world)
    lease = await _leased(gateway, wallet, 90 * CENT)
    await world.pay(wallet, version=2, paid_ext=100, refunded_ext=refunded)
    request = finished(lease, spent * CENT)
    for _ in "ab":
        await gateway.flush([request])
    await gateway.close(lease)
    view = await world.see()
    assert (view.balance_micros, view.held_micros) == (balance * CENT, 0)
    assert await world.sql.fetchval(ABSORBED, lease) == absorbed * CENT


@pytest.mark.parametrize(("refunded", "balance", "absorbed"), [(30, 0, 0), (60, 0, 30), (100, 0, 70)])
async def test_a_hold_pays_what_the_refund_has_left(world: World, refunded: int, balance: int, absorbed: int) -> None:
    wallet, gateway = await _paid(world)
    request = request_id()
    assert await gateway.hold(request, wallet, AGENT, amount_micros=90 * CENT) is Reservation.OPEN
    await world.pay(wallet, version=2, paid_ext=100, refunded_ext=refunded)
    for _ in "ab":
        await gateway.settle_hold(finished(None, 70 * CENT, request=request))
    view = await world.see()
    assert (view.balance_micros, view.held_micros) == (balance * CENT, 0)
    assert await world.sql.fetchval(ABSORBED, request) == absorbed * CENT


async def test_one_hold_does_not_pay_out_of_another(world: World) -> None:
    wallet, gateway = await _paid(world)
    first, second = request_id(), request_id()
    for request in (first, second):
        await gateway.hold(request, wallet, AGENT, amount_micros=40 * CENT)
    await world.pay(wallet, version=2, paid_ext=100, refunded_ext=40)
    for request in (first, second):
        await gateway.settle_hold(finished(None, 40 * CENT, request=request))
    absorbed = [await world.sql.fetchval(ABSORBED, request) for request in (first, second)]
    # The first comes while the second still holds its part; the second finds its own.
    assert (absorbed, (await world.see()).balance_micros) == ([20 * CENT, 0], 0)


async def test_a_slice_lives_on_when_a_payment_fills_the_gap(world: World) -> None:
    wallet, gateway = await _paid(world)
    lease = await _leased(gateway, wallet, 90 * CENT)
    await world.pay(wallet, version=2, paid_ext=100, refunded_ext=100)
    assert (await world.see()).standing is Standing.EXHAUSTED
    await world.pay(wallet, "pi_2", paid_ext=100)
    (now,) = await gateway.flush([finished(lease, 80 * CENT)])
    assert (now.state, (await world.see()).balance_micros) == (Reservation.OPEN, 20 * CENT)
    assert await world.sql.fetchval(ABSORBED, lease) == 0


async def test_a_dispute_ends_spending_at_once_and_its_end_does_not_bring_the_slice_back(world: World) -> None:
    wallet, gateway = await _paid(world)
    lease = await _leased(gateway, wallet, 90 * CENT)
    await world.pay(wallet, version=2, paid_ext=100, disputed_ext=100)
    assert ((await world.see()).standing, await gateway.asked_back()) == (Standing.ON_HOLD, [lease])
    (late,) = await gateway.flush([finished(lease, 10 * CENT)])
    assert late.state is Reservation.EXPIRED
    await world.pay(wallet, version=3, paid_ext=100)
    view = await world.see()
    assert (view.balance_micros, view.held_micros, view.standing) == (PAID, 0, Standing.FUNDED)
    await gateway.flush([finished(lease, 10 * CENT)])
    assert (await world.see()).balance_micros == PAID - 10 * CENT
    assert await world.sql.fetchval(ABSORBED, lease) == 10 * CENT


async def test_given_credit_that_expires_leaves_what_is_set_aside(world: World) -> None:
    wallet, gateway = WalletId(await world.wallet()), await world.gateway()
    wallets = Wallets(world.database)
    await wallets.give_credit(
        wallet_name="acme", kind=GrantKind.PROMO, campaign="c", amount_micros=PAID, expires_s=T + 50, reason="r",
        actor="ann",
    )  # fmt: skip
    lease = await _leased(gateway, wallet, 60 * CENT)
    await world.at(T + 51)
    await wallets.expire_credit()
    view = await world.see()
    assert (view.balance_micros, view.held_micros, view.standing) == (60 * CENT, 60 * CENT, Standing.FUNDED)
    await gateway.flush([finished(lease, 60 * CENT)])
    assert (await world.see()).balance_micros == 0


async def test_an_expired_slice_of_a_refunded_wallet_frees_what_is_left_of_it(world: World) -> None:
    wallet, gateway = await _paid(world)
    await _leased(gateway, wallet, 90 * CENT)
    await world.pay(wallet, version=2, paid_ext=100, refunded_ext=60)
    await world.at(T + 3_600)
    assert await Reservations(world.database).expire(epoch=1) == 1
    view = await world.see()
    assert (view.balance_micros, view.held_micros, view.standing) == (40 * CENT, 0, Standing.FUNDED)


async def test_a_wallet_with_credit_set_aside_is_neither_closed_nor_merged(world: World) -> None:
    wallet, gateway = await _paid(world)
    await world.wallet("zoo")
    lease = await _leased(gateway, wallet, 100 * CENT - 1)
    await world.pay(wallet, version=2, paid_ext=100, refunded_ext=100)
    wallets = Wallets(world.database)
    with pytest.raises(LedgerRefusal, match="reserved"):
        await wallets.close("acme", reason="r", actor="ann")
    with pytest.raises(LedgerRefusal, match="reserved"):
        await wallets.merge("acme", "zoo", reason="r", actor="ann")
    await gateway.close(lease)
    await wallets.close("acme", reason="r", actor="ann")
