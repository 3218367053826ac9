"""Budget: how much may be spent in one UTC day, by one agent or by all agents of a wallet together."""

import msgspec

from moorage.model import money


class Budget(msgspec.Struct, frozen=True, rename="camel"):
    """A bound for a day; `per_day` is a positive decimal number of credits. Any other text is no Budget."""

    per_day: str

    def __post_init__(self) -> None:
        if money.parse_credits(self.per_day) == 0:
            raise ValueError("a budget is a positive amount for a day")

    @property
    def picos_per_day(self) -> int:
        """The bound in the unit of prices."""
        return money.parse_credits(self.per_day) * money.PICOS_PER_MICRO
