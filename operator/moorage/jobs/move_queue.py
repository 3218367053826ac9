"""The queue of movers is looked at now and then: for the metrics, and for a place that nobody gave away."""

import logging
from collections.abc import Callable

from moorage.observability import Metrics
from moorage.store.movers import Movers

LOOK_SECONDS = 15.0

log = logging.getLogger(__name__)


class MoveQueue:
    """The net: places are given by whoever frees them, and what that misses is given here."""

    def __init__(self, movers: Movers, epoch: Callable[[], int], metrics: Metrics) -> None:
        self._movers = movers
        self._epoch = epoch
        self._metrics = metrics

    async def look(self) -> float:
        """Give what is free, and count."""
        given = await self._movers.grant(epoch=self._epoch())
        if given:
            log.info("places for movers were free and are given", extra={"given": given})
        queue = await self._movers.queue()
        self._metrics.movers_running.set(queue.running)
        for kind, waiting in queue.waiting.items():
            self._metrics.mover_queue_depth.labels(kind.value).set(waiting)
        return LOOK_SECONDS
