"""Stripe's objects, read: a PaymentIntent with its charge expanded, and the disputes that are listed for it."""

from typing import Any

import msgspec

from moorage.model.payments import Dispute, PaymentSnapshot, Source, Trouble, Unbookable

WALLET_KEY = "moorage_wallet"  # written into the metadata when the payment is made


class _Movement(msgspec.Struct, frozen=True):
    amount: int
    currency: str
    fee: int = 0


class _Charge(msgspec.Struct, frozen=True):
    amount_refunded: int = 0
    balance_transaction: _Movement | None = None


class _Intent(msgspec.Struct, frozen=True):
    id: str
    object: str
    status: str
    currency: str
    amount: int
    amount_received: int
    customer: str | None = None
    metadata: dict[str, str] = {}
    latest_charge: _Charge | None = None


class _Dispute(msgspec.Struct, frozen=True):
    status: str
    balance_transactions: list[_Movement]


class _List(msgspec.Struct, frozen=True):
    data: list[_Dispute]
    has_more: bool = False


class _Document(msgspec.Struct, frozen=True):
    payment_intent: _Intent
    disputes: _List = _List(data=[])


def read(document: Any) -> PaymentSnapshot:
    """What a PaymentIntent says now; raises Unbookable when it is no such thing.

    `document` is `{"payment_intent": …, "disputes": …}`, both as the API answers. What a dispute has taken is the sum
    of its balance transactions, never its amount: the one is the money, the other a claim.
    """
    try:
        found = msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise Unbookable(Trouble.MALFORMED_PAYLOAD) from error
    intent = found.payment_intent
    if intent.object != "payment_intent" or found.disputes.has_more:
        raise Unbookable(Trouble.MALFORMED_PAYLOAD)
    charge = intent.latest_charge or _Charge()
    paid = intent.status == "succeeded"
    kept = charge.balance_transaction
    return PaymentSnapshot(
        source=Source.STRIPE,
        obj_id=intent.id,
        currency=intent.currency,
        amount_ext=intent.amount_received if paid else intent.amount,
        paid=paid,
        refunded_ext=charge.amount_refunded,
        disputes=tuple(
            Dispute(max(0, -sum(move.amount for move in dispute.balance_transactions)), dispute.status == "lost")
            for dispute in found.disputes.data
        ),
        wallet_id=_wallet(intent.metadata),
        payer=intent.customer,
        fee_currency=None if kept is None else kept.currency,
        fee_ext=0 if kept is None else kept.fee,
        penalty_ext=sum(move.fee for dispute in found.disputes.data for move in dispute.balance_transactions),
    )


def _wallet(metadata: dict[str, str]) -> int | None:
    text = metadata.get(WALLET_KEY, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
