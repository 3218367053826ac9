"""From events to books: whatever becomes of the events, the books end where the provider's objects stand."""

import asyncio
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.billing.postings import Rate, Terms
from moorage.jobs.apply_payments import ApplyPayments
from moorage.model.payments import Outcome, Source, Trouble
from moorage.observability import Metrics
from moorage.services.deposits import Deposits, Till
from tests.fakes.payment_provider import PaymentProvider
from tests.integration.money.world import START_S, World, new_world

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

CENT = 10_000
TERMS = Terms({"usd": Rate(CENT, 1)})
RESET = """
SET session_replication_role = replica;
TRUNCATE money.entry, money.platform_entry, money.wallet, money.timer, money.inbox, money.payment, money.suspense,
         money.billing_hold, moorage.outbox RESTART IDENTITY CASCADE;
SET session_replication_role = DEFAULT;
"""


def _deposits(world: World, provider: PaymentProvider) -> Deposits:
    return Deposits(world.payments, {Source.STRIPE: Till(provider, TERMS)})


async def _deliver(world: World, *events: tuple[str, str]) -> list[bool]:
    return [
        await world.payments.keep_event(source=Source.STRIPE, ext_id=event, obj_id=obj_id, payload=b'{"id": "x"}')
        for event, obj_id in events
    ]


async def _work_off(world: World, deposits: Deposits) -> list[Outcome | None]:
    seen: list[Outcome | None] = []
    while batch := await deposits.apply_news():
        seen += batch
    return seen


async def test_an_event_leads_to_credit(world: World) -> None:
    provider = PaymentProvider()
    provider.pay("pi_1", await world.wallet())
    await _deliver(world, *provider.events)
    assert await _work_off(world, _deposits(world, provider)) == [Outcome.APPLIED]
    assert await world.moves() == [("TopUp", 1_000 * CENT)]


async def test_thousands_of_deliveries_of_a_hundred_events_are_a_hundred_credits(world: World) -> None:
    provider = PaymentProvider()
    wallet = await world.wallet()
    for number in range(100):
        provider.pay(f"pi_{number}", wallet)
    deposits = _deposits(world, provider)
    deliveries = provider.events * 30
    random.Random(7).shuffle(deliveries)  # an order, not a secret
    for start in range(0, len(deliveries), 500):
        part = deliveries[start : start + 500]
        await asyncio.gather(*(_deliver(world, *part[lane::4]) for lane in range(4)))
        await asyncio.gather(deposits.apply_news(), deposits.apply_news())
    await _work_off(world, deposits)
    assert await world.moves() == [("TopUp", 1_000 * CENT)] * 100
    assert provider.fetches <= 300


async def test_all_events_of_an_object_are_one_look(world: World) -> None:
    provider = PaymentProvider()
    provider.pay("pi_1", await world.wallet())
    for _ in range(9):
        provider.refund("pi_1", 10)
    await _deliver(world, *provider.events)
    await _work_off(world, _deposits(world, provider))
    assert (provider.fetches, await world.moves()) == (1, [("TopUp", 1_000 * CENT), ("Refund", -90 * CENT)])


async def test_a_provider_that_is_down_is_asked_again_and_then_a_person_is_told(world: World) -> None:
    provider = PaymentProvider(down=True)
    provider.pay("pi_1", await world.wallet())
    await _deliver(world, *provider.events)
    deposits = _deposits(world, provider)
    for attempt in range(1, 7):
        assert await _work_off(world, deposits) == [None]
        assert (attempt == 6) == bool(await world.payments.suspense())
        await world.at(START_S + 100 * attempt)
    provider.down = False
    assert await _work_off(world, deposits) == [Outcome.APPLIED]
    assert await world.payments.suspense() == []


async def test_events_of_a_worker_that_died_come_back(world: World) -> None:
    provider = PaymentProvider()
    provider.pay("pi_1", await world.wallet())
    await _deliver(world, *provider.events)
    assert len(await world.payments.take([Source.STRIPE], objects_max=10)) == 1
    deposits = _deposits(world, provider)
    assert await _work_off(world, deposits) == []
    await world.at(START_S + 60)
    assert await _work_off(world, deposits) == [Outcome.APPLIED]


@pytest.mark.parametrize(
    ("document", "trouble"),
    [
        pytest.param(b"\xff", Trouble.MALFORMED_PAYLOAD, id="not text"),
        pytest.param(b"{", Trouble.MALFORMED_PAYLOAD, id="not JSON"),
        pytest.param(b"[]", Trouble.MALFORMED_PAYLOAD, id="not an object"),
    ],
)
async def test_an_object_that_cannot_be_read_is_kept_for_a_person(
    world: World, document: bytes, trouble: Trouble
) -> None:
    provider = PaymentProvider(documents={"pi_1": document})
    await _deliver(world, ("evt_1", "pi_1"))
    assert await _work_off(world, _deposits(world, provider)) == [Outcome.SUSPENDED]
    assert [item.trouble for item in await world.payments.suspense()] == [trouble]


async def test_an_answer_about_another_object_is_not_believed(world: World) -> None:
    provider = PaymentProvider()
    provider.pay("pi_2", await world.wallet())
    provider.documents["pi_1"] = provider.documents["pi_2"]
    await _deliver(world, ("evt_1", "pi_1"))
    await _work_off(world, _deposits(world, provider))
    assert (await world.moves(), [item.obj_id for item in await world.payments.suspense()]) == ([], ["pi_1"])


async def test_a_currency_nobody_priced_is_kept_for_a_person(world: World) -> None:
    provider = PaymentProvider()
    provider.pay("pi_1", await world.wallet(), currency="xag")
    await _deliver(world, *provider.events)
    await _work_off(world, _deposits(world, provider))
    assert [item.trouble for item in await world.payments.suspense()] == [Trouble.UNKNOWN_CURRENCY]


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["pay", "refund", "dispute", "win", "lose", "deliver", "again", "work"]), st.integers(0, 99)
    ),
    max_size=40,
)


class _Story:
    """Changes at the provider, deliveries and work in a random order; `due` is what each payment is worth."""

    def __init__(self, world: World, wallets: list[int]) -> None:
        self.world, self.wallets = world, wallets
        self.provider = PaymentProvider()
        self.deposits = _deposits(world, self.provider)
        self.worth: dict[str, int] = {}
        self.open: dict[str, int] = {}
        self.clock_s = START_S

    async def tell(self, what: str, number: int) -> None:
        """One line of it; what is not possible now does not happen."""
        obj_id = f"pi_{number % 3}"
        left, disputed = self.worth.get(obj_id, 0), obj_id in self.open
        match what:
            case "pay" if obj_id not in self.worth:
                self.worth[obj_id] = 1_000
                self.provider.pay(obj_id, self.wallets[number % 2])
            case "refund" if 0 < number <= left and not disputed:
                self.worth[obj_id] -= number
                self.provider.refund(obj_id, number)
            case "dispute" if left and not disputed:
                self.open[obj_id] = left
                self.worth[obj_id] = 0
                self.provider.dispute(obj_id, left)
            case "win" if disputed:
                self.worth[obj_id] = self.open.pop(obj_id)
                self.provider.win(obj_id)
            case "lose" if disputed:
                del self.open[obj_id]
                self.provider.lose(obj_id)
            case "deliver" | "again" if self.provider.events:
                await _deliver(self.world, self.provider.events[number % len(self.provider.events)])
            case "work":
                await self.deposits.apply_news()

    async def reconcile(self) -> None:
        """Everything that was lost is listed and looked at."""
        self.clock_s += 1
        await self.world.at(self.clock_s)
        await _deliver(self.world, *((f"list_{obj_id}", obj_id) for obj_id in self.worth))
        await _work_off(self.world, self.deposits)


def test_lost_doubled_and_disordered_events_end_in_the_same_books(database_url: str) -> None:
    with asyncio.Runner() as runner:
        opened = new_world(database_url)
        world = runner.run(opened.__aenter__())

        @settings(deadline=None, derandomize=True, max_examples=60, suppress_health_check=list(HealthCheck))
        @given(story=CHANGES)
        def ends_right(story: list[tuple[str, int]]) -> None:
            runner.run(_told(world, story))

        try:
            ends_right()
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def _told(world: World, story: list[tuple[str, int]]) -> None:
    await world.sql.execute(RESET)
    await world.at(START_S)
    wallets = [await world.wallet("acme"), await world.wallet("zoo")]
    told = _Story(world, wallets)
    for what, number in story:
        await told.tell(what, number)
        assert await world.broken() == []
    await told.reconcile()
    rows = await world.sql.fetch(
        "SELECT obj_id, granted_micros - reversed_micros - disputed_micros AS micros FROM money.payment"
    )
    assert {row["obj_id"]: row["micros"] for row in rows} == {obj: worth * CENT for obj, worth in told.worth.items()}
    held: Any = await world.sql.fetch("SELECT ref FROM money.billing_hold WHERE lifted_at IS NULL")
    assert {row["ref"] for row in held} == {f"Stripe/{obj_id}" for obj_id in told.open}
    before = [await world.moves("acme"), await world.moves("zoo")]
    await told.reconcile()
    assert [await world.moves("acme"), await world.moves("zoo")] == before
    assert await world.broken() == []


async def test_what_is_not_done_is_counted_and_a_deadline_that_is_over_is_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    provider, metrics = PaymentProvider(down=True), Metrics()
    job = ApplyPayments(_deposits(world, provider), metrics)

    async def seen() -> list[float | None]:
        await job.look_back()
        names = ("payments_waiting", "payments_overdue", "payment_event_oldest_seconds")
        return [metrics.registry.get_sample_value(f"moorage_{name}") for name in names]

    assert await seen() == [0, 0, 0]
    await _deliver(world, ("evt_1", "pi_1"))
    await world.at(START_S + 40)
    await world.pay(4711, "pi_2")
    assert await seen() == [1, 0, 40]
    provider.down = False
    provider.pay("pi_1", await world.wallet())
    assert await job.apply() == 0
    await world.at(START_S + 40 + 7 * 86_400)
    assert (await seen(), caplog.messages) == ([1, 0, 0], [])
    await world.at(START_S + 41 + 7 * 86_400)
    assert (await seen(), caplog.messages) == ([1, 1, 0], ["payments wait beyond their deadline"])
