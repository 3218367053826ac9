"""Trouble that lasts: an operator that dies whenever anything has moved, and a minute in which something is away."""

import time
from collections.abc import Callable

from tests.e2e.house import House
from tests.e2e.tenancy import Helper

STAGE_SECONDS_MAX = 240
LOOK_SECONDS = 0.02
OUTAGE_SECONDS = 60
MOVED = ("state", "attempt_state", "stop_recorded", "incarnation", "volume_generation", "pod_uid", "wish")


def for_a_minute(look: Callable[[], None]) -> None:
    """Look again and again while the outage lasts."""
    ends = time.monotonic() + OUTAGE_SECONDS
    while time.monotonic() < ends:
        look()
        time.sleep(1.0)


class Killer:
    """Kills the operator whenever the agent's record has moved, and starts it again."""

    def __init__(self, house: House, helper: Helper, **settings: str) -> None:
        self._house, self._helper, self._settings = house, helper, settings
        self._seen: set[tuple[object, ...]] = set()
        self.died_at: set[tuple[str, str | None]] = set()

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Go on until it is so and nothing moves any more."""
        deadline = time.monotonic() + STAGE_SECONDS_MAX
        while self._kill_if_moved() or not reached():
            assert time.monotonic() < deadline, f"{what}: {self._helper.record()}"
            time.sleep(LOOK_SECONDS)

    def _kill_if_moved(self) -> bool:
        record = self._helper.record()
        now = tuple(record[name] for name in MOVED)
        if now in self._seen:
            return False
        self._seen.add(now)
        self._house.kill_operator()
        self.died_at.add((record["state"], record["attempt_state"]))
        self._house.start_operator(**self._settings)
        return True
