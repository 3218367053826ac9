"""A payment is booked as what its object says minus what is booked already: once, in any order, never guessed."""

import asyncio
from typing import Any

import pytest

from moorage.model.payments import Outcome, Source, Trouble
from moorage.model.wallet import Standing
from tests.integration.money.world import RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

CENT = 10_000
TEN = 1_000 * CENT


async def test_a_payment_is_credited_once(world: World) -> None:
    wallet = await world.wallet()
    outcomes = [(await world.pay(wallet)).outcome for _ in "abc"]
    assert outcomes == [Outcome.APPLIED, Outcome.UNCHANGED, Outcome.UNCHANGED]
    assert await world.moves() == [("TopUp", TEN)]


async def test_a_payment_on_its_way_is_not_credit(world: World) -> None:
    wallet = await world.wallet()
    await world.pay(wallet, paid_ext=0)
    assert await world.moves() == []
    await world.pay(wallet, version=2)
    assert await world.moves() == [("TopUp", TEN)]


async def test_sessions_at_once_credit_once(world: World) -> None:
    wallet = await world.wallet()
    answers = await asyncio.gather(*(world.pay(wallet) for _ in range(12)))
    assert sorted(answer.outcome for answer in answers).count(Outcome.APPLIED) == 1
    assert (await world.see()).balance_micros == TEN


async def test_a_refund_that_comes_before_its_payment_ends_in_the_same_books(world: World) -> None:
    wallet = await world.wallet()
    await world.pay(wallet, refunded_ext=300)
    assert await world.moves() == [("TopUp", TEN), ("Refund", -300 * CENT)]


async def test_refunds_are_sums_and_only_what_is_new_is_taken(world: World) -> None:
    wallet = await world.wallet()
    for version, refunded_ext in enumerate((0, 100, 100, 350, 1_000), 1):
        await world.pay(wallet, version=version, refunded_ext=refunded_ext)
    refunds = [("Refund", -micros * CENT) for micros in (100, 250, 650)]
    assert await world.moves() == [("TopUp", TEN), *refunds]
    assert [view.state for view in await world.payments.payments()] == ["Reversed"]


async def test_a_refund_that_failed_is_given_back(world: World) -> None:
    wallet = await world.wallet()
    await world.pay(wallet, version=1, refunded_ext=400)
    await world.pay(wallet, version=2, refunded_ext=0)
    assert await world.moves() == [("TopUp", TEN), ("Refund", -400 * CENT), ("Reinstatement", 400 * CENT)]


async def test_an_older_snapshot_changes_nothing(world: World) -> None:
    wallet = await world.wallet()
    await world.pay(wallet, version=5, refunded_ext=400)
    assert (await world.pay(wallet, version=4)).outcome is Outcome.STALE
    assert (await world.see()).balance_micros == 600 * CENT


async def test_a_dispute_takes_the_money_and_holds_the_wallet_at_once(world: World) -> None:
    wallet = await world.wallet()
    agent = await world.agent("a")
    await world.pay(wallet)
    await world.sql.execute("UPDATE moorage.agent SET state = 'Running'")
    await world.pay(wallet, version=2, disputed_ext=1_000)
    assert ((await world.see()).standing, (await world.see()).balance_micros) == (Standing.ON_HOLD, 0)
    assert (await world.record(agent))["state"] == "Draining"


async def test_a_dispute_that_is_won_brings_back_money_and_agents(world: World) -> None:
    wallet = await world.wallet()
    agent = await world.agent("a")
    await world.pay(wallet)
    await world.pay(wallet, version=2, disputed_ext=1_000)
    won = await world.pay(wallet, version=3)
    assert await world.moves() == [("TopUp", TEN), ("Dispute", -TEN), ("Reinstatement", TEN)]
    assert ((await world.see()).standing, won.resumed) == (Standing.FUNDED, 1)
    assert (await world.record(agent))["state"] in ("Running", "Draining")


async def test_a_dispute_that_is_lost_takes_nothing_twice_and_its_penalty_is_ours(world: World) -> None:
    wallet = await world.wallet()
    await world.pay(wallet, fee_micros=50 * CENT)
    await world.pay(wallet, version=2, disputed_ext=1_000, fee_micros=50 * CENT)
    await world.pay(wallet, version=3, lost_ext=1_000, fee_micros=50 * CENT, penalty_micros=1_500 * CENT)
    assert await world.moves() == [("TopUp", TEN), ("Dispute", -TEN)]
    assert (await world.see()).standing is Standing.EXHAUSTED
    rows = await world.sql.fetch("SELECT debit, credit, amount_micros FROM money.platform_entry ORDER BY id")
    assert [tuple(row) for row in rows] == [(-12, -7, 50 * CENT), (-13, -7, 1_500 * CENT)]


async def test_a_dispute_after_the_money_was_spent_leaves_a_debt_that_the_next_payment_fills(world: World) -> None:
    wallet = await world.wallet()
    agent = await world.agent("a")
    await world.pay(wallet)
    await world.open(agent, START_S)
    await world.proven_at(START_S + 600)
    await world.pay(wallet, version=2, lost_ext=1_000)
    spent = 600 * RATE_PICOS // 1_000_000
    assert ((await world.see()).balance_micros, (await world.see()).standing) == (-spent, Standing.EXHAUSTED)
    await world.proven_at(START_S + 700)
    await world.settle()
    assert (await world.see()).balance_micros == -spent
    await world.pay(wallet, "pi_2", version=1, paid_ext=1)
    assert (await world.see()).balance_micros == CENT - spent


async def test_the_rate_of_the_payment_is_the_rate_of_its_refund(world: World) -> None:
    wallet = await world.wallet()
    await world.pay(wallet, rate_num=10_001, rate_den=3)
    await world.pay(wallet, version=2, refunded_ext=1_000, rate_num=20_000, rate_den=3)
    assert (await world.see()).balance_micros == 0


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        pytest.param({"wallet_id": 4711}, Trouble.UNKNOWN_WALLET, id="an unknown wallet"),
        pytest.param({"wallet_id": None, "payer": "tg:1"}, Trouble.UNKNOWN_WALLET, id="an unknown payer"),
        pytest.param({"paid_ext": -1}, Trouble.AMOUNT_REFUSED, id="a negative amount"),
        pytest.param({"paid_ext": 1, "rate_den": 1_000_000}, Trouble.AMOUNT_REFUSED, id="worth nothing"),
        pytest.param({"paid_ext": 10**60}, Trouble.AMOUNT_OVERFLOW, id="more than a wallet holds"),
        pytest.param({"paid_ext": 900_000_000}, Trouble.AMOUNT_OVERFLOW, id="more than fits on top"),
        pytest.param({"refunded_ext": 1_001}, Trouble.REFUND_ABOVE_PAYMENT, id="a refund above the payment"),
        pytest.param({"disputed_ext": 600, "lost_ext": 401}, Trouble.REFUND_ABOVE_PAYMENT, id="disputes above it"),
    ],
)
async def test_what_cannot_be_booked_waits_for_a_person(world: World, said: dict[str, Any], trouble: Trouble) -> None:
    wallet = await world.wallet(micros=1_000_000)
    answer = await world.pay(said.pop("wallet_id", wallet), "pi_1", events=("e",), **said)
    assert (answer.outcome, answer.reason) == (Outcome.SUSPENDED, trouble)
    assert await world.moves() == [("Grant", 1_000_000)]
    assert [(item.obj_id, item.trouble) for item in await world.payments.suspense()] == [("pi_1", trouble)]


@pytest.mark.parametrize(
    "said",
    [{"paid_ext": 2_000}, {"currency": "eur"}, {"paid_ext": 0}],
    ids=["amount", "currency", "not paid after all"],
)
async def test_a_booked_payment_that_becomes_another_waits_for_a_person(world: World, said: dict[str, Any]) -> None:
    wallet = await world.wallet()
    await world.pay(wallet)
    assert (await world.pay(wallet, version=2, **said)).reason is Trouble.PAYMENT_CHANGED
    assert await world.moves() == [("TopUp", TEN)]


async def test_a_payer_who_gets_linked_is_credited_by_the_next_look(world: World) -> None:
    await world.wallet()
    await world.pay(None, payer="tg:7", source=Source.TRIBUTE)
    assert len(await world.payments.suspense()) == 1
    await world.payments.link_payer(source=Source.TRIBUTE, payer="tg:7", wallet_name="acme", actor="test")
    await world.pay(None, version=2, payer="tg:7", source=Source.TRIBUTE)
    assert (await world.moves(), await world.payments.suspense()) == ([("TopUp", TEN)], [])


async def test_a_person_assigns_a_payment_and_its_later_refund_finds_it(world: World) -> None:
    await world.wallet()
    await world.pay(4711)
    await world.payments.assign(source=Source.STRIPE, obj_id="pi_1", wallet_name="acme", actor="test")
    await world.pay(4711, version=2, refunded_ext=1_000)
    assert await world.moves() == [("TopUp", TEN), ("Refund", -TEN)]
    assert await world.payments.suspense() == []


async def test_what_a_person_dismissed_stays_away_until_it_changes(world: World) -> None:
    await world.pay(4711)
    await world.payments.dismiss(source=Source.STRIPE, obj_id="pi_1", note="paid back", actor="test")
    await world.pay(4711, version=2)
    assert await world.payments.suspense() == []
    await world.pay(4711, version=3, refunded_ext=1)
    assert len(await world.payments.suspense()) == 1


BREAKS = {
    "I-11": ("UPDATE money.payment SET reversed_micros = 1", "UPDATE money.payment SET reversed_micros = 0"),
    "I-12": ("UPDATE money.inbox SET obj_id = 'pi_3'", "UPDATE money.inbox SET obj_id = 'pi_1'"),
    "I-13": (
        "UPDATE money.entry SET kind = 'Expiry' WHERE kind = 'Dispute'",
        "UPDATE money.entry SET kind = 'Dispute' WHERE kind = 'Expiry'",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_broken_books_are_found(world: World, name: str) -> None:
    wallet = await world.wallet()
    await world.payments.keep_event(source=Source.STRIPE, ext_id="e", obj_id="pi_1", payload=b"{}")
    await world.pay(wallet, events=("e",))
    await world.sql.execute("ALTER TABLE money.entry DISABLE TRIGGER USER")
    if name == "I-13":
        await world.open(await world.agent("a"), START_S)
        await world.proven_at(START_S + 600)
        await world.pay(wallet, version=2, disputed_ext=1_000)
    broken, mended = BREAKS[name]
    await world.sql.execute(broken)
    assert name in [line.partition(":")[0] for line in await world.broken()]
    await world.sql.execute(mended)
    await world.sql.execute("ALTER TABLE money.entry ENABLE TRIGGER USER")


async def test_an_event_that_nobody_looked_at_is_found(world: World) -> None:
    await world.payments.keep_event(source=Source.STRIPE, ext_id="e", obj_id="pi_1", payload=b"{}")
    await world.at(START_S + 601)
    assert [line.partition(":")[0] for line in await world.broken()] == ["I-12"]
    await world.pay(await world.wallet(), events=("e",))
