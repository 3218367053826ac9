"""A gateway spends from slices: never more than was set aside, every request once, and nothing stays behind."""

import asyncio

import asyncpg
import pytest

from moorage.model.errors import LostLeadership, Permanent
from moorage.model.names import WalletId
from moorage.model.reasons import Reason
from moorage.model.spending import ModelPrice, Reservation, Tokens
from moorage.model.wallet import Standing
from moorage.store.leases import Leases, Reservations
from moorage.store.ledger import LedgerRefusal
from tests.integration.money.spending import AGENT, finished, lease_id, request_id
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
DAY_S = 86_400


async def opened(world: World, gateway: Leases, micros: int, *, wallet: str = "acme", at_least: int = 1) -> str:
    """Open a lease of a wallet that exists and return its id."""
    lease = lease_id()
    wallet_id = await world.sql.fetchval("SELECT id FROM money.wallet WHERE name = $1", wallet)
    got = await gateway.open(lease, WalletId(wallet_id), want_micros=micros, at_least_micros=at_least)
    assert got.state is Reservation.OPEN
    return lease


async def test_a_lease_sets_credit_aside_and_the_rest_comes_back(world: World) -> None:
    await world.wallet(micros=1_000)
    gateway = await world.gateway()
    lease = await opened(world, gateway, 300)
    assert (await world.see()).held_micros == 300
    (now,) = await gateway.flush([finished(lease, 40), finished(lease, 60)])
    assert (now.granted_micros, now.spent_picos, now.state) == (300, 100_000_000, Reservation.OPEN)
    view = await world.see()
    assert (view.balance_micros, view.held_micros) == (900, 200)
    await gateway.close(lease)
    view = await world.see()
    assert (view.balance_micros, view.held_micros) == (900, 0)


async def test_a_batch_is_one_entry_per_wallet_however_many_requests(world: World) -> None:
    await world.wallet("acme", micros=1_000)
    await world.wallet("zoo", micros=1_000)
    gateway = await world.gateway()
    leases = [await opened(world, gateway, 100, wallet=name) for name in ("acme", "acme", "zoo")]
    await gateway.flush([finished(lease, 1) for lease in leases for _ in range(10)])
    rows = await world.sql.fetch(
        "SELECT w.name, e.amount_micros, a.code FROM money.entry e JOIN money.wallet w ON w.id = e.wallet_id"
        " JOIN money.account a ON a.id = e.contra WHERE e.kind = 'Model' ORDER BY w.name"
    )
    assert [tuple(row) for row in rows] == [("acme", -20, "revenue:model"), ("zoo", -10, "revenue:model")]


async def test_prices_below_a_micro_credit_are_charged_to_the_last_pico(world: World) -> None:
    await world.wallet(micros=10)
    gateway = await world.gateway()
    lease = await opened(world, gateway, 5)
    await gateway.flush([finished(lease, 0, cached=7)])  # 262,500 picos
    assert (await world.see()).balance_micros == 10
    await gateway.flush([finished(lease, 0, fresh=2), finished(lease, 0, cached=3)])  # 262,500 + 666,666 + 112,500
    assert (await world.see()).balance_micros == 9
    await gateway.close(lease)
    carry = await world.sql.fetchval("SELECT carry_picos FROM money.wallet")
    assert (carry, (await world.see()).held_micros) == (41_666, 0)


async def test_the_same_report_from_two_sessions_is_charged_once(world: World) -> None:
    await world.wallet(micros=1_000)
    gateway = await world.gateway()
    other = Leases(world.gateways[0], gateway="gw", epoch=1)
    lease = await opened(world, gateway, 900)
    requests = [finished(lease, 7) for _ in range(20)]
    answers = await asyncio.gather(*(who.flush(requests) for who in (gateway, other, gateway, other)))
    assert {answer[0].spent_picos for answer in answers} == {140_000_000}
    assert (await world.see()).balance_micros == 1_000 - 140
    assert await world.sql.fetchval("SELECT count(*) FROM money.usage") == 20


async def test_a_report_that_overlaps_an_earlier_one_charges_only_what_is_new(world: World) -> None:
    await world.wallet(micros=1_000)
    gateway = await world.gateway()
    lease = await opened(world, gateway, 900)
    requests = [finished(lease, 10) for _ in range(6)]
    await gateway.flush(requests[:4])
    await gateway.flush(requests[2:])
    assert (await world.see()).balance_micros == 1_000 - 60


async def test_more_than_the_slice_is_absorbed_and_booked(world: World) -> None:
    await world.wallet(micros=1_000)
    gateway = await world.gateway()
    lease = await opened(world, gateway, 100)
    (now,) = await gateway.flush([finished(lease, 130)])
    assert now.spent_picos == 100_000_000
    view = await world.see()
    assert (view.balance_micros, view.held_micros) == (900, 0)
    booked = await world.sql.fetchrow(
        "SELECT d.code, c.code, s.amount_picos FROM money.system_entry s"
        " JOIN money.account d ON d.id = s.debit JOIN money.account c ON c.id = s.credit"
    )
    assert tuple(booked) == ("expense:absorbed", "revenue:model", 30_000_000)


async def test_a_lease_grows_and_shrinks_but_not_below_what_is_spent(world: World) -> None:
    await world.wallet(micros=1_000)
    gateway = await world.gateway()
    lease = await opened(world, gateway, 100)
    assert (await gateway.resize(lease, target_micros=5_000)).granted_micros == 1_000
    assert (await gateway.resize(lease, target_micros=5_000)).granted_micros == 1_000
    await gateway.flush([finished(lease, 0, fresh=100)])  # 33.3333 micros
    assert (await gateway.resize(lease, target_micros=1)).granted_micros == 34
    view = await world.see()
    assert (view.balance_micros, view.held_micros) == (967, 1)


async def test_a_wallet_that_cannot_spare_enough_grants_nothing(world: World) -> None:
    wallet = WalletId(await world.wallet(micros=1_000))
    gateway = await world.gateway()
    got = await gateway.open(lease_id(), wallet, want_micros=5_000, at_least_micros=1_001)
    assert (got.state, got.granted_micros) == (Reservation.REFUSED, 0)
    assert (await world.see()).held_micros == 0


async def test_opening_a_lease_twice_opens_it_once(world: World) -> None:
    wallet = WalletId(await world.wallet(micros=1_000))
    gateway = await world.gateway()
    lease = lease_id()
    answers = await asyncio.gather(*(gateway.open(lease, wallet, want_micros=100, at_least_micros=1) for _ in range(3)))
    assert {answer.granted_micros for answer in answers} == {100}
    assert (await world.see()).held_micros == 100


async def test_a_slice_leaves_the_running_agents_their_next_seconds(world: World) -> None:
    await world.wallet(micros=1_000)
    await world.open(await world.agent("a"), T)
    gateway = await world.gateway()
    lease = await opened(world, gateway, 10_000)
    # Ten seconds of ten micro-credits stay.
    assert (await world.see()).held_micros == 900
    await gateway.close(lease)


async def test_credit_set_aside_makes_zero_come_earlier(world: World) -> None:
    await world.wallet(micros=1_000)
    await world.open(await world.agent("a"), T)
    gateway = await world.gateway()
    lease = await opened(world, gateway, 400)
    view = await world.see()
    assert (view.runway_seconds, view.balance_micros) == (60, 1_000)
    assert await world.sql.fetchval("SELECT due_at FROM money.timer") == T + 54
    await gateway.close(lease)
    assert (await world.see()).runway_seconds == 100
    assert await world.sql.fetchval("SELECT due_at FROM money.timer") == T + 54  # early is allowed, and cheaper


async def test_spending_moves_the_timer_only_when_zero_comes_before_it(world: World) -> None:
    await world.wallet(micros=100_000)
    await world.open(await world.agent("a"), T)
    gateway = await world.gateway()
    await opened(world, gateway, 100)
    due = await world.sql.fetchval("SELECT due_at FROM money.timer")
    touched = await world.sql.fetchval("SELECT xmin::text FROM money.timer")
    for _ in range(5):
        await opened(world, gateway, 100)
    assert await world.sql.fetchval("SELECT xmin::text FROM money.timer") == touched
    assert due == T + 8_991  # nine tenths of the way to T + 9990
    await opened(world, gateway, 20_000)
    assert await world.sql.fetchval("SELECT due_at FROM money.timer") < due


async def test_a_wallet_spent_to_its_end_is_exhausted_in_the_same_transaction(world: World) -> None:
    await world.wallet(micros=100)
    agent = await world.agent("a")
    gateway = await world.gateway()
    lease = await opened(world, gateway, 100)
    assert (await world.see()).standing is Standing.FUNDED
    (now,) = await gateway.flush([finished(lease, 100)])
    assert now.standing is Standing.EXHAUSTED
    assert (await world.record(agent))["state"] == "Draining"
    assert await gateway.asked_back() == [lease]


async def test_spending_below_the_low_mark_is_told_in_the_same_transaction(world: World) -> None:
    await world.wallet(micros=100, low_micros=50)
    gateway = await world.gateway()
    lease = await opened(world, gateway, 90)
    assert [one.standing for one in await gateway.flush([finished(lease, 50)])] == [Standing.FUNDED]
    assert [one.standing for one in await gateway.flush([finished(lease, 1)])] == [Standing.LOW]
    assert (await world.outbox())[-1] == ("Wallet", "acme", "LowBalance")


async def test_a_lease_that_is_not_heard_of_expires_and_gives_back(world: World) -> None:
    await world.wallet(micros=1_000)
    gateway, sweep = await world.gateway(), Reservations(world.database)
    lease = await opened(world, gateway, 300)
    kept = await opened(world, gateway, 100)
    await gateway.flush([finished(lease, 0, fresh=1)])
    await world.at(T + 100)
    await gateway.resize(kept, target_micros=100)
    await world.at(T + 119)
    assert await sweep.expire(epoch=1) == 0
    await world.at(T + 120)
    assert await sweep.expire(epoch=1) == 1
    view = await world.see()
    assert (view.balance_micros, view.held_micros) == (1_000, 100)


async def test_an_expired_lease_charges_what_the_wallet_can_pay_and_absorbs_the_rest(world: World) -> None:
    await world.wallet(micros=1_000)
    gateway, sweep = await world.gateway(), Reservations(world.database)
    lease = await opened(world, gateway, 900)
    await world.at(T + 200)
    await sweep.expire(epoch=1)
    other = await opened(world, gateway, 800)
    (now,) = await gateway.flush([finished(lease, 500)])
    assert (now.state, now.spent_picos) == (Reservation.EXPIRED, 0)
    view = await world.see()
    assert (view.balance_micros, view.held_micros) == (800, 800)
    row = await world.sql.fetchrow("SELECT late_picos, absorbed_picos FROM money.lease WHERE state = 'Expired'")
    assert tuple(row) == (200_000_000, 300_000_000)
    await gateway.flush([finished(lease, 500)])
    assert (await world.see()).balance_micros == 800
    await gateway.close(other)


async def test_a_refund_that_takes_what_is_set_aside_ends_the_lease_and_the_platform_pays(world: World) -> None:
    """The only way a wallet covers less than it holds is a movement that may go below zero."""
    await world.wallet(micros=1_000)
    gateway = await world.gateway()
    lease = await opened(world, gateway, 900)
    await world.sql.execute(
        "DO $$ DECLARE w money.wallet := money.lock_wallet(1); BEGIN"
        " PERFORM money.decide(money.post(w, -16, -600, 'Manual', 'manual', money.now_s()), money.now_s()); END $$"
    )
    (now,) = await gateway.flush([finished(lease, 700)])
    assert now.state is Reservation.EXPIRED
    view = await world.see()
    assert (view.balance_micros, view.held_micros, view.standing) == (0, 0, Standing.EXHAUSTED)
    assert await world.sql.fetchval("SELECT absorbed_picos FROM money.lease") == 300_000_000


async def test_an_earlier_life_of_a_gateway_is_refused_but_its_leases_can_be_reported(world: World) -> None:
    await world.wallet(micros=1_000)
    old = await world.gateway()
    lease = await opened(world, old, 100)
    new = await world.gateway()
    calls = [
        old.flush([finished(lease, 1)]),
        old.open(lease_id(), WalletId(1), want_micros=1, at_least_micros=1),
        old.resize(lease, target_micros=2),
        old.close(lease),
        old.asked_back(),
        old.hold(request_id(), WalletId(1), AGENT, amount_micros=1),
    ]
    for call in calls:
        with pytest.raises(LostLeadership):
            await call
    assert await new.still_open() == [lease]
    await new.flush([finished(lease, 1)])
    await new.close(lease)
    assert (await world.see()).balance_micros == 999


async def test_another_gateways_lease_cannot_be_touched(world: World) -> None:
    await world.wallet(micros=1_000)
    lease = await opened(world, await world.gateway(), 100)
    thief = await world.gateway("thief")
    with pytest.raises(LedgerRefusal, match="no such lease"):
        await thief.flush([finished(lease, 1)])
    with pytest.raises(LedgerRefusal, match="no such lease"):
        await thief.close(lease)
    with pytest.raises(LedgerRefusal, match="another lease"):
        await thief.open(lease, WalletId(1), want_micros=100, at_least_micros=1)
    assert (await world.see()).held_micros == 100


@pytest.mark.parametrize(
    ("price", "tokens"),
    [
        pytest.param((-1, 1), Tokens(1, 1), id="a negative price"),
        pytest.param((10**11, 1), Tokens(1, 1), id="a price beyond any model"),
        pytest.param((1, 1), Tokens(1, -1), id="negative tokens"),
        pytest.param((1, 1), Tokens(10**9, 1), id="more tokens than a request can have"),
        pytest.param((1, 1), Tokens(10**19, 1), id="more tokens than an integer can count"),
    ],
)
async def test_a_request_that_cannot_be_is_refused_and_nothing_of_its_batch_is_recorded(
    world: World, price: tuple[int, int], tokens: Tokens
) -> None:
    await world.wallet(micros=1_000)
    gateway = await world.gateway()
    lease = await opened(world, gateway, 100)
    odd = ModelPrice(model="opus", input_picos=price[0], output_picos=price[1], cached_picos=0)
    good = finished(lease, 1)
    bad = type(good)(id=request_id(), lease_id=lease, agent_uid=AGENT, price=odd, tokens=tokens)
    with pytest.raises(LedgerRefusal):
        await gateway.flush([good, bad])
    assert await world.sql.fetchval("SELECT count(*) FROM money.usage") == 0
    assert (await world.see()).balance_micros == 1_000


@pytest.mark.parametrize(("want", "at_least"), [(0, 0), (5, 6), (-1, 1), (10**13, 1)])
async def test_a_slice_of_nothing_or_beyond_bounds_is_refused(world: World, want: int, at_least: int) -> None:
    await world.wallet(micros=1_000)
    gateway = await world.gateway()
    with pytest.raises(LedgerRefusal):
        await gateway.open(lease_id(), WalletId(1), want_micros=want, at_least_micros=at_least)


async def test_a_lease_of_an_unknown_wallet_names_the_reason(world: World) -> None:
    gateway = await world.gateway()
    with pytest.raises(Permanent) as caught:
        await gateway.open(lease_id(), WalletId(77), want_micros=1, at_least_micros=1)
    assert caught.value.reason is Reason.WALLET_NOT_FOUND


async def test_a_gateway_reads_no_table(world: World) -> None:
    tables = await world.sql.fetchval(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN ('money', 'moorage') AND c.relkind IN ('r', 'p', 'v')"
        " AND has_table_privilege('moorage_gateway', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')"
    )
    assert tables == 0


async def test_every_day_of_usage_has_its_partition_and_the_key_alone_says_which(world: World) -> None:
    await world.wallet(micros=1_000)
    sweep, gateway = Reservations(world.database), await world.gateway()
    assert await sweep.prepare_usage_days(epoch=1, ahead=2) == 3
    assert await sweep.prepare_usage_days(epoch=1, ahead=2) == 0
    lease = await opened(world, gateway, 100)
    today, tomorrow = T // DAY_S, T // DAY_S + 1
    edges = [today * DAY_S, tomorrow * DAY_S - 1, tomorrow * DAY_S, (today + 50) * DAY_S]
    await gateway.flush([finished(lease, 1, request=request_id(at_s)) for at_s in edges])
    places = await world.sql.fetch("SELECT tableoid::regclass::text AS place FROM money.usage ORDER BY id")
    assert [row["place"].removeprefix("money.usage_") for row in places] == [
        "19700112", "19700112", "19700113", "other",
    ]  # fmt: skip
    await world.at((today + 50) * DAY_S)
    assert await sweep.prepare_usage_days(epoch=1, ahead=1) == 1  # the first day's rows are in the other one already
    again = request_id((today + 50) * DAY_S)
    for _ in range(2):
        await gateway.flush([finished(lease, 1, request=again)])
    assert await world.sql.fetchval("SELECT count(*) FROM money.usage") == 5


@pytest.mark.parametrize("table", ["usage", "usage_other", "usage_19700112"])
@pytest.mark.parametrize("statement", ["DELETE FROM money.{}", "TRUNCATE money.{}", "UPDATE money.{} SET model = 'x'"])
async def test_what_was_used_cannot_be_changed_even_by_the_owner(world: World, table: str, statement: str) -> None:
    await Reservations(world.database).prepare_usage_days(epoch=1, ahead=0)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await world.sql.execute(statement.format(table))
    assert caught.value.sqlstate == "MO006"
