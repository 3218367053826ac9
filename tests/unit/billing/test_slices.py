"""How much a gateway sets aside: enough for the request at hand, never more than its share, less and less near zero."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.billing import slices
from moorage.model.money import PICOS_PER_MICRO
from moorage.model.spending import ModelPrice, Tokens

counts = st.integers(0, 10_000_000)
picos = st.integers(0, 10**10)
prices = st.builds(ModelPrice, model=st.just("m"), input_picos=picos, output_picos=picos, cached_picos=picos)
micros = st.integers(0, 10**12)
gateways = st.integers(1, 50)


@given(prices, counts, counts, st.data())
def test_no_request_costs_more_than_its_worst_case(
    price: ModelPrice, input_tokens: int, output_max: int, data: st.DataObject
) -> None:
    cached = data.draw(st.integers(0, input_tokens))
    output = data.draw(st.integers(0, output_max))
    worst = slices.worst_case_picos(price, input_tokens=input_tokens, output_tokens_max=output_max)
    assert price.of(Tokens(input_tokens - cached, output, cached)) <= worst
    assert slices.whole_micros(worst) * PICOS_PER_MICRO >= worst
    assert (slices.whole_micros(worst) - 1) * PICOS_PER_MICRO < max(worst, 1)


@given(st.integers(1, 10**12), micros, micros, gateways)
def test_a_slice_pays_the_request_and_keeps_to_its_share(worst: int, recent: int, spare: int, of: int) -> None:
    size = slices.slice_micros(worst_micros=worst, recent_micros=recent, spare_micros=spare, gateways=of)
    assert size >= worst
    assert size <= max(worst, min(recent, spare // (2 * of)))


@given(st.integers(1, 1_000), st.integers(1_000, 10**12), gateways)
def test_slices_shrink_until_the_wallet_is_for_single_requests(worst: int, spare: int, of: int) -> None:
    """Every gateway takes its slice again and again: each round is smaller, and what is left is under one share."""
    before = spare
    while not slices.is_for_single_requests(worst_micros=worst, spare_micros=spare, gateways=of):
        size = slices.slice_micros(worst_micros=worst, recent_micros=10**12, spare_micros=spare, gateways=of)
        assert size <= before
        before, spare = size, spare - size
    assert 0 <= spare < 2 * of * worst


def test_an_unknown_wallet_is_asked_for_what_is_wanted() -> None:
    assert slices.slice_micros(worst_micros=5, recent_micros=9, spare_micros=None, gateways=3) == 9
    assert not slices.is_for_single_requests(worst_micros=5, spare_micros=None, gateways=3)


@given(prices, counts, micros)
def test_the_affordable_output_is_the_most_that_fits(price: ModelPrice, input_tokens: int, spare: int) -> None:
    most = slices.affordable_output_tokens(price, input_tokens=input_tokens, spare_micros=spare)

    def fits(output: int) -> bool:
        worst = slices.worst_case_picos(price, input_tokens=input_tokens, output_tokens_max=output)
        return worst <= spare * PICOS_PER_MICRO

    assert most >= 0
    if most:
        assert fits(most)
    if price.output_picos:
        assert not fits(most + 1)


@pytest.mark.parametrize(
    ("dollars_per_million", "tokens", "micros_and_picos"),
    [("15", 1, (15, 0)), ("0.0375", 1, (0, 37_500)), ("0.0375", 27, (1, 12_500)), ("0.000001", 999_999, (0, 999_999))],
)
def test_usual_prices_are_whole_pico_credits_per_token(
    dollars_per_million: str, tokens: int, micros_and_picos: tuple[int, int]
) -> None:
    whole, _, part = dollars_per_million.partition(".")
    rate_picos = int(whole + part.ljust(6, "0"))
    price = ModelPrice(model="m", input_picos=rate_picos, output_picos=0, cached_picos=0)
    assert divmod(price.of(Tokens(tokens, 0)), PICOS_PER_MICRO) == micros_and_picos
