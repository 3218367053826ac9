"""Who pays which second under budgets and a limit, decided second by second."""

from dataclasses import dataclass, field

DAY = 86_400


@dataclass
class Pays:
    """An agent as the oracle sees it."""

    uid: str
    rate: int
    budget: int | None
    live_from: int | None = None
    pod: str = ""
    until: int | None = None
    paid: list[int] = field(default_factory=list)


@dataclass
class ByTheSecond:
    """Who pays which second, decided second by second."""

    agents: list[Pays]
    limit: int | None
    until: int | None = None

    def spent(self, agents: list[Pays], second: int) -> int:
        """What these agents have spent in the day of this second."""
        day = second // DAY
        return sum(one.rate for one in agents for paid in one.paid if paid // DAY == day)

    def live(self, lo: int, hi: int) -> None:
        """Charge the seconds from lo to hi."""
        for second in range(lo, hi):
            for one in self.paying(second):
                one.paid.append(second)

    def paying(self, second: int) -> list[Pays]:
        """Who can pay this second; who cannot has reached the budget."""
        burning = [one for one in self.agents if self.burns(one, second)]
        midnight = second - second % DAY + DAY
        for one in burning:
            if one.budget is not None and self.spent([one], second) + one.rate > one.budget:
                one.until = midnight
        burning = [one for one in burning if one.until is None]
        demand = sum(one.rate for one in burning)
        if self.limit is not None and demand and self.spent(self.agents, second) + demand > self.limit:
            self.until, burning = midnight, []
        return burning

    def burns(self, one: Pays, second: int) -> bool:
        """Whether this second of the agent is to be charged."""
        return one.live_from is not None and second >= one.live_from and one.until is None and self.until is None

    def renew(self, now: int) -> None:
        """What the look at `now` begins anew: who was stopped and still lives goes on from there."""
        stopped = [one for one in self.agents if one.until or self.until]
        if self.until is not None and self.until <= now:
            self.until = None
        for one in self.agents:
            if one.until is not None and one.until <= now:
                one.until = None
        for one in stopped:
            if one.live_from is not None and one.until is None and self.until is None:
                one.live_from = now
