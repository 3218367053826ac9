"""Keeps the leader's lease alive; the first renewal that finds another epoch ends the process."""

from collections.abc import Callable

from moorage.store.leader import RENEW_SECONDS, Leadership


class KeepLease:
    """Renews while this process leads."""

    def __init__(self, leadership: Leadership, epoch: Callable[[], int]) -> None:
        self._leadership = leadership
        self._epoch = epoch

    async def renew(self) -> float:
        """One renewal; raises LostLeadership when another process leads."""
        await self._leadership.renew(self._epoch())
        return RENEW_SECONDS
