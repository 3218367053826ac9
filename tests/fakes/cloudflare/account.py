"""An account with its zones and tokens, and how often it may be asked."""

import itertools
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

DNS, SSL, ZONE = "dns", "ssl", "zone"
EVERYTHING = frozenset({DNS, SSL, ZONE})
TOKEN = "token-with-all-rights"  # opens a fake
LIMIT, WINDOW_SECONDS = 1200, 300.0  # as documented, for everything of a user together

Json = dict[str, Any]  # what goes over the wire


class Refusal(Exception):
    """An answer that is an error, by its number."""

    def __init__(self, code: int, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


@dataclass
class Zone:
    """Records and custom host names of one domain."""

    id: str
    name: str
    records: dict[str, Json] = field(default_factory=dict)
    hostnames: dict[str, Json] = field(default_factory=dict)
    quota: int = 3500


@dataclass
class Account:
    """The provider's memory; a test looks into it, lays faults in the way, and turns the status of host names."""

    clock: Callable[[], float]
    zones: dict[str, Zone] = field(default_factory=dict)
    tokens: dict[str, frozenset[str]] = field(default_factory=lambda: {TOKEN: EVERYTHING})
    certificates: dict[str, Json] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, str]] = field(default_factory=list)
    """What it is about, and `500`, `html`, `false`, `enough`, `null` or `lost`: each for one call."""
    hostname_status: str = "active"  # of those that are made from now on
    between_pages: Callable[[], None] = lambda: None
    blocked_until: float = 0.0
    times: deque[float] = field(default_factory=deque)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def zone(self, name: str) -> Zone:
        """The zone of this name; made at the first time."""
        if name not in self.zones:
            self.zones[name] = Zone(self.new_id(), name)
        return self.zones[name]

    def zone_of(self, zone_id: str) -> Zone:
        """By its id."""
        for zone in self.zones.values():
            if zone.id == zone_id:
                return zone
        raise Refusal(7003, 404)

    def new_id(self) -> str:
        """As the provider's look."""
        return f"{next(self._numbers):032x}"

    def spend(self) -> Json:
        """Count one call; headers of its answer. Raises Refusal when there were too many, and then for minutes."""
        now = self.clock()
        while self.times and self.times[0] <= now - WINDOW_SECONDS:
            self.times.popleft()
        if now < self.blocked_until:
            raise Refusal(10100, 429)
        if len(self.times) >= LIMIT:
            self.blocked_until = now + WINDOW_SECONDS
            raise Refusal(10100, 429)
        self.times.append(now)
        left, reset = LIMIT - len(self.times), int(self.times[0] + WINDOW_SECONDS - now)
        return {"Ratelimit": f'"default";r={left};t={reset}', "Ratelimit-Policy": f'"default";q={LIMIT};w=300'}

    def fault(self, kind: str) -> str:
        """What goes wrong with this call."""
        for number, (about, fault) in enumerate(self.faults):
            if about == kind:
                del self.faults[number]
                return fault
        return ""
