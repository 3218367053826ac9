"""Uploads and parts that failed attempts left in the object store are removed, even when nobody tries again."""

from collections.abc import Callable

from moorage.services.snapshots import Snapshots

SWEEP_SECONDS = 600.0


class SweepUploads:
    """Cleans up behind attempts that are over."""

    def __init__(self, snapshots: Snapshots, epoch: Callable[[], int]) -> None:
        self._snapshots = snapshots
        self._epoch = epoch

    async def sweep(self) -> float:
        """Remove what is left over now."""
        await self._snapshots.sweep(epoch=self._epoch())
        return SWEEP_SECONDS
