"""The inbox loop: what providers told us is looked up at them and booked."""

from moorage.observability import Metrics
from moorage.services.deposits import Deposits

POLL_SECONDS = 1.0


class ApplyPayments:
    """Works the inbox off; the poll is the truth."""

    def __init__(self, deposits: Deposits, metrics: Metrics) -> None:
        self._deposits = deposits
        self._metrics = metrics

    async def apply(self) -> float:
        """One batch; looks again at once while there is more."""
        outcomes = await self._deposits.apply_news()
        for outcome in outcomes:
            self._metrics.payments.labels(outcome="Unread" if outcome is None else outcome.value).inc()
        return 0.0 if outcomes else POLL_SECONDS
