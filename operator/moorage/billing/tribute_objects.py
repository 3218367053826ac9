"""Tribute's objects, read: shop orders, which carry our wallet, and digital products, which know only the buyer."""

from typing import Any

import msgspec

from moorage.model.payments import PaymentSnapshot, Source, Trouble, Unbookable

# Anything else is not paid: an order on its way, one that failed, a gift or a trial.
PAID = frozenset({"paid", "refunded"})


class _Order(msgspec.Struct, frozen=True, tag="shop_order"):
    uuid: str
    status: str
    amount: int
    currency: str
    customer_id: str = ""  # what we gave when the order was made: the wallet's number
    refunded_amount: int = 0


class _Purchase(msgspec.Struct, frozen=True, tag="digital_product"):
    purchase_id: int
    product_id: int
    telegram_user_id: int
    amount: int
    currency: str
    status: str
    refunded_amount: int = 0


def read(document: Any) -> PaymentSnapshot:
    """What an order or a purchase says now; raises Unbookable when it is neither.

    `document` is the object with its kind as `type`. Donations and subscriptions are no payments for credit.
    """
    try:
        found: _Order | _Purchase = msgspec.convert(document, _Order | _Purchase)
    except msgspec.ValidationError as error:
        raise Unbookable(Trouble.MALFORMED_PAYLOAD) from error
    refunded_ext = found.refunded_amount
    if found.status == "refunded" and refunded_ext == 0:
        refunded_ext = found.amount
    if isinstance(found, _Order):
        wallet = found.customer_id
        return PaymentSnapshot(
            source=Source.TRIBUTE,
            obj_id=found.uuid,
            currency=found.currency,
            amount_ext=found.amount,
            paid=found.status in PAID,
            refunded_ext=refunded_ext,
            wallet_id=int(wallet) if wallet.isascii() and wallet.isdigit() and len(wallet) <= 18 else None,
        )
    return PaymentSnapshot(
        source=Source.TRIBUTE,
        obj_id=f"purchase:{found.purchase_id}",
        currency=found.currency,
        amount_ext=found.amount,
        paid=found.status in PAID,
        refunded_ext=refunded_ext,
        payer=f"telegram:{found.telegram_user_id}",
        product=str(found.product_id),
    )
