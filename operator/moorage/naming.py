"""Builds what host names need: providers, the keepers that ask them, and the reconcile that wishes."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from moorage.controllers.domain import DomainController
from moorage.controllers.domain_actuator import DomainActuator
from moorage.controllers.domain_routes import DomainRoutes
from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.controllers.unnamed_domain import UnnamedDomainController
from moorage.jobs.renew_domains import RenewDomains
from moorage.jobs.sweep_domains import SweepDomains
from moorage.jobs.sweep_routes import SweepRoutes
from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.kube.former_routes import FormerRoutes
from moorage.kube.observe import World
from moorage.kube.tls_secrets import TlsSecrets
from moorage.model.domain import Issuer
from moorage.model.names import VANISHED_DOMAIN, Key
from moorage.model.offer import DomainOffer
from moorage.model.reasons import Reason
from moorage.observability import Metrics
from moorage.providers.ports import CertificateIssuer, Proofs
from moorage.services import certificate_issuers
from moorage.services.certificates import Certificates
from moorage.services.domain_months import DomainMonths
from moorage.services.keyring import Keyring
from moorage.services.name_services import NameServices
from moorage.services.pointers import Pointers
from moorage.services.zones import Zones
from moorage.settings import Settings
from moorage.store.certificates import CertificateRows
from moorage.store.database import Database
from moorage.store.domain_months import DomainMonthRows
from moorage.store.domains import Domains

Reconcile = Callable[[Key], Awaitable[float | None]]
Step = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the operator has already, and host names are built on."""

    settings: Settings
    database: Database
    client: Client
    keyring: Keyring
    objects: Objects
    world: World
    applier: Applier
    epoch: Epoch
    ring: Callable[[Key, bool], None]
    metrics: Metrics
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The reconciles of Domains by kind of key, and the steps that the clock drives for them."""

    reconciles: Mapping[str, Reconcile]
    steps: Mapping[str, Step]


def build(ground: Ground, offer: DomainOffer | None, services: NameServices | None) -> Naming:
    """Wire it; without an offer, or a provider, Domains only say so."""
    domains, settings = Domains(ground.database), ground.settings
    quarantine = timedelta(days=settings.domain_quarantine_days)
    if offer is None or services is None:
        why = Reason.DNS_NOT_CONFIGURED if offer is None else Reason.PROVIDER_TOKEN_INVALID
        unnamed = UnnamedDomainController(
            objects=ground.objects, applier=ground.applier, domains=domains, epoch=ground.epoch,
            quarantine=quarantine, why=why,
        )  # fmt: skip
        return Naming(reconciles={"Domain": unnamed.reconcile}, steps={})
    zones = services.keeper(offer, epoch=lambda: ground.epoch.current, ring=ground.ring)
    issuers = certificate_issuers.offered(
        settings, services, zone=offer.zone, database=ground.database, keyring=ground.keyring,
        epoch=lambda: ground.epoch.current,
    )  # fmt: skip
    # Only here, for the library is large.
    from moorage.providers.dns_proofs import DnsProofs  # noqa: PLC0415

    return assemble(ground, offer, zones, issuers, DnsProofs(settings.domain_resolvers))


def assemble(
    ground: Ground, offer: DomainOffer, zones: Zones, issuers: Mapping[Issuer, CertificateIssuer], proofs: Proofs
) -> Naming:
    """The same, with these providers."""
    domains, settings = Domains(ground.database), ground.settings

    def epoch() -> int:
        return ground.epoch.current

    certificates = Certificates(
        rows=CertificateRows(ground.database), domains=domains, keyring=ground.keyring, issuers=issuers,
        offer=offer, ring=ground.ring, epoch=epoch, metrics=ground.metrics, clock=ground.clock,
    )  # fmt: skip
    routes = DomainRoutes(
        client=ground.client, world=ground.world, applier=ground.applier, offer=offer,
        secrets=TlsSecrets(ground.client, clock=ground.clock),
    )  # fmt: skip
    months = DomainMonths(rows=DomainMonthRows(ground.database), unpaid_days=settings.domain_unpaid_days)
    pointers = Pointers(proofs, ground.ring, clock=ground.clock)
    actuator = DomainActuator(
        client=ground.client, applier=ground.applier, objects=ground.objects, domains=domains, zones=zones,
        certificates=certificates, routes=routes, proofs=proofs, pointers=pointers, months=months,
        offer=offer, epoch=ground.epoch, ring=ground.ring,
        names_max=settings.domains_per_tenant, quarantine=timedelta(days=settings.domain_quarantine_days),
    )  # fmt: skip
    controller = DomainController(
        objects=ground.objects, world=ground.world, applier=ground.applier, domains=domains, actuator=actuator,
        reserved=frozenset(offer.reserved), epoch=ground.epoch,
    )  # fmt: skip
    steps = {
        "keep_zones": zones.step,
        "keep_certificates": certificates.step,
        "renew_domains": RenewDomains(months, epoch).renew,
        "sweep_domains": SweepDomains(domains, partial(ground.applier.uids, kinds.DOMAIN), ground.ring).sweep,
        "sweep_routes": SweepRoutes(domains, FormerRoutes(ground.client, offer.route_kind), routes.is_there).sweep,
    }
    reconciles = {"Domain": controller.reconcile, VANISHED_DOMAIN: controller.reconcile_vanished}
    return Naming(reconciles=reconciles, steps=steps)
