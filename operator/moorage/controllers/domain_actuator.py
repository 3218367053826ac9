"""Runs the effects of a Domain's decision; what a provider has to do is only wished for here, and done beside."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from moorage.controllers.domain_routes import Backend, DomainRoutes
from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.desired.certificate import certificate
from moorage.kube import certificate_objects, kinds
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.lifecycle import domain_effects as do
from moorage.model import names
from moorage.model.domain import Domain, Issuer
from moorage.model.domain_record import DomainRecord, DomainState, Standing
from moorage.model.domain_seen import NOT_SEEN, Owner, Sight, Thing
from moorage.model.errors import MoorageError, Permanent
from moorage.model.names import Key
from moorage.model.offer import DomainOffer
from moorage.model.reasons import Reason
from moorage.model.sealing import KeysUnavailable
from moorage.providers.ports import Proofs
from moorage.services.certificates import Certificates
from moorage.services.domain_months import DomainMonths
from moorage.services.pointers import Pointers
from moorage.services.zone_plan import leads_to
from moorage.services.zones import Zones
from moorage.store.domains import Domains

log = logging.getLogger(__name__)

AT_ONCE = 0.0
# Nobody rings when cert-manager is done, or when the keys are back.
CERTIFICATE_SECONDS = 5.0
KEYS_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainActuator:
    """Everything a Domain's effects touch."""

    client: Client
    applier: Applier
    objects: Objects
    domains: Domains
    zones: Zones
    certificates: Certificates
    routes: DomainRoutes
    proofs: Proofs
    pointers: Pointers
    months: DomainMonths
    offer: DomainOffer
    epoch: Epoch
    names_max: int
    quarantine: timedelta
    ring: Callable[[Key, bool], None]
    _looking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _made: dict[str, Thing] = field(default_factory=dict)  # by cert-manager, by uid

    async def act(self, effect: do.Effect, domain: Domain, record: DomainRecord) -> float | None:
        """Run one effect; returns the seconds after which to look again, None when nothing has to be waited for.

        AT_ONCE: the record has changed. Raises Permanent when the cluster refuses, or the tenant holds as many names
        as it may.
        """
        epoch, owner = self.epoch.current, _owner(record)
        match effect:
            case do.Claim():
                standing = await self.domains.claim(epoch=epoch, uid=record.uid, names_max=self.names_max)
                if standing is Standing.LIMIT:
                    # Only the attempt says so; a name that nobody holds still looks free.
                    raise Permanent(Reason.HOSTNAME_LIMIT)
                return AT_ONCE if standing is not record.standing else None
            case do.LookForProof():
                self._look_beside(record)
            case do.KeepName():
                self._keep_name(owner, domain, record)
            case do.KeepCertificate():
                return await self._keep_certificate(owner, domain, record)
            case do.PayMonth():
                await self.months.keep(epoch=epoch, uid=record.uid)
                paid = await self.domains.load(record.uid)
                return AT_ONCE if paid is not None and paid.paid != record.paid else None
            case do.ApplyRoute(away):
                return await self._apply_route(domain, record, away=away)
            case do.RemoveRoute():
                await self._remove_route(domain)
            case do.RemoveName():
                self._remove_name(owner, record)
            case do.RevokeCertificate():
                await self.certificates.revoke(record)
                return AT_ONCE
            case do.Release():
                self.pointers.forget(record.uid)
                await self.domains.release(epoch=epoch, uid=record.uid, quarantine=self.quarantine)
            case do.Finish():
                await self.domains.finish(epoch=epoch, uid=record.uid)
                await self.applier.clear_finalizer(kinds.DOMAIN, domain.metadata)
        return None

    def issuer(self, domain: Domain) -> Issuer:
        """Who signs for it."""
        return domain.spec.certificate or self.offer.issuer

    def name_seen(self, domain: Domain, record: DomainRecord) -> Thing:
        """Its record in our zone; of a tenant's own name its custom host name, if the provider is to serve it."""
        if not record.own:
            return self.zones.seen(record.uid, record.hostname)
        if self.issuer(domain) is Issuer.CLOUDFLARE or record.provider_hostname_id is not None:
            return self.zones.seen_hostname(record.uid, record.hostname)
        # Its record is in the tenant's own zone, and nothing of ours is at the provider.
        return self.pointers.seen(record.uid) if record.state is DomainState.ACTIVE else Thing(sight=Sight.ABSENT)

    def certificate_seen(self, domain: Domain, record: DomainRecord) -> Thing:
        """The certificate that visitors meet: at the provider's edge, or here."""
        issuer = self.issuer(domain)
        if self._leaves_it_to_others(domain):
            return self._made.get(record.uid, NOT_SEEN)
        if record.own and issuer is Issuer.CLOUDFLARE:
            return self.zones.seen_hostname_certificate(record.uid, record.hostname)
        return self.certificates.seen(record, issuer)

    def route_seen(self, domain: Domain, record: DomainRecord, *, away: bool) -> Thing:
        """The route that leads requests to the agent, or to the page."""
        return self.routes.seen(domain, self.backend(record, away=away))

    def backend(self, record: DomainRecord, *, away: bool) -> Backend:
        """Where requests are to go."""
        return Backend(hostname=record.hostname, agent_port=self.agent_port(record), away=away)

    def agent_port(self, record: DomainRecord) -> int | None:
        """The port of the agent it leads to; None: it serves no HTTP, or is not there."""
        agent = self.objects.agent(Key("Agent", record.namespace, record.agent_name))
        return agent.spec.http.port if agent is not None and agent.spec.http is not None else None

    def _keep_name(self, owner: Owner, domain: Domain, record: DomainRecord) -> None:
        if not record.own:
            proxied = self.offer.proxied if domain.spec.proxied is None else domain.spec.proxied
            self.zones.wish(owner, leads_to(record.hostname, self.offer.target, proxied=proxied))
        elif self.issuer(domain) is Issuer.CLOUDFLARE:
            self.zones.wish_hostname(owner, record.hostname, record.provider_hostname_id)
        else:
            if record.provider_hostname_id is not None:
                self._remove_name(owner, record)
            self.pointers.wish(owner, record.hostname, self.offer.target_of_own(domain.spec.certificate))

    def _remove_name(self, owner: Owner, record: DomainRecord) -> None:
        if not record.own:
            self.zones.unwish(owner, record.hostname, record.record_id)
        else:
            self.zones.unwish_hostname(owner, record.hostname, record.provider_hostname_id)

    def _leaves_it_to_others(self, domain: Domain) -> bool:
        """Whether cert-manager asks for its certificate."""
        return self.offer.cert_manager is not None and self.issuer(domain) is Issuer.ACME

    async def _keep_certificate(self, owner: Owner, domain: Domain, record: DomainRecord) -> float | None:
        if self.offer.cert_manager is None or not self._leaves_it_to_others(domain):
            self.certificates.wish(owner, record, self.issuer(domain))
            return None
        wanted = certificate(domain, record.hostname, cluster_issuer=self.offer.cert_manager)
        self._made[record.uid] = made = await certificate_objects.keep(self.client, wanted)
        return None if made.sight is Sight.THERE else CERTIFICATE_SECONDS

    async def _apply_route(self, domain: Domain, record: DomainRecord, *, away: bool) -> float | None:
        """The certificate first: no visitor meets a stranger's. Without the keys, a route that has one still moves."""
        wait_seconds = None
        try:
            await self._put_certificate(domain, record)
        except KeysUnavailable as error:
            log.warning("a certificate waits for the root key", extra={"domain": record.uid, "why": str(error)})
            wait_seconds = KEYS_SECONDS
            if not self.routes.is_there(domain.metadata):
                return wait_seconds
        await self.routes.apply(domain, self.backend(record, away=away))
        return wait_seconds

    async def _put_certificate(self, domain: Domain, record: DomainRecord) -> None:
        kept = record.certificate  # None: the provider serves the name at its edge
        if kept is None or self._leaves_it_to_others(domain):
            return
        if self.routes.has_certificate(domain, kept.fingerprint):
            return
        pair = await self.certificates.pair(record.uid)
        if pair is not None:
            await self.routes.put_certificate(domain, pair, fingerprint=kept.fingerprint)

    async def _remove_route(self, domain: Domain) -> None:
        if self._leaves_it_to_others(domain):
            metadata = domain.metadata
            await certificate_objects.remove(self.client, metadata.namespace, names.domain_secret(metadata.name))
            self._made.pop(metadata.uid, None)
        await self.routes.remove(domain, with_secret=not self._leaves_it_to_others(domain))

    def _look_beside(self, record: DomainRecord) -> None:
        """Resolvers may take seconds: they are asked beside the queue, and ring when they have answered."""
        if record.uid in self._looking:
            return

        async def look() -> None:
            try:
                answer = await self.proofs.look(names.challenge_name(record.hostname), record.challenge)
                await self.domains.note_proof(epoch=self.epoch.current, uid=record.uid, answer=answer)
            except MoorageError as error:
                log.warning("a proof was not looked at", extra={"domain": record.uid, "why": str(error)})
            finally:
                del self._looking[record.uid]
                self.ring(_owner(record).key, False)

        self._looking[record.uid] = asyncio.create_task(look(), name=f"proof-{record.uid}")


def _owner(record: DomainRecord) -> Owner:
    return Owner(uid=record.uid, key=Key("Domain", record.namespace, record.name))
