"""Opens the provider of host names and certificates that the settings name."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from moorage.model.names import Key
from moorage.model.offer import DomainOffer
from moorage.observability import Metrics
from moorage.providers.cloudflare_calls import new_calls
from moorage.providers.cloudflare_origin import CloudflareOrigin
from moorage.providers.cloudflare_zones import CloudflareZones
from moorage.providers.ports import CertificateIssuer, DnsProvider
from moorage.services.zones import Zones
from moorage.settings import Settings
from moorage.store.database import Database
from moorage.store.zone_rows import ZoneRows


@dataclass(frozen=True, slots=True, kw_only=True)
class NameServices:
    """One account at one provider: who holds the zone, and who signs for names in it."""

    zones: DnsProvider
    origin: CertificateIssuer
    rows: ZoneRows
    platform_id: str
    metrics: Metrics

    def keeper(self, offer: DomainOffer, *, epoch: Callable[[], int], ring: Callable[[Key, bool], None]) -> Zones:
        """Who keeps the zone, turn by turn."""
        return Zones(
            offer=offer, platform_id=self.platform_id, provider=self.zones, rows=self.rows,
            epoch=epoch, ring=ring, metrics=self.metrics,
        )  # fmt: skip


@contextlib.asynccontextmanager
async def opened(settings: Settings, database: Database, metrics: Metrics) -> AsyncIterator[NameServices | None]:
    """For as long as the block runs; None without a token. Nothing is asked of the provider, and its SDK not loaded."""
    if settings.cloudflare_token_file is None:
        yield None
        return
    calls = new_calls(
        url=settings.cloudflare_url,
        token_file=settings.cloudflare_token_file,
        per_minute=settings.cloudflare_calls_per_minute,
        metrics=metrics,
    )
    rows = ZoneRows(database)
    try:
        yield NameServices(
            zones=CloudflareZones(calls), origin=CloudflareOrigin(calls), rows=rows,
            platform_id=await rows.platform_id(), metrics=metrics,
        )  # fmt: skip
    finally:
        await calls.close()
