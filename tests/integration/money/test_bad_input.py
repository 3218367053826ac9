"""What cannot be is refused with one code of its own and books nothing; what came from outside waits for a person."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from moorage.billing.postings import Rate, Terms
from moorage.model.errors import MoorageError
from moorage.model.payments import GrantKind, Source, Trouble
from moorage.model.rates import Meter
from moorage.services.deposits import Deposits, Till
from moorage.store.ledger import LedgerRefusal
from moorage.store.rates import Rates
from moorage.store.wallets import Wallets
from tests.fakes.payment_provider import PaymentProvider
from tests.integration.money.world import RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

UNKNOWN_WALLET, AMOUNT, KEY_TAKEN, RATE, UNKNOWN_CORRECTION, NOTHING_WAITS = (
    "MO002", "MO003", "MO004", "MO010", "MO042", "MO043")  # fmt: skip
CLOSED, TOO_MUCH = "closed", 9_000_000_000_001
# Everything that says who has what, and who owes what to whom.
BOOKS = """
SELECT coalesce(jsonb_agg(part ORDER BY part::text), '[]')::text FROM (
    SELECT to_jsonb(e) AS part FROM money.entry e UNION ALL SELECT to_jsonb(p) FROM money.platform_entry p
    UNION ALL SELECT to_jsonb(s) FROM money.system_entry s UNION ALL SELECT to_jsonb(w) FROM money.wallet w
    UNION ALL SELECT to_jsonb(r) FROM money.rate r UNION ALL SELECT to_jsonb(g) FROM money.credit_grant g
    UNION ALL SELECT to_jsonb(c) FROM money.correction c
    UNION ALL SELECT to_jsonb(p) FROM money.payment p WHERE p.granted_micros <> 0) books
"""


def _grant(micros: int, *, name: str = "acme", key: str = "k") -> Callable[[World], Awaitable[object]]:
    return lambda world: world.grant(micros, name=name, key=key)


def _correct(micros: int, *, name: str = "acme", key: str = "k") -> Callable[[World], Awaitable[object]]:
    return lambda world: Wallets(world.database).request_correction(
        wallet_name=name, amount_micros=micros, key=key, reason="r", actor="ann"
    )


def _give(micros: int, *, name: str = "acme", expires_s: int = START_S + 60) -> Callable[[World], Awaitable[object]]:
    return lambda world: Wallets(world.database).give_credit(
        wallet_name=name, kind=GrantKind.PROMO, campaign="c", amount_micros=micros, expires_s=expires_s, reason="r",
        actor="ann",
    )  # fmt: skip


def _price(picos: int, *, from_s: int | None = None) -> Callable[[World], Awaitable[object]]:
    return lambda world: Rates(world.database).propose(
        meter=Meter.POD, class_="small", rate_picos=picos, valid_from_s=from_s, actor="ann", reason="r"
    )


def _close(name: str) -> Callable[[World], Awaitable[object]]:
    return lambda world: Wallets(world.database).close(name, reason="r", actor="ann")


def _merge(name: str, into: str) -> Callable[[World], Awaitable[object]]:
    return lambda world: Wallets(world.database).merge(name, into, reason="r", actor="ann")


def _assign(obj_id: str, name: str) -> Callable[[World], Awaitable[object]]:
    return lambda world: world.payments.assign(source=Source.STRIPE, obj_id=obj_id, wallet_name=name, actor="ann")


@pytest.fixture
async def furnished(world: World) -> World:
    """`acme` with credit and everything under the key or campaign that the table uses again; `closed` is over."""
    await world.wallet(micros=1_000_000)
    await _grant(5, key="granted")(world)
    await _correct(5, key="corrected")(world)
    await _give(5)(world)
    await world.wallet(CLOSED)
    await _close(CLOSED)(world)
    return world


REFUSED = {
    "a grant to an unknown wallet": (_grant(5, name="nobody"), UNKNOWN_WALLET),
    "a grant to a closed wallet": (_grant(5, name=CLOSED), UNKNOWN_WALLET),
    "a grant of nothing": (_grant(0), AMOUNT),
    "a negative grant": (_grant(-1), AMOUNT),
    "a grant beyond all bounds": (_grant(TOO_MUCH), AMOUNT),
    "a grant that overflows its wallet": (_grant(TOO_MUCH - 1), AMOUNT),
    "a grant's key with another amount": (_grant(6, key="granted"), KEY_TAKEN),
    "a grant with a key of the ledger": (_grant(6, key="Stripe/pi_1/1"), KEY_TAKEN),
    "a correction of an unknown wallet": (_correct(5, name="nobody"), UNKNOWN_WALLET),
    "a correction of a closed wallet": (_correct(5, name=CLOSED), UNKNOWN_WALLET),
    "a correction of nothing": (_correct(0), AMOUNT),
    "a correction beyond all bounds": (_correct(-TOO_MUCH), AMOUNT),
    "a correction's key with another amount": (_correct(6, key="corrected"), KEY_TAKEN),
    "an unknown correction": (
        lambda world: Wallets(world.database).approve_correction(4711, actor="ben"), UNKNOWN_CORRECTION),
    "a gift to an unknown wallet": (_give(5, name="nobody"), UNKNOWN_WALLET),
    "a gift of nothing": (_give(0), KEY_TAKEN),  # the campaign was used, so the other amount is what is wrong
    "a gift that overflows its wallet": (_give(TOO_MUCH - 1), KEY_TAKEN),
    "a campaign's second, other amount": (_give(6), KEY_TAKEN),
    "a price in the past": (_price(RATE_PICOS + 1, from_s=START_S - 1), RATE),
    "a price for this very second": (_price(RATE_PICOS + 1, from_s=START_S), RATE),
    "a negative price": (_price(-1), RATE),
    "a price beyond its bound": (_price(53_375_995_584), RATE),
    "the end of an unknown wallet": (_close("nobody"), UNKNOWN_WALLET),
    "the end of a closed wallet": (_close(CLOSED), UNKNOWN_WALLET),
    "a merge from an unknown wallet": (_merge("nobody", "acme"), UNKNOWN_WALLET),
    "a merge into a closed wallet": (_merge("acme", CLOSED), UNKNOWN_WALLET),
    "a hold on an unknown wallet": (
        lambda world: world.ledger.place_hold(4711, cause="Manual", ref="r", actor="ann"), UNKNOWN_WALLET),
    "a payer of an unknown wallet": (
        lambda world: world.payments.link_payer(source=Source.CHAIN, payer="p", wallet_name="nobody", actor="ann"),
        UNKNOWN_WALLET),
    "a payment assigned to an unknown wallet": (_assign("pi_1", "nobody"), UNKNOWN_WALLET),
    "an unknown payment assigned": (_assign("pi_1", "acme"), NOTHING_WAITS),
    "an unknown payment dismissed": (
        lambda world: world.payments.dismiss(source=Source.STRIPE, obj_id="pi_1", note="r", actor="ann"),
        NOTHING_WAITS),
}  # fmt: skip


async def test_what_people_ask_for_in_error_is_refused_by_one_code_and_changes_nothing(furnished: World) -> None:
    before = await furnished.sql.fetchval(BOOKS)
    codes = {}
    for name, (call, _) in REFUSED.items():
        with pytest.raises(MoorageError) as refused:
            await call(furnished)
        codes[name] = getattr(refused.value.__cause__, "sqlstate", None)
        assert re.fullmatch(r"[a-z][^\n]{15,}[^.\n]", str(refused.value)), (
            name
        )  # what the command line makes a sentence
        assert await furnished.sql.fetchval(BOOKS) == before, name
    assert codes == {name: code for name, (_, code) in REFUSED.items()}


@dataclass(frozen=True)
class Told:
    """What the provider shows of the payment `pi_1` at its only or last look."""

    trouble: Trouble
    wallet: str = "acme"
    said: dict[str, Any] | None = None
    refunded: int = 0
    first: dict[str, Any] | None = None  # what was booked before
    document: bytes | None = None


TOLD = {
    "an unknown wallet": Told(Trouble.UNKNOWN_WALLET, wallet="nobody"),
    "a closed wallet": Told(Trouble.WALLET_CLOSED, wallet=CLOSED),
    "a currency nobody priced": Told(Trouble.UNKNOWN_CURRENCY, said={"currency": "xag"}),
    "another currency than was booked": Told(Trouble.PAYMENT_CHANGED, first={}, said={"currency": "eur"}),
    "another amount than was booked": Told(Trouble.PAYMENT_CHANGED, first={}, said={"amount": 999}),
    "more than a wallet holds": Told(Trouble.AMOUNT_OVERFLOW, said={"amount": 10**12}),
    "more than fits on top": Told(Trouble.AMOUNT_OVERFLOW, said={"amount": 900_000_000}),
    "a refund above the payment": Told(Trouble.REFUND_ABOVE_PAYMENT, refunded=1_001),
    "a refund above a booked payment": Told(Trouble.REFUND_ABOVE_PAYMENT, first={}, refunded=1_001),
    "a negative amount": Told(Trouble.AMOUNT_REFUSED, said={"amount": -5}),
    "an amount with a fraction": Told(Trouble.MALFORMED_PAYLOAD, said={"amount": 10.5}),
    "no text": Told(Trouble.MALFORMED_PAYLOAD, document=b"\xff"),
    "no JSON": Told(Trouble.MALFORMED_PAYLOAD, document=b"{"),
    "another shape": Told(Trouble.MALFORMED_PAYLOAD, document=b'{"payment_intent": []}'),
    "hardly anything": Told(Trouble.MALFORMED_PAYLOAD, document=b""),
}


async def test_a_payment_that_cannot_be_booked_has_one_reason_and_waits_with_its_event(furnished: World) -> None:
    world, provider = furnished, PaymentProvider()
    ids = {row["name"]: row["id"] for row in await world.sql.fetch("SELECT id, name FROM money.wallet")}
    till = Till(provider, Terms({"usd": Rate(10_000, 1), "eur": Rate(11_000, 1)}))
    deposits = Deposits(world.payments, {Source.STRIPE: till})
    for number, (name, told) in enumerate(TOLD.items()):
        obj_id, wallet = f"pi_{number}", ids.get(told.wallet, 4711)
        if told.first is not None:
            provider.pay(obj_id, wallet, **told.first)
            await _deliver(world, provider, deposits)
        before = await world.sql.fetchval(BOOKS)
        provider.pay(obj_id, wallet, **(told.said or {}))
        if told.refunded:
            provider.refund(obj_id, told.refunded)
        if told.document is not None:
            provider.documents[obj_id] = told.document or {"payment_intent": {"id": "pi_of_others"}}
        await _deliver(world, provider, deposits)
        assert await world.sql.fetchval(BOOKS) == before, name
    waiting = {one.obj_id: one.trouble for one in await world.payments.suspense()}
    assert waiting == {f"pi_{number}": told.trouble for number, told in enumerate(TOLD.values())}
    # Every event is done with, and leads to the payment that waits.
    events = await world.sql.fetch("SELECT DISTINCT obj_id, payload->>'of' AS of, done_at > 0 AS done FROM money.inbox")
    assert {tuple(row) for row in events} == {(obj_id, obj_id, True) for obj_id in waiting}


async def _deliver(world: World, provider: PaymentProvider, deposits: Deposits) -> None:
    """Every event so far, and then all looks that are due within a minute."""
    for event, obj_id in provider.events:
        await world.payments.keep_event(
            source=Source.STRIPE, ext_id=event, obj_id=obj_id, payload=json.dumps({"of": obj_id}).encode()
        )
    await world.at(await world.sql.fetchval("SELECT money.now_s()") + 60)
    await deposits.apply_news()


async def test_an_event_that_is_no_json_is_refused_at_the_door(world: World) -> None:
    for payload in (b"", b"{", b"\xff", b'{"a": 1e99999999}'):
        with pytest.raises(LedgerRefusal, match="this is no event"):
            await world.payments.keep_event(source=Source.STRIPE, ext_id="e", obj_id="pi_1", payload=payload)
    assert await world.sql.fetchval("SELECT count(*) FROM money.inbox") == 0
