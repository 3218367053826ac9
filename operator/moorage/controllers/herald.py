"""Tells the news: Events are written beside everything else, in turns, with bounds; no reconcile waits for one."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from moorage.kube.events import About
from moorage.kube.kinds import Kind
from moorage.lifecycle import news
from moorage.model.errors import MoorageError
from moorage.model.metadata import Metadata
from moorage.model.reasons import Reason
from moorage.observability import Metrics

log = logging.getLogger(__name__)

WAITING_MAX = 2_000
WAITING_PER_NAMESPACE_MAX = 200
PAUSE_SECONDS = 0.05  # between two: at most twenty a second, however many agents stop at once

_Subject = tuple[str, Reason]


class Writer(Protocol):
    """Where Events go."""

    async def write(self, about: About, *, times: int = 1) -> bool:
        """Tell it; False when it was told before."""


class Herald:
    """Hears of every status that was written; namespaces take turns, and what there is no room for is left out.

    An Event is told once per status that was written, so only if the process ends in between is one lost: the
    condition says the same, and stays.
    """

    def __init__(self, writer: Writer, metrics: Metrics) -> None:
        self._writer = writer
        self._metrics = metrics
        # By namespace, whose turn it is first; in it by subject, with how often it is to be told.
        self._waiting: OrderedDict[str, OrderedDict[_Subject, tuple[About, int]]] = OrderedDict()
        self._count = 0
        self._some = asyncio.Event()

    def written(self, kind: Kind, metadata: Metadata, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """A status of an object was written; raises nothing and waits for nothing."""
        for reason in news.of(kind.kind, before, after):
            self._keep(About(kind, metadata, reason, reason in news.BAD))

    async def run(self) -> None:
        """Tell what waits, for ever."""
        while True:
            await self._some.wait()
            about, times = self._next()
            try:
                first = await self._writer.write(about, times=times)
                self._counted("Written" if first else "Repeated")
            except MoorageError as error:
                self._counted("Failed")
                log.debug("an event was not written", extra={"reason": about.reason.value, "why": str(error)})
            except Exception:  # news must never be the end of the process
                self._counted("Failed")
                log.exception("bug in writing an event", extra={"reason": about.reason.value})
            await asyncio.sleep(PAUSE_SECONDS)

    def _keep(self, about: About) -> None:
        lane = self._waiting.get(about.metadata.namespace)
        subject = (about.metadata.uid, about.reason)
        if lane is not None and subject in lane:
            lane[subject] = (about, lane[subject][1] + 1)
            return
        if self._count >= WAITING_MAX or (lane is not None and len(lane) >= WAITING_PER_NAMESPACE_MAX):
            self._counted("Dropped")
            return
        self._waiting.setdefault(about.metadata.namespace, OrderedDict())[subject] = (about, 1)
        self._count += 1
        self._some.set()

    def _next(self) -> tuple[About, int]:
        namespace, lane = self._waiting.popitem(last=False)
        _, told = lane.popitem(last=False)
        if lane:
            self._waiting[namespace] = lane
        self._count -= 1
        if not self._count:
            self._some.clear()
        return told

    def _counted(self, result: str) -> None:
        self._metrics.events.labels(result).inc()
