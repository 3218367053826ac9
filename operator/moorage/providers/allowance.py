"""How often a provider may be asked: one bucket for everybody who asks, closed for as long as the provider says."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from enum import Enum

from moorage.model.errors import NotAsked

CLOSED_SECONDS = 300.0  # where the provider says "enough" and not for how long: its longest window
PAUSE_SECONDS = 0.01  # a rest that is rounded to nothing would never end
_LEFT = re.compile(r";\s*r=(\d+)\s*;\s*t=(\d+)")


class Urgency(Enum):
    """What a call is for; its value is the share of the bucket that it leaves to what is more urgent."""

    REMOVE = 0.0
    """Taking something away: what stays can be abused."""
    RECORD = 0.05
    CERTIFICATE = 0.1


class Allowance:
    """A bucket of calls that holds what one minute allows.

    In five minutes no more than six minutes' worth goes out: with 200 a minute that is the 1,200 that Cloudflare
    allows in five. Who gets no call is told when to come again.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = float(per_minute)
        self._left = float(per_minute)
        self._filled_at = clock()
        self._closed_until = 0.0
        self._clock = clock

    def take(self, urgency: Urgency) -> None:
        """One call; raises NotAsked with the seconds after which there will be one."""
        if (seconds := self._wait_seconds(urgency)) > 0:
            raise NotAsked("no call to the provider is left", wait_seconds=seconds)
        self._left -= 1

    async def room(self, urgency: Urgency) -> None:
        """Wait until there is a call, for whoever waits in a queue of its own anyway; raises NotAsked when closed."""
        while (seconds := self._wait_seconds(urgency)) > 0:
            if self._closed_until > self._clock():
                raise NotAsked("the provider asked for patience", wait_seconds=seconds)
            await asyncio.sleep(max(seconds, PAUSE_SECONDS))

    def _wait_seconds(self, urgency: Urgency) -> float:
        closed = self._closed_until - self._clock()
        short = int(self._size * urgency.value) + 1 - self.left()
        return closed if closed > 0 else max(0.0, short * 60 / self._size)

    def left(self) -> float:
        """Calls that are left now."""
        now = self._clock()
        self._left = min(self._size, self._left + (now - self._filled_at) * self._size / 60)
        self._filled_at = now
        return 0.0 if now < self._closed_until else self._left

    def note(self, status: int, headers: Mapping[str, str]) -> None:
        """What the provider says with every answer about how much is left; others may use the same account."""
        if status == 429:
            said = headers.get("Retry-After", "")
            self.close(float(said) if said.isdigit() else CLOSED_SECONDS)
            return
        for remaining, seconds in _LEFT.findall(headers.get("Ratelimit", "")):
            self._left = min(self.left(), float(remaining))
            if remaining == "0":
                self.close(float(seconds))

    def close(self, seconds: float) -> None:
        """No call at all for this long."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)
