"""What a payment is worth, and the one reason why it cannot be booked."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.billing.postings import Product, Rate, Terms, posting
from moorage.model.payments import Dispute, PaymentSnapshot, Source, Trouble, Unbookable

CENTS = Terms({"usd": Rate(10_000, 1)}, {"456": Product("usd", 900, 10_000_000)})
PAID = PaymentSnapshot(source=Source.STRIPE, obj_id="pi_1", currency="usd", amount_ext=1_000, paid=True, wallet_id=1)


def test_a_payment_on_its_way_is_worth_nothing_yet() -> None:
    assert posting(replace(PAID, paid=False), CENTS).paid_ext == 0


def test_open_and_lost_disputes_are_told_apart() -> None:
    asked = posting(replace(PAID, disputes=(Dispute(300, lost=False), Dispute(200, lost=True))), CENTS)
    assert (asked.disputed_ext, asked.lost_ext) == (300, 200)


def test_a_product_decides_the_credit_not_its_price() -> None:
    asked = posting(replace(PAID, product="456", amount_ext=950), CENTS)
    assert Rate(asked.rate_num, asked.rate_den).micros(asked.paid_ext) == 10_000_000


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        pytest.param({"currency": "eur"}, Trouble.UNKNOWN_CURRENCY, id="a currency without a rate"),
        pytest.param({"fee_currency": "eur", "fee_ext": 1}, Trouble.UNKNOWN_CURRENCY, id="a fee in one"),
        pytest.param({"amount_ext": 0}, Trouble.AMOUNT_REFUSED, id="nothing"),
        pytest.param({"amount_ext": -5}, Trouble.AMOUNT_REFUSED, id="less than nothing"),
        pytest.param({"refunded_ext": -1}, Trouble.AMOUNT_REFUSED, id="a negative refund"),
        pytest.param({"refunded_ext": 1_001}, Trouble.REFUND_ABOVE_PAYMENT, id="a refund above the payment"),
        pytest.param({"paid": False, "refunded_ext": 1}, Trouble.REFUND_ABOVE_PAYMENT, id="a refund of no payment"),
        pytest.param(
            {"refunded_ext": 600, "disputes": (Dispute(401, lost=False),)},
            Trouble.REFUND_ABOVE_PAYMENT,
            id="refund and dispute above the payment",
        ),
        pytest.param({"product": "457"}, Trouble.UNKNOWN_PRODUCT, id="an unknown product"),
        pytest.param({"product": "456", "amount_ext": 899}, Trouble.AMOUNT_REFUSED, id="too little for the product"),
        pytest.param({"product": "456", "currency": "eur"}, Trouble.UNKNOWN_CURRENCY, id="its price in other money"),
    ],
)
def test_what_is_not_understood_is_refused(said: dict[str, Any], trouble: Trouble) -> None:
    with pytest.raises(Unbookable) as refused:
        posting(replace(PAID, **said), CENTS)
    assert refused.value.trouble is trouble


@given(
    amount=st.integers(1, 10**12),
    num=st.integers(1, 10**9),
    den=st.integers(1, 10**9),
    cuts=st.lists(st.integers(0, 100), min_size=4, max_size=4).filter(any),
)
def test_no_part_of_a_payment_is_worth_more_than_all_of_it(amount: int, num: int, den: int, cuts: list[int]) -> None:
    rate, total = Rate(num, den), sum(cuts)
    parts = [amount * cut // total for cut in cuts[1:]]
    assert sum(rate.micros(part) for part in parts) <= rate.micros(amount)
