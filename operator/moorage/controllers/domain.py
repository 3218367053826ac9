"""Reconcile one Domain: without a DNS provider it only says so."""

from dataclasses import dataclass

from moorage.controllers.domain_routes import DomainRoutes
from moorage.controllers.objects import Objects
from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.lifecycle import conditions
from moorage.model.domain import Domain
from moorage.model.domain_seen import DomainSeen
from moorage.model.names import Key
from moorage.model.reasons import Reason
from moorage.store.domains import Domains


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainController:
    """Admits Domains and tells their owners what is missing."""

    objects: Objects
    applier: Applier
    domains: Domains
    routes: DomainRoutes | None = None  # None: this platform has no host names

    async def reconcile(self, key: Key) -> float | None:
        """One pass; always settled."""
        domain: Domain | None = self.objects.get(key)
        if domain is not None and not domain.metadata.deleting:
            status = conditions.domain_status(domain, None, DomainSeen(), problem=Reason.DNS_NOT_CONFIGURED, offer=None)
            await self.applier.apply_status(kinds.DOMAIN, domain.metadata, status, seen=domain.status)
        return None
