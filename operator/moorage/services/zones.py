"""Keeps what Domains wish for at the DNS provider, beside the queue, and rings those for whom something changed."""

import time
from collections.abc import Callable

from moorage.model.domain import Issuer
from moorage.model.domain_seen import Owner, Thing
from moorage.model.names import Key
from moorage.model.offer import DomainOffer
from moorage.observability import Metrics
from moorage.providers.ports import DnsProvider, DnsRecord
from moorage.services import zone_plan
from moorage.services.zone_hostnames import ZoneHostnames
from moorage.services.zone_records import Place, Rows, ZoneRecords

TURN_SECONDS = 0.5  # so long are wishes collected
NOBODY = Key("", "", "")  # is rung for the platform's own records
ENTRY, DIRECT = Owner("entry", NOBODY), Owner("direct", NOBODY)

Told = tuple[Thing, Thing, Thing]


class Zones:
    """Records of the platform's zone, and host names of tenants' own. Wishing is idempotent and never waits.

    What is seen is UNKNOWN until the provider was really asked; its problem says why it cannot be. A wish that could
    not be fulfilled yet is UNDER_WAY, with the reason where there is one. The ids that the provider gives are written
    to the database here, and taken from it when something is gone: nobody else notes them.
    """

    def __init__(
        self,
        *,
        offer: DomainOffer,
        platform_id: str,
        provider: DnsProvider,
        rows: Rows,
        epoch: Callable[[], int],
        ring: Callable[[Key, bool], None],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = ZoneRecords(
            zone=offer.zone, platform_id=platform_id, provider=provider, rows=rows, epoch=epoch, clock=clock
        )
        self._hostnames = ZoneHostnames(zone=offer.zone, provider=provider, rows=rows, epoch=epoch, clock=clock)
        self._ring = ring
        self._metrics = metrics
        self._told: dict[Place, Told] = {}
        self._records.wish(ENTRY, zone_plan.leads_to(offer.entry, offer.target, proxied=offer.proxied))
        if Issuer.ACME in offer.issuers:
            self._records.wish(DIRECT, zone_plan.leads_to(offer.direct, offer.target, proxied=False))

    def wish(self, owner: Owner, record: DnsRecord) -> None:
        """Keep this record in our zone; its mark is made here, its id is the one that the database knows."""
        self._records.wish(owner, record)

    def unwish(self, owner: Owner, hostname: str, record_id: str | None) -> None:
        """Keep nothing of the owner's at this name; it is seen ABSENT when the provider has confirmed it."""
        self._records.unwish(owner, hostname, record_id)

    def seen(self, uid: str, hostname: str) -> Thing:
        """The record at this name."""
        return self._records.seen(uid, hostname)

    def wish_hostname(self, owner: Owner, hostname: str, known_id: str | None) -> None:
        """Have a host name of the tenant's own served; `known_id` is the one that the database knows, also empty."""
        self._hostnames.wish(owner, hostname, known_id, wanted=True)

    def unwish_hostname(self, owner: Owner, hostname: str, known_id: str | None) -> None:
        """Have it served no longer; it is seen ABSENT when the provider has confirmed it."""
        self._hostnames.wish(owner, hostname, known_id, wanted=False)

    def seen_hostname(self, uid: str, hostname: str) -> Thing:
        """The host name at the provider: THERE when it is served."""
        return self._hostnames.seen(uid, hostname)

    def seen_hostname_certificate(self, uid: str, hostname: str) -> Thing:
        """The certificate that visitors of this host name are shown, which is the provider's own."""
        return self._hostnames.seen_certificate(uid, hostname)

    async def step(self) -> float:
        """One turn; returns the seconds until the next. A provider that fails is left alone for a while meanwhile."""
        changed = [await self._records.step(), await self._hostnames.step()]
        if any(changed):
            self._metrics.dns_wishes.set(self._records.outstanding + self._hostnames.outstanding)
            self._tell()
        return TURN_SECONDS

    def _tell(self) -> None:
        before, self._told = self._told, {}
        for owner, hostname in {**dict.fromkeys(self._records.places()), **dict.fromkeys(self._hostnames.places())}:
            place = (owner.uid, hostname)
            self._told[place] = (
                self.seen(*place), self.seen_hostname(*place), self.seen_hostname_certificate(*place),
            )  # fmt: skip
            if self._told[place] != before.get(place) and owner.key != NOBODY:
                self._ring(owner.key, False)
