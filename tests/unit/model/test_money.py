"""Money at the edges: text in, text out, never a float between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.model import money


@pytest.mark.parametrize(
    ("text", "amount_micros"),
    [("12.5", 12_500_000), ("0.000001", 1), ("9000000", 9_000_000_000_000), (" 1 ", 1_000_000)],
)
def test_an_amount_of_credits_is_read_exactly(text: str, amount_micros: int) -> None:
    assert money.parse_credits(text) == amount_micros


@pytest.mark.parametrize("text", ["-1", "", "1e3", "0.0000001", "1,5", "NaN", "9000000.000001", "99999999", "１"])
def test_what_is_no_amount_of_credits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="credits"):
        money.parse_credits(text)


@given(st.integers(0, money.AMOUNT_MICROS_MAX))
def test_writing_and_reading_an_amount_is_the_identity(amount_micros: int) -> None:
    assert money.parse_credits(money.format_micros(amount_micros)) == amount_micros


def test_a_debt_is_written_with_its_sign() -> None:
    assert money.format_micros(-1) == "-0.000001"


@given(st.integers(0, 10_000_000))
def test_a_price_per_hour_that_is_exact_comes_back(step: int) -> None:
    rate_picos = step * 2_500
    text = money.format_price_per_hour(rate_picos)
    if money.parse_credits(text) * money.PICOS_PER_MICRO == rate_picos * money.SECONDS_PER_HOUR and step < 10_000:
        assert money.price_per_hour_to_rate(text) == rate_picos
