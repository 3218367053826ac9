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
    """`gone(namespace, name, uid)` asks the API server itself: a cache is no proof of absence."""

    def __init__(
        self, domains: Domains, gone: Callable[[str, str, str], Awaitable[bool]], ring: Callable[[Key, bool], None]
    ) -> None:
        self._domains = domains
        self._gone = gone
        self._ring = ring

    async def sweep(self) -> float:
        """Look once through all living records."""
        for uid, namespace, name in await self._domains.living():
            if await self._gone(namespace, name, uid):
                log.warning("domain vanished", extra={"domain": uid, "namespace": namespace})
                self._ring(Key(VANISHED_DOMAIN, namespace, uid), False)
        return SWEEP_SECONDS
