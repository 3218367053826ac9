"""Data that is over: its owner is told before, old snapshots go, and what no key opens leaves the object store."""

from collections.abc import Callable

from moorage.services.purges import Purges

TELL_SECONDS = 60.0
REMOVE_SECONDS = 60.0


class PurgeData:
    """Both turns do what is due now; agents themselves are purged by their reconcile."""

    def __init__(self, purges: Purges, epoch: Callable[[], int]) -> None:
        self._purges = purges
        self._epoch = epoch

    async def tell(self) -> float:
        """Send what is due; looks again at once while there is more."""
        return 0.0 if await self._purges.tell(epoch=self._epoch()) else TELL_SECONDS

    async def remove(self) -> float:
        """Remove what is due."""
        try:
            await self._purges.remove_snapshots(epoch=self._epoch())
            await self._purges.remove_objects(epoch=self._epoch())
        finally:
            await self._purges.show()
        return REMOVE_SECONDS
