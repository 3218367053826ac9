"""Domains that have vanished without a goodbye: what exists for them outside is taken away all the same.

A finalizer can be removed by hand, and a cluster be made anew beside an old database; so absence is looked for.
"""

import logging
from collections.abc import Awaitable, Callable

from moorage.model.names import VANISHED_DOMAIN, Key
from moorage.store.domains import Domains

log = logging.getLogger(__name__)

SWEEP_SECONDS = 600.0


class SweepDomains:
    """`uids` asks the API server itself for all Domains: a cache is no proof of absence, nor is a list that failed."""

    def __init__(
        self, domains: Domains, uids: Callable[[], Awaitable[frozenset[str]]], ring: Callable[[Key, bool], None]
    ) -> None:
        self._domains = domains
        self._uids = uids
        self._ring = ring

    async def sweep(self) -> float:
        """Look once through all living records."""
        # The records first: one that is made after a list would be missed in it.
        records = await self._domains.living()
        there = await self._uids() if records else frozenset()
        for uid, namespace in records:
            if uid not in there:
                log.warning("domain vanished", extra={"domain": uid, "namespace": namespace})
                self._ring(Key(VANISHED_DOMAIN, namespace, uid), False)
        return SWEEP_SECONDS
