"""A wallet too small for a slice spends request by request, to the last micro-credit and not beyond."""

import asyncio

import asyncpg
import pytest

from moorage.model.names import WalletId
from moorage.model.spending import Reservation
from moorage.model.wallet import Standing
from moorage.store.invariants import holds
from moorage.store.leases import Reservations
from moorage.store.ledger import LedgerRefusal
from tests.integration.money.spending import AGENT, finished, lease_id, request_id
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
ACME = WalletId(1)


async def test_a_small_wallet_is_spent_to_the_last_micro_credit(world: World) -> None:
    await world.wallet(micros=10)
    gateway = await world.gateway()
    for worst, actual in ((10, 4), (6, 3), (3, 3)):
        request = request_id()
        assert await gateway.hold(request, ACME, AGENT, amount_micros=worst) is Reservation.OPEN
        await gateway.settle_hold(finished(None, actual, request=request))
    view = await world.see()
    assert (view.balance_micros, view.held_micros, view.standing) == (0, 0, Standing.EXHAUSTED)
    assert await gateway.hold(request_id(), ACME, AGENT, amount_micros=1) is Reservation.REFUSED


async def test_settling_is_exact_below_the_micro_credit(world: World) -> None:
    await world.wallet(micros=10)
    gateway = await world.gateway()
    for _ in range(4):
        request = request_id()
        await gateway.hold(request, ACME, AGENT, amount_micros=2)
        await gateway.settle_hold(finished(None, 0, request=request, fresh=1))  # 333,333 picos
    assert (await world.see()).balance_micros == 9
    assert await world.sql.fetchval("SELECT carry_picos FROM money.wallet") == 333_332


async def test_a_hold_settled_in_many_sessions_is_charged_once(world: World) -> None:
    await world.wallet(micros=100)
    gateway, request = await world.gateway(), request_id()
    assert {*await asyncio.gather(*(gateway.hold(request, ACME, AGENT, amount_micros=50) for _ in range(3)))} == {
        Reservation.OPEN
    }
    await asyncio.gather(*(gateway.settle_hold(finished(None, 20, request=request)) for _ in range(4)))
    view = await world.see()
    assert (view.balance_micros, view.held_micros) == (80, 0)


async def test_more_than_the_hold_is_absorbed(world: World) -> None:
    await world.wallet(micros=100)
    gateway, request = await world.gateway(), request_id()
    await gateway.hold(request, ACME, AGENT, amount_micros=50)
    await gateway.settle_hold(finished(None, 70, request=request))
    assert (await world.see()).balance_micros == 50
    assert await world.sql.fetchval("SELECT amount_picos FROM money.system_entry") == 20_000_000


async def test_a_voided_hold_gives_everything_back(world: World) -> None:
    await world.wallet(micros=100)
    gateway, request = await world.gateway(), request_id()
    await gateway.hold(request, ACME, AGENT, amount_micros=50)
    for _ in range(2):
        await gateway.void_hold(request)
    view = await world.see()
    assert (view.balance_micros, view.held_micros) == (100, 0)


async def test_a_hold_settled_after_it_expired_pays_what_the_wallet_has_left(world: World) -> None:
    await world.wallet(micros=100)
    gateway, request, sweep = await world.gateway(), request_id(), Reservations(world.database)
    await gateway.hold(request, ACME, AGENT, amount_micros=60)
    await world.at(T + 899)
    assert await sweep.expire(epoch=1) == 0
    await world.at(T + 900)
    assert await sweep.expire(epoch=1) == 1
    await gateway.hold(request_id(), ACME, AGENT, amount_micros=70)
    for _ in range(2):
        await gateway.settle_hold(finished(None, 50, request=request))
    assert (await world.see()).balance_micros == 70
    assert await world.sql.fetchval("SELECT amount_picos FROM money.system_entry") == 20_000_000


async def test_a_hold_makes_zero_earlier_and_its_end_later_again(world: World) -> None:
    await world.wallet(micros=1_000)
    await world.open(await world.agent("a"), T)
    gateway, request = await world.gateway(), request_id()
    await gateway.hold(request, ACME, AGENT, amount_micros=500)
    assert (await world.see()).runway_seconds == 50
    await gateway.void_hold(request)
    assert (await world.see()).runway_seconds == 100


async def test_an_id_for_another_hold_is_refused(world: World) -> None:
    await world.wallet(micros=100)
    gateway, request = await world.gateway(), request_id()
    await gateway.hold(request, ACME, AGENT, amount_micros=50)
    with pytest.raises(LedgerRefusal, match="another hold"):
        await gateway.hold(request, ACME, AGENT, amount_micros=51)
    with pytest.raises(LedgerRefusal, match="no such hold"):
        await (await world.gateway("other")).settle_hold(finished(None, 1, request=request))
    for amount in (0, -1, 10**13):
        with pytest.raises(LedgerRefusal, match="positive amount"):
            await gateway.hold(request_id(), ACME, AGENT, amount_micros=amount)
    assert (await world.see()).held_micros == 50


@pytest.mark.parametrize(
    ("breaks", "invariant"),
    [
        pytest.param("UPDATE money.wallet SET held_micros = held_micros + 1", "I-4", id="a wallet holds more"),
        pytest.param("UPDATE money.lease SET state = 'Closed'", "I-4", id="a lease ended without giving back"),
        pytest.param("UPDATE money.hold SET amount_micros = 7", "I-4", id="a hold of another amount"),
        pytest.param("UPDATE money.lease SET spent_picos = spent_picos - 1", "I-10", id="a lease that paid less"),
        pytest.param("UPDATE money.lease SET late_picos = 5", "I-10", id="a late charge without a request"),
        pytest.param("UPDATE money.lease SET absorbed_picos = 5", "I-10", id="absorbed and not booked"),
        pytest.param(
            "ALTER TABLE money.usage DISABLE TRIGGER ALL; DELETE FROM money.usage WHERE lease_id IS NOT NULL",
            "I-10",
            id="a request that is gone",
        ),
        pytest.param(
            "INSERT INTO money.usage (id, lease_id, wallet_id, agent_uid, model, input_tokens, cached_tokens,"
            " output_tokens, input_picos, cached_picos, output_picos) SELECT gen_random_uuid(), gen_random_uuid(),"
            " 1, agent_uid, model, 1, 1, 1, 1, 1, 1 FROM money.usage",
            "I-10",
            id="a request of no lease",
        ),
    ],
)
async def test_books_that_do_not_hold_are_found(world: World, breaks: str, invariant: str) -> None:
    await world.wallet(micros=100)
    gateway, lease = await world.gateway(), lease_id()
    await gateway.open(lease, ACME, want_micros=50, at_least_micros=1)
    await gateway.flush([finished(lease, 7, cached=1)])
    await gateway.hold(request_id(), ACME, AGENT, amount_micros=9)
    assert await world.broken() == []
    change = world.sql.transaction()
    await change.start()
    await world.sql.execute(breaks)
    found = await world.sql.fetch(f"SELECT * FROM ({_sql(invariant)}) broken")
    await change.rollback()
    assert found


async def test_a_lease_cannot_spend_more_than_it_was_granted_even_by_the_owner(world: World) -> None:
    await world.wallet(micros=100)
    gateway = await world.gateway()
    await gateway.open(lease_id(), ACME, want_micros=50, at_least_micros=1)
    for picos in (50_000_001, 60_000_000):
        with pytest.raises(asyncpg.CheckViolationError, match="spent_within_grant"):
            await world.sql.execute("UPDATE money.lease SET spent_picos = $1", picos)


def _sql(invariant: str) -> str:
    return next(one.sql for one in holds.INVARIANTS if one.id == invariant)
