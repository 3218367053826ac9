"""Reconcile Domains where the platform cannot name anything: say why, and hold up nothing that has nothing outside."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.lifecycle import conditions
from moorage.model.domain_record import DomainState
from moorage.model.domain_seen import DomainSeen
from moorage.model.names import Key
from moorage.model.reasons import Reason
from moorage.store.domains import Domains

log = logging.getLogger(__name__)

AT_REST = (DomainState.PENDING, DomainState.RELEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnnamedDomainController:
    """Lets Domains go unless something may exist outside for them that nobody here could take away."""

    objects: Objects
    applier: Applier
    domains: Domains
    epoch: Epoch
    quarantine: timedelta
    why: Reason

    async def reconcile(self, key: Key) -> float | None:
        """One pass; always settled."""
        domain = self.objects.domain(key)
        if domain is None:
            return None
        metadata = domain.metadata
        if metadata.deleting:
            record = await self.domains.load(metadata.uid)
            if record is None or record.state in AT_REST:
                await self.domains.release(epoch=self.epoch.current, uid=metadata.uid, quarantine=self.quarantine)
                await self.domains.finish(epoch=self.epoch.current, uid=metadata.uid)
                await self.applier.clear_finalizer(kinds.DOMAIN, metadata)
                return None
            log.error(
                "a Domain cannot be taken away without the settings of the DNS provider", extra={"domain": str(key)}
            )
        status = conditions.domain_status(domain, None, DomainSeen(), problem=self.why, offer=None)
        await self.applier.apply_status(kinds.DOMAIN, metadata, status, seen=domain.status)
        return None
