"""The inbox loop: what providers told us is looked up at them and booked."""

import logging

from moorage.observability import Metrics
from moorage.services.deposits import Deposits

POLL_SECONDS = 1.0
BACKLOG_SECONDS = 60.0

log = logging.getLogger(__name__)


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

    async def look_back(self) -> float:
        """What is not done yet; a deadline that is over is said every time until somebody decides."""
        backlog = await self._deposits.backlog()
        self._metrics.payments_waiting.set(backlog.waiting)
        self._metrics.payments_overdue.set(backlog.overdue)
        self._metrics.oldest_event_seconds.set(backlog.oldest_event_seconds)
        if backlog.overdue:
            log.error("payments wait beyond their deadline", extra={"overdue": backlog.overdue})
        return BACKLOG_SECONDS
