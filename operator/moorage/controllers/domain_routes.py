"""The route of a Domain and the certificate beside it: looked at, made, and taken away."""

from dataclasses import dataclass

from moorage.desired import domain as desired_domain
from moorage.desired.metadata import Manifest
from moorage.kube import routes
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.kube.kinds import path_of
from moorage.kube.observe import World
from moorage.kube.tls_secrets import TlsSecrets
from moorage.model import names
from moorage.model.domain import Domain
from moorage.model.domain_seen import Thing
from moorage.model.metadata import Metadata
from moorage.model.offer import DomainOffer


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Where requests for a canonical host name are to go."""

    hostname: str
    agent_port: int | None  # None: there is no agent that serves HTTP
    away: bool  # the waiting page answers


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRoutes:
    """What leads requests to agents in this cluster."""

    client: Client
    world: World
    applier: Applier
    secrets: TlsSecrets
    offer: DomainOffer

    def seen(self, domain: Domain, wanted: Backend | None) -> Thing:
        """How the route stands to the one that is wanted; None: none is."""
        return self.world.route_seen(domain.metadata, None if wanted is None else self._route(domain, wanted))

    def is_there(self, domain: Metadata) -> bool:
        """Whether a route of this Domain's is seen, wherever it leads."""
        return self.world.route_seen(domain, None).id is not None

    def has_certificate(self, domain: Domain, fingerprint: str) -> bool:
        """Whether this certificate was put beside the route not long ago."""
        metadata = domain.metadata
        return self.secrets.is_written(metadata.namespace, names.domain_secret(metadata.name), fingerprint=fingerprint)

    async def put_certificate(self, domain: Domain, pair: tuple[str, str], *, fingerprint: str) -> None:
        """Put a certificate beside the route: its chain and key as PEM. Raises Permanent(NAME_TAKEN)."""
        await self.secrets.write(desired_domain.tls_secret(domain, *pair), fingerprint=fingerprint)

    async def apply(self, domain: Domain, wanted: Backend) -> bool:
        """Make the route; whether it was written. Raises Permanent(NAME_TAKEN) when the name is somebody else's."""
        return await self.applier.apply(self._route(domain, wanted))

    async def remove(self, domain: Domain, *, with_secret: bool = True) -> bool:
        """Take the route away, and the certificate if it is ours; whether the route was still there."""
        place = routes.place(routes.ROUTES[self.offer.route_kind], domain.metadata)
        seen = self.world.route_seen(domain.metadata, None)
        if with_secret:
            await self.secrets.remove(domain.metadata.namespace, names.domain_secret(domain.metadata.name))
        return seen.id is not None and await self.client.delete(path_of(place), uid=seen.id)

    def _route(self, domain: Domain, wanted: Backend) -> Manifest:
        (made,) = desired_domain.route(
            domain, wanted.hostname, agent_port=wanted.agent_port, away=wanted.away, offer=self.offer
        )
        return made
