"""Zero waits a moment for the slices that gateways hold, and is then decided from what came back."""

import pytest

from moorage.model.names import WalletId
from moorage.model.spending import Reservation
from moorage.model.wallet import Standing
from moorage.store.leases import Leases, Reservations
from tests.integration.money.spending import AGENT, finished, lease_id, request_id
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S


async def burning(world: World, *, slice_micros: int) -> tuple[Leases, str, str, str]:
    """A wallet of 1,000 micro-credits and an agent that burns ten per second; a slice makes its zero earlier."""
    wallet = WalletId(await world.wallet(micros=1_000))
    agent = await world.agent("a")
    pod = await world.open(agent, T)
    gateway, lease = await world.gateway(), lease_id()
    got = await gateway.open(lease, wallet, want_micros=slice_micros, at_least_micros=1)
    assert (got.state, got.granted_micros) == (Reservation.OPEN, slice_micros)
    return gateway, lease, agent, pod


async def due(world: World, at_s: int) -> int:
    """Run the zero loop at a proven second; returns how many wallets hit zero."""
    await world.proven_at(at_s)
    return (await world.ledger.settle_due(epoch=1)).exhausted


async def test_at_zero_the_slices_are_asked_back_and_nobody_is_stopped_yet(world: World) -> None:
    gateway, lease, agent, _ = await burning(world, slice_micros=400)
    assert await due(world, T + 60) == 0
    view = await world.see()
    assert (view.standing, view.balance_micros, view.held_micros) == (Standing.FUNDED, 400, 400)
    assert (await world.record(agent))["state"] == "Running"
    assert (await world.outbox())[-1] == ("Wallet", "acme", "Reclaim")
    assert await gateway.asked_back() == [lease]
    (now,) = await gateway.flush([finished(lease, 1)])
    assert now.asked_back
    assert await world.sql.fetchval("SELECT due_at FROM money.timer") == T + 62


async def test_what_comes_back_in_time_is_burnt_to_its_own_zero(world: World) -> None:
    gateway, lease, _, pod = await burning(world, slice_micros=400)
    await due(world, T + 60)
    await world.proven_at(T + 61)
    await gateway.flush([finished(lease, 100)])
    await gateway.close(lease)
    view = await world.see()
    assert (view.standing, view.balance_micros, view.held_micros) == (Standing.FUNDED, 290, 0)
    assert await due(world, T + 62) == 0
    assert await due(world, T + 90) == 1
    await world.close(pod, T + 90)
    assert await world.lines() == [(T, T + 90, 90, 0)]
    assert (await world.see()).balance_micros == 0


async def test_what_comes_back_pays_at_once_what_waited_for_it_and_a_repeat_changes_nothing(world: World) -> None:
    gateway, lease, _, _ = await burning(world, slice_micros=400)
    await due(world, T + 60)
    await world.proven_at(T + 61)
    for _ in range(2):
        await gateway.resize(lease, target_micros=100)
        view = await world.see()
        assert (view.standing, view.balance_micros, view.held_micros) == (Standing.FUNDED, 390, 100)


async def test_after_the_wait_zero_is_the_second_that_could_not_be_paid(world: World) -> None:
    gateway, lease, agent, pod = await burning(world, slice_micros=400)
    assert await due(world, T + 60) == 0
    assert await due(world, T + 61) == 0
    assert await due(world, T + 62) == 1
    assert (await world.record(agent))["state"] == "Draining"
    assert await world.sql.fetchval("SELECT cut_at FROM money.wallet") == T + 60
    # The slice was reserved before: what is spent from it is still charged.
    await gateway.flush([finished(lease, 150)])
    await world.proven_at(T + 65)
    await world.close(pod, T + 65)
    assert await world.lines() == [(T, T + 65, 60, 5)]
    await gateway.close(lease)
    view = await world.see()
    assert (view.standing, view.balance_micros, view.held_micros) == (Standing.EXHAUSTED, 250, 0)


async def test_slices_that_could_not_pay_another_second_are_not_waited_for(world: World) -> None:
    gateway, lease, agent, _ = await burning(world, slice_micros=9)
    await gateway.flush([finished(lease, 5)])
    assert await due(world, T + 99) == 1  # one micro-credit is left, and four of the slice do not make it ten
    assert (await world.record(agent))["state"] == "Draining"


async def test_while_slices_are_asked_back_no_new_ones_are_given(world: World) -> None:
    gateway, lease, _, _ = await burning(world, slice_micros=400)
    await due(world, T + 60)
    got = await gateway.open(lease_id(), WalletId(1), want_micros=10, at_least_micros=1)
    assert got.state is Reservation.REFUSED
    assert await gateway.hold(request_id(), WalletId(1), AGENT, amount_micros=1) is Reservation.REFUSED
    assert (await gateway.resize(lease, target_micros=900)).granted_micros == 400


async def test_a_slice_that_comes_back_late_calls_the_agents_back_when_it_suffices(world: World) -> None:
    wallet = WalletId(await world.wallet(micros=10_000))
    agent = await world.agent("a")
    await world.open(agent, T)
    gateway, lease = await world.gateway(), lease_id()
    await gateway.open(lease, wallet, want_micros=9_000, at_least_micros=1)
    await due(world, T + 100)
    assert await due(world, T + 102) == 1
    await gateway.resize(lease, target_micros=1)
    view = await world.see()
    assert (view.standing, view.held_micros) == (Standing.FUNDED, 1)
    assert (await world.record(agent))["state"] == "Running"


async def test_a_slice_that_expires_while_zero_waits_pays_the_next_seconds(world: World) -> None:
    wallet = WalletId(await world.wallet(micros=1_300))
    await world.open(await world.agent("a"), T)
    gateway, lease = await world.gateway(), lease_id()
    await gateway.open(lease, wallet, want_micros=100, at_least_micros=1)
    assert await due(world, T + 120) == 0
    await Reservations(world.database).expire(epoch=1)
    assert (await world.see()).runway_seconds == 10
    assert await due(world, T + 129) == 0
    assert await due(world, T + 130) == 1


async def test_a_billing_hold_does_not_wait_for_slices(world: World) -> None:
    _, _, agent, _ = await burning(world, slice_micros=400)
    await world.ledger.place_hold(1, cause="Manual", ref="r", actor="test")
    assert (await world.record(agent))["state"] == "Draining"
