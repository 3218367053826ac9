"""Outbox rows ring the bells of those they concern: at once on a notification, within a second without."""

import asyncio
from collections.abc import Callable

from moorage.model.names import Key
from moorage.store.outbox import BATCH_MAX, Outbox

POLL_SECONDS = 1.0


class DeliverWakeups:
    """The poll is the truth; the notification only shortens the wait."""

    def __init__(self, outbox: Outbox, ring: Callable[[Key, bool], None]) -> None:
        self._outbox = outbox
        self._ring = ring
        self._hint = asyncio.Event()

    async def deliver(self) -> float:
        """Ring for one batch, then wait for a hint or the poll."""
        await self._outbox.listen(self._hint.set)
        self._hint.clear()
        keys = await self._outbox.take()
        for key in keys:
            self._ring(key, True)
        if len(keys) == BATCH_MAX:
            return 0.0
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._hint.wait()
        except TimeoutError:
            pass
        return 0.0
