"""Routes of a kind that the platform no longer makes go as soon as their Domain is led by one of the present kind."""

import logging
from collections.abc import Callable

from moorage.kube.former_routes import FormerRoutes
from moorage.model.domain_record import DomainState
from moorage.model.metadata import Metadata
from moorage.store.domains import Domains

log = logging.getLogger(__name__)

SWEEP_SECONDS = 600.0
SOON_SECONDS = 30.0


class SweepRoutes:
    """`is_led(domain)` says whether a route of the present kind is seen that is the Domain's."""

    def __init__(self, domains: Domains, former: FormerRoutes, is_led: Callable[[Metadata], bool]) -> None:
        self._domains = domains
        self._former = former
        self._is_led = is_led

    async def sweep(self) -> float:
        """Look once; soon again while one has to stay, so that its name always leads somewhere."""
        wait_seconds = SWEEP_SECONDS
        for route in await self._former.look():
            record = await self._domains.load(route.domain_uid)
            if record is None:
                continue  # its Domain is gone, and the cluster collects it
            domain = Metadata(name=record.name, namespace=record.namespace, uid=record.uid)
            if record.state is DomainState.ACTIVE and not self._is_led(domain):
                wait_seconds = SOON_SECONDS
            elif await self._former.remove(route):
                log.info("a route of the former kind was removed", extra={"domain": record.uid})
        return wait_seconds
