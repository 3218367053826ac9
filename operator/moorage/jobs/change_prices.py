"""Open runs go over to a price at the second from which it is valid; late notice changes nothing but our wait."""

from collections.abc import Callable

from moorage.store.meters import Meters

LOOK_SECONDS = 1.0


class ChangePrices:
    """Looks for prices that have become valid; nearly always there are none."""

    def __init__(self, meters: Meters, epoch: Callable[[], int]) -> None:
        self._meters = meters
        self._epoch = epoch

    async def change(self) -> float:
        """Reprice what is to be repriced."""
        await self._meters.reprice(epoch=self._epoch())
        return LOOK_SECONDS
