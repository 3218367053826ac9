"""Reconcile one Domain: observe, decide, act, report."""

from dataclasses import dataclass, replace

from moorage.controllers.domain_actuator import AT_ONCE, DomainActuator
from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.kube.observe import World
from moorage.lifecycle import conditions
from moorage.lifecycle import domain as lifecycle
from moorage.model import hostnames
from moorage.model.domain import AgentRef, Domain, DomainSpec
from moorage.model.domain_record import DomainRecord
from moorage.model.domain_seen import DomainSeen, Sight, Thing
from moorage.model.errors import Permanent
from moorage.model.metadata import Metadata
from moorage.model.names import FINALIZER, AgentUid, Key
from moorage.model.observation import Unknown
from moorage.model.reasons import Reason
from moorage.store.domains import Domains, NewDomain

# Nobody rings when a namespace becomes a tenant's.
NOT_A_TENANT_SECONDS = 30.0
# What the cluster refused may be taken later; nobody rings when it would be.
REFUSED_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainController:
    """Brings one Domain one step nearer to what it should be, as often as somebody rings."""

    objects: Objects
    world: World
    applier: Applier
    domains: Domains
    actuator: DomainActuator
    reserved: frozenset[str]
    epoch: Epoch

    async def reconcile(self, key: Key) -> float | None:
        """One pass; returns the seconds after which to look again without news, None when settled."""
        domain = self.objects.domain(key)
        if domain is None:
            return None
        record, problem = await self._record(domain)
        if record is None:
            return await self._no_record(domain, problem)
        return await self._step(domain, record, self._seen(domain, record), problem)

    async def reconcile_vanished(self, key: Key) -> float | None:
        """One pass for a Domain whose object is gone; the cluster itself collects its route and its Secret."""
        record = await self.domains.load(key.name)
        if record is None:
            return None
        metadata = Metadata(name=record.name, namespace=record.namespace, uid=record.uid, deletion_timestamp="gone")
        spec = DomainSpec(hostname=record.hostname, agent_ref=AgentRef(name=record.agent_name))
        domain = Domain(metadata=metadata, spec=spec)
        seen = replace(self._seen(domain, record), route=Thing(sight=Sight.ABSENT))
        return await self._step(domain, record, seen, None)

    async def _step(
        self, domain: Domain, record: DomainRecord, seen: DomainSeen, problem: Reason | None
    ) -> float | None:
        decision = lifecycle.transition(
            record, lifecycle.Desired(deleting=domain.metadata.deleting, problem=problem), seen
        )
        if decision.record != record and not await self.domains.save(
            epoch=self.epoch.current, before=record, after=decision.record
        ):
            return AT_ONCE
        wait_seconds = AT_ONCE if decision.again else decision.wait_seconds
        try:
            for effect in decision.effects:
                wait_seconds = _sooner(wait_seconds, await self.actuator.act(effect, domain, decision.record))
        except Permanent as refusal:
            problem = refusal.reason
            wait_seconds = AT_ONCE if wait_seconds == AT_ONCE else REFUSED_SECONDS
        if wait_seconds == AT_ONCE:
            return AT_ONCE
        await self._report(domain, decision.record, problem)
        return wait_seconds

    async def _record(self, domain: Domain) -> tuple[DomainRecord | None, Reason | None]:
        """The record, and what keeps the spec from being used; a name that cannot be used gets no record."""
        metadata = domain.metadata
        offered = self.actuator.issuer(domain) in self.actuator.offer.issuers
        problem = None if offered else Reason.ISSUER_UNKNOWN
        record = await self.domains.load(metadata.uid) if domain.status or metadata.deleting else None
        if metadata.deleting:
            return record, problem
        try:
            wanted = hostnames.parse(domain.spec.hostname, zone=self.actuator.offer.zone, reserved=self.reserved)
        except Permanent as refusal:
            return record, refusal.reason
        if record is None or record.agent_name != domain.spec.agent_ref.name:
            new = NewDomain(
                uid=metadata.uid,
                namespace=metadata.namespace,
                name=metadata.name,
                hostname=wanted.ascii,
                own=wanted.own,
                agent_name=domain.spec.agent_ref.name,
            )
            if not await self.domains.ensure(epoch=self.epoch.current, new=new):
                return None, Reason.NOT_A_TENANT
            record = await self.domains.load(metadata.uid)
        # Before anything exists outside: what is deleted while nobody looks would stay there for ever.
        if FINALIZER not in metadata.finalizers:
            await self.applier.set_finalizer(kinds.DOMAIN, metadata)
        return record, problem

    async def _no_record(self, domain: Domain, problem: Reason | None) -> float | None:
        if domain.metadata.deleting:
            await self.applier.clear_finalizer(kinds.DOMAIN, domain.metadata)
            return None
        status = conditions.domain_status(domain, None, DomainSeen(), problem=problem, offer=self.actuator.offer)
        await self.applier.apply_status(kinds.DOMAIN, domain.metadata, status, seen=domain.status)
        return NOT_A_TENANT_SECONDS if problem is Reason.NOT_A_TENANT else None

    def _seen(self, domain: Domain, record: DomainRecord) -> DomainSeen:
        seen = DomainSeen(
            record=self.actuator.name_seen(domain, record),
            certificate=self.actuator.certificate_seen(domain, record),
            agent_ready=self._ready(record),
            agent_port=self.actuator.agent_port(record),
        )
        away = lifecycle.is_away(record, seen)
        return replace(seen, route=self.actuator.route_seen(domain, record, away=away))

    def _ready(self, record: DomainRecord) -> bool | None:
        if record.agent is None:
            return False
        pods = self.world.agent(record.namespace, record.agent_name, AgentUid(record.agent.uid)).pods
        return None if isinstance(pods, Unknown) else any(pod.ready and not pod.deleting for pod in pods)

    async def _report(self, domain: Domain, record: DomainRecord, problem: Reason | None) -> None:
        # Looked at again: what was just done is part of what is told.
        seen = self._seen(domain, record)
        status = conditions.domain_status(domain, record, seen, problem=problem, offer=self.actuator.offer)
        await self.applier.apply_status(kinds.DOMAIN, domain.metadata, status, seen=domain.status)


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((wait for wait in (one, other) if wait is not None), default=None)
