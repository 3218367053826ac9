"""The statement loop: each minute one sixtieth of the wallets is settled and gets its statement lines."""

from collections.abc import Callable

from moorage.observability import Metrics
from moorage.store.meters import Meters

SLOTS = 60
SLOT_SECONDS = 60.0


class WriteStatements:
    """Every wallet once an hour; slots that were missed because a turn took long are made up for."""

    def __init__(self, meters: Meters, epoch: Callable[[], int], metrics: Metrics, *, now: Callable[[], float]) -> None:
        self._meters = meters
        self._epoch = epoch
        self._metrics = metrics
        self._now = now
        self._next: int | None = None  # the first minute that is not written
        self._seen_entry: int | None = None

    async def write(self) -> float:
        """Write the minutes that are due, and count what the platform has absorbed since the last time."""
        minute = int(self._now() // SLOT_SECONDS)
        if self._next is None or self._next % SLOTS == 0:
            await self._meters.prepare_months(epoch=self._epoch())
        # After more than an hour every slot is due once, not more.
        first = minute if self._next is None else max(self._next, minute - SLOTS + 1)
        for due in range(first, minute + 1):
            await self._meters.write_statements(epoch=self._epoch(), slot=due % SLOTS)
            self._next = due + 1
        await self._count_absorbed()
        return max(0.1, (minute + 1) * SLOT_SECONDS - self._now())

    async def _count_absorbed(self) -> None:
        self._seen_entry, absorbed = await self._meters.absorbed(after_entry=self._seen_entry)
        for one in absorbed:
            if one.seconds > 0:  # a counter does not go back; what was taken back is in the books
                self._metrics.absorbed_seconds.labels(one.cause, one.meter).inc(one.seconds)
