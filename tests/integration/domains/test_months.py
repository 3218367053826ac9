"""A host name is paid by the month, in advance and once; nobody loses a name without being told."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from moorage.model.purges import Stage
from moorage.store.database import Database
from moorage.store.domain_months import DomainMonthRows
from moorage.store.invariants import domains
from moorage.store.wallets import Wallets
from tests.integration.domains.lodger import PRICE_MICROS, Lodger, moment
from tests.integration.domains.registry import Registry
from tests.integration.money.stage import held_while_waiting
from tests.integration.money.test_lock_graph import HELD_OF

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
CREDIT = 10 * PRICE_MICROS


@pytest.fixture
async def lodger(registry: Registry) -> AsyncIterator[Lodger]:
    """With a price, and books that must be right when the test is over."""
    made = Lodger(registry)
    await made.price()
    yield made
    assert await registry.world.broken() == []


async def test_a_domain_that_becomes_active_pays_its_first_month_once(lodger: Lodger) -> None:
    await lodger.moves_in(micros=CREDIT)
    for _ in range(3):
        await lodger.months.keep(epoch=1, uid=lodger.uid)
    assert await lodger.paid() == [PRICE_MICROS]
    paid = (await lodger.record()).paid
    assert (paid.until, paid.unpaid_since, paid.release_at) == (moment("1970-02-28"), None, None)
    assert ("Domain", (await lodger.record()).name, "MonthPaid") in await lodger.registry.world.outbox()


async def test_a_domain_that_is_not_active_pays_nothing(lodger: Lodger) -> None:
    await lodger.moves_in(micros=CREDIT)
    await lodger.becomes("Pending")
    await lodger.months.keep(epoch=1, uid=lodger.uid)
    await lodger.at("1970-06-01")
    assert await lodger.paid() == [PRICE_MICROS]


async def test_months_follow_the_day_of_the_first_through_short_months(lodger: Lodger) -> None:
    await lodger.moves_in(micros=CREDIT)
    for day in range(125):
        await lodger.at(moment("1970-01-31") + timedelta(days=day))
    begun = [(row["period"], row["begins_at"], row["ends_at"]) for row in await lodger.periods()]
    assert begun == [
        ("1970-01", moment("1970-01-31"), moment("1970-02-28")),
        ("1970-02", moment("1970-02-28"), moment("1970-03-31")),
        ("1970-03", moment("1970-03-31"), moment("1970-04-30")),
        ("1970-04", moment("1970-04-30"), moment("1970-05-31")),
        ("1970-05", moment("1970-05-31"), moment("1970-06-30")),
    ]
    assert await lodger.paid() == [PRICE_MICROS] * 5
    assert all(row["hold_id"] for row in (await lodger.periods())[1:])
    assert lodger.told == []


async def test_a_first_month_in_a_leap_year_ends_on_the_29th(lodger: Lodger) -> None:
    await lodger.moves_in(micros=CREDIT, at="1972-01-31")
    assert (await lodger.record()).paid.until == moment("1972-02-29")


async def test_the_next_month_is_set_aside_three_days_ahead_and_taken_at_its_moment(lodger: Lodger) -> None:
    await lodger.moves_in(micros=CREDIT)
    await lodger.at("1970-02-24T23:59:59")
    assert await lodger.purse() == (CREDIT - PRICE_MICROS, 0)
    await lodger.at("1970-02-25")
    assert await lodger.purse() == (CREDIT - PRICE_MICROS, PRICE_MICROS)
    await lodger.at("1970-02-27T23:59:59")
    assert await lodger.purse() == (CREDIT - PRICE_MICROS, PRICE_MICROS)
    await lodger.at("1970-02-28")
    assert await lodger.purse() == (CREDIT - 2 * PRICE_MICROS, 0)


async def test_what_is_set_aside_is_taken_although_the_rest_was_spent(lodger: Lodger) -> None:
    await lodger.moves_in(micros=PRICE_MICROS * 2 + 10)
    await lodger.at("1970-02-25")
    world = lodger.registry.world
    await world.open(await world.agent("spender"), int(moment("1970-02-25").timestamp()))
    await world.proven_at(int(moment("1970-02-27").timestamp()))
    await world.settle()
    assert await lodger.purse() == (PRICE_MICROS, PRICE_MICROS)
    await lodger.at("1970-02-28")
    assert await lodger.purse() == (0, 0)
    assert (await lodger.record()).paid.until == moment("1970-03-31")


async def test_the_last_second_of_what_runs_is_not_taken(lodger: Lodger) -> None:
    await lodger.moves_in(micros=PRICE_MICROS)
    assert await lodger.paid() == []
    assert (await lodger.record()).paid.unpaid_since == moment("1970-01-31")


async def test_without_credit_the_owner_is_told_three_times_and_then_the_name_is_free(lodger: Lodger) -> None:
    await lodger.moves_in(micros=PRICE_MICROS + 10)
    await lodger.at("1970-02-25")
    await lodger.at("1970-02-26")
    await lodger.at("1970-02-28")
    paid = (await lodger.record()).paid
    assert (paid.unpaid_since, paid.release_at) == (moment("1970-02-28"), moment("1970-03-07"))
    await lodger.at("1970-03-05T23:59:00")
    await lodger.at("1970-03-06")
    await lodger.at("1970-03-06T12:00:00")
    assert [(notice.stage, notice.deadline) for notice in lodger.told] == [
        (Stage.MONTH_ENDS, moment("1970-02-28")),
        (Stage.MONTH_UNPAID, moment("1970-03-07")),
        (Stage.RELEASE_SOON, moment("1970-03-07")),
    ]
    assert {(notice.kind, notice.uid, notice.wallet) for notice in lodger.told} == {("Domain", lodger.uid, "acme")}
    assert (await lodger.record()).paid.release_at == moment("1970-03-07")
    assert await lodger.paid() == [PRICE_MICROS]


async def test_a_name_is_kept_for_a_day_after_the_last_notice_however_late_it_was_delivered(lodger: Lodger) -> None:
    await lodger.moves_in(micros=0)
    await lodger.at("1970-02-20", look=False)  # nobody was there for weeks
    assert (await lodger.record()).paid.release_at == moment("1970-02-21")
    await lodger.at("1970-02-22")
    assert [notice.stage for notice in lodger.told] == [Stage.MONTH_UNPAID, Stage.RELEASE_SOON]
    await lodger.at("1970-02-22T23:00:00")
    assert (await lodger.record()).paid.release_at == moment("1970-02-23")


async def test_a_wallet_on_hold_pays_nothing_and_loses_no_name(lodger: Lodger) -> None:
    await lodger.moves_in(micros=CREDIT)
    await lodger.at("1970-02-25")
    world = lodger.registry.world
    await world.ledger.place_hold(1, cause="Manual", ref="why", actor="ada")
    for day in range(20):
        await lodger.at(moment("1970-02-27") + timedelta(days=day))
        record = await lodger.record()
        assert record.paid.release_at is None or record.paid.release_at > record.now
    assert await lodger.paid() == [PRICE_MICROS]
    await world.ledger.lift_hold(1, cause="Manual", ref="why", actor="ada")
    await lodger.at("1970-03-19")
    assert await lodger.paid() == [PRICE_MICROS] * 2
    assert (await lodger.record()).paid.unpaid_since is None


async def test_credit_that_comes_late_pays_the_month_that_has_begun_once(lodger: Lodger) -> None:
    await lodger.moves_in(micros=PRICE_MICROS + 10)
    await lodger.at("1970-03-02")
    assert (await lodger.record()).paid.unpaid_since is not None
    await lodger.registry.world.grant(CREDIT)
    for minute in (2, 3):
        await lodger.at(f"1970-03-02T00:0{minute}:00")
    paid = (await lodger.record()).paid
    assert (paid.until, paid.unpaid_since, paid.release_at) == (moment("1970-03-31"), None, None)
    assert await lodger.paid() == [PRICE_MICROS] * 2


async def test_a_name_that_is_being_given_up_stays_so(lodger: Lodger) -> None:
    await lodger.moves_in(micros=0)
    await lodger.becomes("Releasing")
    await lodger.at("1970-02-20")
    assert (await lodger.record()).paid.release_at == moment("1970-02-07")


async def test_a_name_given_up_unpaid_may_be_claimed_again_with_credit_and_pays_from_that_day(lodger: Lodger) -> None:
    await lodger.moves_in(micros=PRICE_MICROS + 10)
    await lodger.at("1970-02-28")
    await lodger.at("1970-03-08")
    await lodger.becomes("Released")
    await lodger.at("1970-03-09")
    assert (await lodger.record()).paid.unpaid_since is not None
    await lodger.registry.world.grant(CREDIT)
    await lodger.at("1970-03-10")
    assert (await lodger.record()).paid.unpaid_since is None
    assert await lodger.paid() == [PRICE_MICROS]
    await lodger.becomes("Active")
    await lodger.look()
    assert await lodger.paid() == [PRICE_MICROS] * 2
    assert (await lodger.record()).paid.until == moment("1970-04-10")


class TestPrices:
    """Without a price a name is free; a month never costs more than was set aside for it."""

    async def test_without_a_price_a_month_is_free_and_has_no_entry(self, registry: Registry) -> None:
        lodger = Lodger(registry)
        await lodger.moves_in(micros=0)
        for day in range(40):
            await lodger.at(moment("1970-01-31") + timedelta(days=day))
        assert [row["amount_micros"] for row in await lodger.periods()] == [0, 0]
        assert (await lodger.record()).paid.until == moment("1970-03-31")
        assert await lodger.paid() == []
        assert await registry.world.broken() == []

    @pytest.mark.parametrize(
        ("after", "costs"),
        [
            pytest.param(PRICE_MICROS + 100_000, PRICE_MICROS, id="a higher price begins with the next month"),
            pytest.param(PRICE_MICROS - 100_000, PRICE_MICROS - 100_000, id="a lower price is a lower price"),
        ],
    )
    async def test_a_price_that_changes_after_a_month_was_set_aside(
        self, lodger: Lodger, after: int, costs: int
    ) -> None:
        await lodger.moves_in(micros=CREDIT)
        await lodger.at("1970-02-25")
        await lodger.price(after)
        for day in ("1970-02-28", "1970-03-28", "1970-03-31"):
            await lodger.at(day)
        assert await lodger.paid() == [PRICE_MICROS, costs, after]

    async def test_a_refund_that_took_what_was_set_aside_leaves_the_month_unpaid(self, lodger: Lodger) -> None:
        await lodger.moves_in(micros=0)
        world = lodger.registry.world
        await world.pay(1, paid_ext=1_000)
        await lodger.at("1970-02-02")
        await lodger.at("1970-03-01")
        assert (await lodger.purse())[1] == PRICE_MICROS
        await world.pay(1, version=2, paid_ext=1_000, refunded_ext=1_000)
        await lodger.at("1970-03-03")
        assert len(await lodger.paid()) == 1
        assert (await lodger.record()).paid.unpaid_since is not None
        assert (await lodger.purse())[1] == 0


class TestEnds:
    """What is paid stays paid, and nothing stays set aside for a name that nobody keeps."""

    async def test_a_domain_deleted_in_its_month_gets_nothing_back_and_frees_what_was_set_aside(
        self, lodger: Lodger
    ) -> None:
        await lodger.moves_in(micros=CREDIT)
        await lodger.at("1970-02-25")
        await lodger.goes()
        await lodger.look()
        assert await lodger.purse() == (CREDIT - PRICE_MICROS, 0)

    async def test_a_domain_made_again_within_its_month_is_not_charged_twice(self, lodger: Lodger) -> None:
        await lodger.moves_in(micros=CREDIT)
        await lodger.goes()
        await lodger.at("1970-02-10")
        await lodger.makes()
        assert (await lodger.record()).paid.until == moment("1970-02-28")
        assert await lodger.paid() == [PRICE_MICROS]
        for day in ("1970-02-25", "1970-02-28"):
            await lodger.at(day)
        assert await lodger.paid() == [PRICE_MICROS] * 2

    async def test_a_domain_made_again_later_pays_from_that_day(self, lodger: Lodger) -> None:
        await lodger.moves_in(micros=CREDIT)
        await lodger.goes()
        await lodger.at("1970-03-05")
        await lodger.makes()
        assert (await lodger.record()).paid.until == moment("1970-04-05")
        assert await lodger.paid() == [PRICE_MICROS] * 2

    async def test_another_tenant_with_the_same_name_pays_its_own_month(self, lodger: Lodger) -> None:
        await lodger.moves_in(micros=CREDIT)
        await lodger.goes()
        await lodger.registry.world.sql.execute("UPDATE moorage.claim SET quarantine_until = '-infinity'")
        await lodger.moves_in(micros=CREDIT, at="1970-02-10", tenant="zoo")
        assert (await lodger.paid(), await lodger.paid("zoo")) == ([PRICE_MICROS], [PRICE_MICROS])
        assert (await lodger.record()).paid.until == moment("1970-03-10")

    async def test_a_merge_of_wallets_frees_what_was_set_aside_and_the_other_wallet_pays(self, lodger: Lodger) -> None:
        await lodger.moves_in(micros=CREDIT)
        await lodger.at("1970-02-25")
        world = lodger.registry.world
        await world.wallet("zoo")
        await Wallets(world.database).merge("acme", "zoo", reason="one firm", actor="ada")
        await lodger.look()
        assert await lodger.purse("zoo") == (CREDIT - PRICE_MICROS, PRICE_MICROS)
        await lodger.at("1970-02-28")
        assert await lodger.paid("zoo") == [PRICE_MICROS]

    async def test_a_hold_of_a_month_does_not_expire_with_those_of_requests(self, lodger: Lodger) -> None:
        await lodger.moves_in(micros=CREDIT)
        await lodger.at("1970-02-25")
        await lodger.at("1970-03-01", look=False)
        await lodger.registry.world.sql.execute("SELECT money.expire_holds(1, 100)")
        assert (await lodger.purse())[1] == PRICE_MICROS


async def test_sessions_at_once_pay_a_month_once(lodger: Lodger, database_url: str) -> None:
    await lodger.moves_in(micros=CREDIT)
    databases = [await Database.connect(database_url, size_max=1) for _ in range(6)]
    try:
        for day in ("1970-01-31", "1970-02-25", "1970-02-28"):
            await lodger.at(day, look=False)
            await asyncio.gather(
                *(
                    DomainMonthRows(database).keep(epoch=1, uid=lodger.uid, unpaid_for=timedelta(days=7))
                    for database in databases
                )
            )
    finally:
        for database in databases:
            await database.close()
    assert await lodger.paid() == [PRICE_MICROS] * 2
    assert len(await lodger.periods()) == 2


BREAKS = {
    "a month without its entry": "UPDATE money.entry SET key = 'gone' WHERE kind = 'Domain' AND seq = 2",
    "a month of another price": "UPDATE money.domain_month SET amount_micros = amount_micros + 1 WHERE id = 1",
    "a hold that paid something else": "UPDATE money.hold SET paid_picos = 1",
    "two months that overlap": "UPDATE money.domain_month SET begins_at = begins_at - interval '1 day' WHERE id = 2",
}


@pytest.mark.parametrize("name", BREAKS, ids=lambda name: name.replace(" ", "_"))
async def test_months_that_do_not_hold_are_found(lodger: Lodger, name: str) -> None:
    await lodger.moves_in(micros=CREDIT)
    for day in ("1970-02-25", "1970-02-28"):
        await lodger.at(day)
    world = lodger.registry.world
    async with world.sql.transaction():
        await world.sql.execute("SET LOCAL session_replication_role = replica")
        await world.sql.execute(BREAKS[name])
        broken = await world.sql.fetch(f"SELECT * FROM ({domains.INVARIANTS[0].sql}) x")
        await world.sql.execute("ROLLBACK; BEGIN")
    assert broken


async def test_a_look_that_waits_for_its_wallet_holds_nothing_else(lodger: Lodger, database_url: str) -> None:
    await lodger.moves_in(micros=CREDIT)
    await lodger.at("1970-02-25")
    await lodger.at("1970-02-28", look=False)
    world = lodger.registry.world
    blocker = await asyncpg.connect(database_url)
    try:
        holding = blocker.transaction()
        await holding.start()
        await blocker.execute("SELECT FROM money.wallet FOR UPDATE")
        call = asyncio.ensure_future(lodger.months.keep(epoch=1, uid=lodger.uid))
        held = await held_while_waiting(world.sql, call, HELD_OF)
        await holding.rollback()
        await call
    finally:
        await blocker.close()
    assert held == {"money.wallet"}
