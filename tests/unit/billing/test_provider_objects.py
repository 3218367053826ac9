"""Recorded objects of each provider are read for what they say, and mutilated ones are refused."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from moorage.billing import chain_objects, stripe_objects, tribute_objects
from moorage.model.payments import Dispute, PaymentSnapshot, Trouble, Unbookable
from tests.fakes.payment_provider import PENALTY_EXT, PaymentProvider, recorded

Read = Callable[[Any], PaymentSnapshot]

SHAPES: dict[str, Read] = {
    "stripe_payment_intent": stripe_objects.read,
    "tribute_shop_order": tribute_objects.read,
    "tribute_digital_product": tribute_objects.read,
    "chain_transfer": chain_objects.read,
}


def test_a_stripe_payment_is_read() -> None:
    seen = stripe_objects.read(recorded("stripe_payment_intent"))
    assert (seen.amount_ext, seen.currency, seen.paid, seen.wallet_id) == (1_000, "usd", True, 1)
    assert (seen.fee_currency, seen.fee_ext, seen.refunded_ext, seen.disputes) == ("usd", 59, 0, ())


def test_a_stripe_payment_that_is_only_authorised_is_not_paid() -> None:
    provider = PaymentProvider()
    provider.pay("pi_1", 1, paid=False)
    seen = stripe_objects.read(provider.documents["pi_1"])
    assert (seen.paid, seen.amount_ext) == (False, 1_000)


def test_a_stripe_dispute_is_what_it_has_moved() -> None:
    provider = PaymentProvider()
    provider.pay("pi_1", 1)
    told = []
    for change in (provider.dispute, provider.win, provider.dispute, provider.lose):
        change("pi_1")
        seen = stripe_objects.read(provider.documents["pi_1"])
        told.append((seen.disputes[-1], seen.penalty_ext))
    assert told == [
        (Dispute(1_000, lost=False), PENALTY_EXT),
        (Dispute(0, lost=False), 0),
        (Dispute(1_000, lost=False), PENALTY_EXT),
        (Dispute(1_000, lost=True), PENALTY_EXT),
    ]


@pytest.mark.parametrize("wallet", ["", "acme", "-1", "1e3", "٣", "9" * 19])
def test_a_wallet_that_is_no_number_is_nobody(wallet: str) -> None:
    document = recorded("stripe_payment_intent")
    document["payment_intent"]["metadata"]["moorage_wallet"] = wallet
    assert stripe_objects.read(document).wallet_id is None


def test_a_shop_order_is_read_and_its_refund_is_all_of_it_unless_it_says_less() -> None:
    document = recorded("tribute_shop_order")
    seen = [tribute_objects.read(document | more) for more in (
        {}, {"status": "pending"}, {"status": "refunded"}, {"status": "refunded", "refunded_amount": 400})]  # fmt: skip
    assert [(one.paid, one.refunded_ext, one.wallet_id) for one in seen] == [
        (True, 0, 1), (False, 0, 1), (True, 1_000, 1), (True, 400, 1)]  # fmt: skip


def test_a_digital_product_knows_only_its_buyer() -> None:
    seen = tribute_objects.read(recorded("tribute_digital_product"))
    assert (seen.obj_id, seen.payer, seen.product) == ("purchase:78901", "telegram:12321321", "456")
    assert seen.wallet_id is None


def test_a_gift_is_no_payment() -> None:
    assert not tribute_objects.read(recorded("tribute_digital_product") | {"status": "gift"}).paid


def test_a_transfer_is_read() -> None:
    document = recorded("chain_transfer")
    seen = chain_objects.read(document)
    assert (seen.amount_ext, seen.paid) == (10_000_000, True)
    assert seen.obj_id == chain_objects.object_id(8453, document["tx_hash"], 41)
    assert seen.currency == chain_objects.currency(8453, document["token"])
    assert seen.payer == chain_objects.payer(8453, document["to"])


@pytest.mark.parametrize("said", [{"finalized": False}, {"succeeded": False}], ids=["not final", "failed"])
def test_a_transfer_that_may_vanish_or_failed_is_not_paid(said: dict[str, bool]) -> None:
    assert not chain_objects.read(recorded("chain_transfer") | said).paid


@pytest.mark.parametrize("said", [{"tx_hash": "0x12"}, {"to": "0x1"}, {"value": "ten"}, {"token": "0xUSDC"},
                                  {"log_index": -1}, {"value": 5}, {"chain_id": 0}])  # fmt: skip
def test_a_transfer_with_a_malformed_field_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(Unbookable):
        chain_objects.read(recorded("chain_transfer") | said)


def _read_or_refuse(read: Read, document: Any) -> Trouble | int:
    try:
        return read(document).amount_ext
    except Unbookable as refused:
        return refused.trouble


def _paths(document: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(document, dict):
        return [above]
    return [above, *(path for key, value in document.items() for path in _paths(value, (*above, key)))]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("junk", [None, [], 1.5, "x", {}, True], ids=repr)
def test_junk_anywhere_is_refused_or_harmless_but_never_a_crash(shape: str, junk: Any) -> None:
    whole = recorded(shape)
    for path in _paths(whole):
        document = copy.deepcopy(whole)
        if not path:
            document = junk
        else:
            place = document
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = junk
        seen = _read_or_refuse(SHAPES[shape], document)
        assert seen is Trouble.MALFORMED_PAYLOAD or type(seen) is int
