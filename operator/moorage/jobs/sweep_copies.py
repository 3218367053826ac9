"""Frozen copies that nobody needs are removed, and what the cluster can freeze is asked again."""

import time
from collections.abc import Callable

from moorage.services.frozen_copies import FrozenCopies

SWEEP_SECONDS = 30.0
SWEEP_SECONDS_BUSY = 5.0
LOOK_SECONDS = 600.0


class SweepCopies:
    """Cleans up behind attempts that read a frozen copy."""

    def __init__(
        self, copies: FrozenCopies, epoch: Callable[[], int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._copies = copies
        self._epoch = epoch
        self._clock = clock
        self._looked_at: float | None = None

    async def sweep(self) -> float:
        """Remove what is left over now; look at the cluster first, and then now and then."""
        now = self._clock()
        if self._looked_at is None or now - self._looked_at >= LOOK_SECONDS:
            await self._copies.look()
            self._looked_at = now
        return SWEEP_SECONDS_BUSY if await self._copies.sweep(epoch=self._epoch()) else SWEEP_SECONDS
