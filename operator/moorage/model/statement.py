"""What a wallet's statement says: frozen views for people who check it."""

from dataclasses import dataclass
from datetime import datetime

from moorage.model.wallet import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Movements:
    """All entries of one kind up to a moment."""

    kind: str
    entries: int
    amount_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """The statement lines of one agent at one meter and price class."""

    agent: str  # namespace/name, empty where the agent is unknown
    meter: str
    price_class: str
    charged_seconds: int
    absorbed_seconds: int  # paid by the platform
    amount_picos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What is true now and booked later; `live_balance_micros` is booked minus accrued."""

    metered: tuple[Metered, ...]
    open_picos: int  # charged for what still runs and is on no line yet
    carry_picos: int  # charged with the next entry: less than one micro-credit
    accrued_micros: int
    accrued_since: datetime
    live_balance_micros: int
    held_micros: int
    burn_picos: int
    zero_at: datetime | None
    missing_micros: int
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a balance came about, and, where it is today's, what follows from it."""

    wallet: str
    at: datetime
    movements: tuple[Movements, ...]
    last_seq: int
    balance_micros: int  # what the entry numbered last_seq says; the movements add up to it
    present: Present | None  # None for a moment in the past: only what was booked is known for sure
