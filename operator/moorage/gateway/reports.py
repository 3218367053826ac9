"""Finished requests on their way to the ledger: in batches, again after a failure, one by one after a refusal."""

import asyncio
import logging
from collections.abc import Callable

from moorage.gateway.journal import Journal
from moorage.model.spending import FinishedRequest, Lease
from moorage.store.leases import Leases
from moorage.store.ledger import LedgerRefusal

log = logging.getLogger(__name__)

REQUESTS_MAX = 500


class Reports:
    """What ended and is not in the ledger yet. `heard` is told how the leases of a batch stand."""

    def __init__(self, leases: Leases, heard: Callable[[Lease], None]) -> None:
        self._leases = leases
        self._heard = heard
        self._waiting: list[FinishedRequest] = []
        self._sending = asyncio.Lock()

    def add(self, request: FinishedRequest) -> None:
        """Report it with the next batch."""
        self._waiting.append(request)

    async def flush(self, journal: Journal | None = None) -> None:
        """Report all that waits; what could not be sent stays, and is sent with the same ids the next time."""
        async with self._sending:
            while batch := self._waiting[:REQUESTS_MAX]:
                if journal is not None:
                    await journal.write()
                await self._leased([request for request in batch if request.lease_id is not None])
                for request in batch:
                    if request.lease_id is None:
                        await self._held(request)
                del self._waiting[: len(batch)]
                if journal is not None:
                    journal.settled(request.id for request in batch)

    async def _leased(self, batch: list[FinishedRequest]) -> None:
        if not batch:
            return
        try:
            answers = await self._leases.flush(batch)
        except LedgerRefusal as refusal:
            if len(batch) > 1:  # one that cannot be must not keep the others back
                for request in batch:
                    await self._leased([request])
            else:
                _refused(batch[0], refusal)
            return
        for lease in answers:
            self._heard(lease)

    async def _held(self, request: FinishedRequest) -> None:
        try:
            await self._leases.settle_hold(request)
        except LedgerRefusal as refusal:
            _refused(request, refusal)


def _refused(request: FinishedRequest, refusal: LedgerRefusal) -> None:
    log.error("the ledger refused a request", extra={"request": request.id, "why": str(refusal)})
