"""Prices: what is metered, by which class, and how people write it."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from moorage.model import money

MIB_PER_GIB = 1024
SECONDS_PER_MONTH = 30 * 86_400  # what storage is quoted for; a domain's month is the calendar's

_CLASS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}")


class Meter(StrEnum):
    """What is charged for; the unit of its rate is in `UNITS`."""

    POD = "Pod"
    VOLUME = "Volume"
    SNAPSHOT = "Snapshot"
    DOMAIN = "Domain"
    MODEL = "Model"


UNITS = {
    Meter.POD: "hour",
    Meter.VOLUME: "GiB and 30 days",
    Meter.SNAPSHOT: "GiB and 30 days",
    Meter.DOMAIN: "month",
    Meter.MODEL: "million tokens",
}
_BY_CLASS = (Meter.POD, Meter.MODEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateView:
    """One version of a price; it is valid until the next version of its meter and class is."""

    meter: Meter
    class_: str  # the size of a Pod, `<model>/<token kind>` of a Model, empty for the others
    rate_picos: int  # per second, per MiB and second, per month, or per token
    valid_from: datetime
    in_force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalView:
    """A price that waits for a second person."""

    id: int
    meter: Meter
    class_: str
    rate_picos: int
    valid_from: datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What became of a proposal; `rate_id` is None while it waits for a second person."""

    proposal_id: int
    rate_id: int | None
    valid_from: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """A volume or snapshot as it is metered."""

    meter: Meter
    object_id: str  # the claim's or the snapshot's own id
    mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorbed:
    """Seconds that the platform paid for, because there was no credit (`Zero`) or we charged too late (`Overdue`)."""

    cause: str
    meter: Meter
    seconds: int  # negative when an earlier end has shown them not to have been used


def parse_subject(text: str) -> tuple[Meter, str]:
    """Read `Pod/small`, `Volume` or `Model/<model>/<token kind>` into meter and class.

    Raises ValueError with a sentence for the user.
    """
    name, _, class_ = text.partition("/")
    try:
        meter = Meter(name)
    except ValueError:
        raise ValueError(f"a price is of one of {', '.join(Meter)}") from None
    if meter not in _BY_CLASS and class_:
        raise ValueError(f"{meter} has one price and no classes")
    if meter in _BY_CLASS and not _CLASS.fullmatch(class_):
        raise ValueError(f"name the class of {meter}, such as Pod/small or Model/some-model/input")
    return meter, class_


def parse_price(meter: Meter, text: str) -> int:
    """Read a price in credits per `UNITS[meter]` into pico-credits; storage is rounded down to a whole number of them.

    Raises ValueError with a sentence for the user.
    """
    if meter is Meter.POD:
        return money.price_per_hour_to_rate(text)
    price_micros = money.parse_credits(text)
    if meter is Meter.MODEL:
        return price_micros  # a millionth of a million
    price_picos = price_micros * money.PICOS_PER_MICRO
    if meter is Meter.DOMAIN:
        return price_picos
    rate_picos = price_picos // (MIB_PER_GIB * SECONDS_PER_MONTH)
    if price_picos and not rate_picos:
        raise ValueError("the least price of storage is 0.002655 credits per GiB and 30 days")
    return rate_picos


def format_price(meter: Meter, rate_picos: int) -> str:
    """Write a rate as credits per `UNITS[meter]`, rounded down to the micro-credit."""
    match meter:
        case Meter.POD:
            return money.format_price_per_hour(rate_picos)
        case Meter.MODEL:
            return money.format_micros(rate_picos)
        case Meter.DOMAIN:
            return money.format_micros(rate_picos // money.PICOS_PER_MICRO)
        case _:
            return money.format_micros(rate_picos * MIB_PER_GIB * SECONDS_PER_MONTH // money.PICOS_PER_MICRO)
