"""How long a key that failed waits: twice as long each time, with full jitter, up to a cap."""

import random
from dataclasses import dataclass

from moorage.model.errors import Permanent, Transient, Unavailable

# A service that is away says nothing about the object: once it is back, nobody waits longer than some 13 seconds.
OUTAGE_FAILURES_MAX = 8


@dataclass(frozen=True, slots=True)
class Pauses:
    """Pauses between `base_seconds` and `cap_seconds`."""

    base_seconds: float
    cap_seconds: float
    rng: random.Random

    def counted(self, failures: int, failure: Exception) -> int:
        """So many failures in a row, with this one."""
        return min(failures + 1, OUTAGE_FAILURES_MAX) if isinstance(failure, Unavailable) else failures + 1

    def seconds(self, failures: int, failure: Exception) -> float:
        """The pause after so many failures, the last of which is this."""
        if isinstance(failure, Permanent):
            # The run should have turned it into a condition; only a change of the object can help, or a restart.
            return self.rng.uniform(self.cap_seconds / 2, self.cap_seconds)
        wait = self.rng.uniform(0.0, min(self.cap_seconds, self.base_seconds * 2 ** min(failures, 20)))
        wanted = failure.retry_after_seconds if isinstance(failure, Transient) else None
        return wait if wanted is None else max(wait, wanted)
