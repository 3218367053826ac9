"""Deposits: objects with news are read again at their provider and booked as they stand there.

An event only says where to look. So a lost, doubled or late one changes nothing but when the ledger learns of it.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moorage.billing import chain_objects, postings, stripe_objects, tribute_objects
from moorage.billing.postings import Terms
from moorage.model.errors import Transient
from moorage.model.payments import Backlog, Outcome, PaymentSnapshot, Source, Taken, Trouble, Unbookable
from moorage.providers.ports import PaymentObjects
from moorage.store.payments import Payments
from moorage.store.together import together

OBJECTS_PER_LOOK_MAX = 200
AT_ONCE_MAX = 8

READERS: dict[Source, Callable[[Any], PaymentSnapshot]] = {
    Source.STRIPE: stripe_objects.read,
    Source.TRIBUTE: tribute_objects.read,
    Source.CHAIN: chain_objects.read,
}


@dataclass(frozen=True, slots=True)
class Till:
    """One source of money: where its objects are read, and what they are worth."""

    objects: PaymentObjects
    terms: Terms


class Deposits:
    """Brings payments into the ledger; every method is repeatable."""

    def __init__(self, payments: Payments, tills: Mapping[Source, Till]) -> None:
        self._payments = payments
        self._tills = tills

    async def apply_news(self) -> list[Outcome | None]:
        """Look at what has news; None stands for an object that could not be read and comes back later."""
        if not self._tills:
            return []
        taken = await self._payments.take(list(self._tills), objects_max=OBJECTS_PER_LOOK_MAX)
        gate = asyncio.Semaphore(AT_ONCE_MAX)

        async def one(item: Taken) -> Outcome | None:
            async with gate:
                return await self._apply(item)

        return await together(one(item) for item in taken)

    async def backlog(self) -> Backlog:
        """What is not done yet."""
        return await self._payments.backlog()

    async def _apply(self, item: Taken) -> Outcome | None:
        till = self._tills[item.source]
        try:
            document = await till.objects.fetch(item.obj_id)  # outside of any transaction
        except Transient:
            await self._payments.put_back(item, code="ProviderUnavailable")
            return None
        if document is None:
            await self._payments.put_back(item, code="ObjectNotFound")
            return None
        try:
            seen = _read(item, document)
            posting = postings.posting(seen, till.terms)
        except Unbookable as error:
            await self._payments.suspend(item, error.trouble)
            return Outcome.SUSPENDED
        try:
            applied = await self._payments.apply(posting, version=item.version, events=item.events)
        except Transient:
            await self._payments.put_back(item, code="LedgerBusy")
            return None
        return applied.outcome


def _read(item: Taken, document: bytes) -> PaymentSnapshot:
    try:
        seen = READERS[item.source](json.loads(document))
    except ValueError as error:  # not JSON, or not text
        raise Unbookable(Trouble.MALFORMED_PAYLOAD) from error
    if seen.obj_id != item.obj_id:
        raise Unbookable(Trouble.MALFORMED_PAYLOAD)
    return seen
