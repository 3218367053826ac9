"""Money as integers: micro-credits for amounts, pico-credits per second for prices; text only at the edges.

One credit is one US dollar. 1 credit = 10**6 micro-credits (`_micros`) = 10**12 pico-credits (`_picos`).
"""

import re

MICROS_PER_CREDIT = 1_000_000
PICOS_PER_MICRO = 1_000_000
SECONDS_PER_HOUR = 3600
# Keeps balance x 10**6 inside a signed 64-bit integer; the same bound is a CHECK in the ledger.
AMOUNT_MICROS_MAX = 9_000_000_000_000

_CREDITS = re.compile(r"([0-9]{1,7})(?:\.([0-9]{1,6}))?")


def parse_credits(text: str) -> int:
    """Read a decimal number of credits such as `12.5` into micro-credits.

    Raises ValueError with a sentence for the user when it is negative, has more than six decimals or is no number.
    """
    match = _CREDITS.fullmatch(text.strip())
    if match is None:
        raise ValueError("an amount of credits is a positive decimal number with at most six decimals, such as 12.5")
    whole, fraction = match.group(1), match.group(2) or ""
    amount_micros = int(whole) * MICROS_PER_CREDIT + int(fraction.ljust(6, "0"))
    if amount_micros > AMOUNT_MICROS_MAX:
        raise ValueError("an amount of credits may not exceed 9000000")
    return amount_micros


def format_micros(amount_micros: int) -> str:
    """Write micro-credits as decimal credits without trailing zeros, at least two decimals: `12.50`, `-0.000001`."""
    sign, rest = ("-", -amount_micros) if amount_micros < 0 else ("", amount_micros)
    whole, fraction = divmod(rest, MICROS_PER_CREDIT)
    digits = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def format_picos(amount_picos: int) -> str:
    """Write pico-credits as decimal credits, exactly: as many decimals as it takes, at least two."""
    sign, rest = ("-", -amount_picos) if amount_picos < 0 else ("", amount_picos)
    whole, fraction = divmod(rest, MICROS_PER_CREDIT * PICOS_PER_MICRO)
    digits = f"{fraction:012d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def format_price_per_hour(rate_picos_per_second: int) -> str:
    """Write a price per second as credits per hour, rounded down to the micro-credit."""
    return format_micros(rate_picos_per_second * SECONDS_PER_HOUR // PICOS_PER_MICRO)


def price_per_hour_to_rate(text: str) -> int:
    """Read a price in credits per hour into pico-credits per second; it must come out whole.

    Raises ValueError when a second's price would not be an integer number of pico-credits.
    """
    picos_per_hour = parse_credits(text) * PICOS_PER_MICRO
    rate_picos, rest = divmod(picos_per_hour, SECONDS_PER_HOUR)
    if rest:
        raise ValueError("a price per hour must be a multiple of 0.000009 credits, so that a second's price is exact")
    return rate_picos
