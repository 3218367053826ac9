"""Credit that gateways set aside and left behind goes back to its wallet, and usage has a partition for every day."""

from collections.abc import Callable

from moorage.store.leases import Reservations

EXPIRE_SECONDS = 5.0
DAYS_AHEAD = 7
CALLS_PER_PREPARATION = 720  # an hour


class ExpireReservations:
    """The expiry loop. The database's clock decides what is too old; this only asks."""

    def __init__(self, reservations: Reservations, epoch: Callable[[], int]) -> None:
        self._reservations = reservations
        self._epoch = epoch
        self._calls = 0

    async def expire(self) -> float:
        """Sweep once; now and then, and first of all, prepare the next days."""
        if self._calls % CALLS_PER_PREPARATION == 0:
            await self._reservations.prepare_usage_days(epoch=self._epoch(), ahead=DAYS_AHEAD)
        self._calls += 1
        await self._reservations.expire(epoch=self._epoch())
        return EXPIRE_SECONDS
