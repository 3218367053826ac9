"""From what a provider shows of a payment to what the ledger should make true of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from moorage.model.money import AMOUNT_MICROS_MAX
from moorage.model.payments import PaymentSnapshot, Posting, Trouble, Unbookable

PAYER_LENGTH_MAX = 160


@dataclass(frozen=True, slots=True)
class Rate:
    """Micro-credits for units of a currency, as a fraction: a US cent is `Rate(10_000, 1)`."""

    num: int
    den: int

    def micros(self, amount_ext: int) -> int:
        """Micro-credits for an amount, rounded down: the rest is less than one and stays with the platform."""
        return amount_ext * self.num // self.den


@dataclass(frozen=True, slots=True)
class Product:
    """Something with a fixed amount of credit, and the least that may have been paid for it."""

    currency: str
    least_ext: int
    credit_micros: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a source's payments are worth. What is not listed is not guessed."""

    rates: Mapping[str, Rate] = field(default_factory=dict)
    products: Mapping[str, Product] = field(default_factory=dict)


def posting(seen: PaymentSnapshot, terms: Terms) -> Posting:
    """The state the ledger should reach for a payment; raises Unbookable with the one reason why it cannot.

    Whether the wallet exists and can hold the credit is the ledger's to say: only it can look while it books.
    """
    if seen.payer is not None and not (1 <= len(seen.payer) <= PAYER_LENGTH_MAX and seen.payer.isprintable()):
        raise Unbookable(Trouble.MALFORMED_PAYLOAD)
    _check_amounts(seen)
    rate = _rate(seen, terms)
    paid_ext = seen.amount_ext if seen.paid else 0
    return Posting(
        source=seen.source,
        obj_id=seen.obj_id,
        wallet_id=seen.wallet_id,
        payer=seen.payer,
        currency=seen.currency,
        paid_ext=paid_ext,
        refunded_ext=seen.refunded_ext,
        disputed_ext=sum(dispute.withdrawn_ext for dispute in seen.disputes if not dispute.lost),
        lost_ext=sum(dispute.withdrawn_ext for dispute in seen.disputes if dispute.lost),
        fee_micros=_fee_micros(seen, seen.fee_ext, terms),
        penalty_micros=_fee_micros(seen, seen.penalty_ext, terms),
        rate_num=rate.num,
        rate_den=rate.den,
    )


def _check_amounts(seen: PaymentSnapshot) -> None:
    withdrawn_ext = [dispute.withdrawn_ext for dispute in seen.disputes]
    if seen.amount_ext <= 0 or min(seen.refunded_ext, seen.fee_ext, seen.penalty_ext, *withdrawn_ext) < 0:
        raise Unbookable(Trouble.AMOUNT_REFUSED)
    taken_back_ext = seen.refunded_ext + sum(withdrawn_ext)
    if taken_back_ext > (seen.amount_ext if seen.paid else 0):
        raise Unbookable(Trouble.REFUND_ABOVE_PAYMENT)


def _rate(seen: PaymentSnapshot, terms: Terms) -> Rate:
    if seen.product is None:
        return _known(terms.rates, seen.currency)
    product = terms.products.get(seen.product)
    if product is None:
        raise Unbookable(Trouble.UNKNOWN_PRODUCT)
    if product.currency != seen.currency:
        raise Unbookable(Trouble.UNKNOWN_CURRENCY)
    if seen.amount_ext < product.least_ext:
        raise Unbookable(Trouble.AMOUNT_REFUSED)
    return Rate(product.credit_micros, seen.amount_ext)


def _fee_micros(seen: PaymentSnapshot, fee_ext: int, terms: Terms) -> int:
    if not fee_ext:
        return 0
    fee_micros = _known(terms.rates, seen.fee_currency or seen.currency).micros(fee_ext)
    if fee_micros > AMOUNT_MICROS_MAX:
        raise Unbookable(Trouble.AMOUNT_OVERFLOW)
    return fee_micros


def _known(rates: Mapping[str, Rate], currency: str) -> Rate:
    if currency not in rates:
        raise Unbookable(Trouble.UNKNOWN_CURRENCY)
    return rates[currency]
