"""The zero loop: due wallets are settled at the second they reach zero."""

from collections.abc import Callable

from moorage.observability import Metrics
from moorage.store.ledger import Ledger

POLL_SECONDS = 1.0


class SettleWallets:
    """Sleeps until the next wallet is due, but never longer than the poll."""

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
