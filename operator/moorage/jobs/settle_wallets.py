"""Due wallets are settled at the second they reach zero; all burning ones once an hour for their books."""

from collections.abc import Callable

from moorage.observability import Metrics
from moorage.store.ledger import Ledger

POLL_SECONDS = 1.0
BOOKS_SECONDS = 3600.0


class SettleWallets:
    """The zero loop: sleeps until the next wallet is due, but never longer than the poll."""

    def __init__(self, ledger: Ledger, epoch: Callable[[], int], metrics: Metrics) -> None:
        self._ledger = ledger
        self._epoch = epoch
        self._metrics = metrics

    async def due(self) -> float:
        """Settle what is due; returns the seconds until the next wallet is."""
        settled = await self._ledger.settle_due(epoch=self._epoch())
        self._metrics.settled.inc(settled.wallets)
        self._metrics.exhausted.inc(settled.exhausted)
        if settled.next_due_s is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.02, settled.next_due_s - settled.now_s))

    async def books(self) -> float:
        """Post what every burning wallet owes up to the proven second."""
        await self._ledger.settle_all(epoch=self._epoch())
        return BOOKS_SECONDS
