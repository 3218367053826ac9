"""The platform's offer: what the platform operator offers and allows, as plain values for the pure core."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from moorage.model.domain import Issuer
from moorage.model.network import Egress, Pods

ENTRY_LABEL = "entry"
DIRECT_LABEL = "direct"
ACME_LABEL = "acme"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeClass:
    """CPU and memory of an agent (Kubernetes quantities, requests = limits) and its price."""

    cpu: str
    memory: str
    rate_picos: int  # pico-credits per second


@dataclass(frozen=True, slots=True, kw_only=True)
class MoverOffer:
    """How mover Jobs are made."""

    image: str
    api_url: str
    api_ca_pem: str
    egress: tuple[Egress, ...]  # the object store and the platform's API


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOffer:
    """What of the network around them tenants' agents may meet."""

    platform_namespace: str = "moorage-system"
    denied: tuple[str, ...] = ()  # ranges of the installation's own, IPv4 and IPv6
    gate: bool = False  # agents start only once their network is seen to be closed
    ingress: Pods | None = None  # the ingress controller; None: nothing connects to an agent


class RouteKind(StrEnum):
    """What leads requests to agents in this cluster."""

    INGRESS = "Ingress"
    HTTP_ROUTE = "HTTPRoute"


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainOffer:
    """What host names this platform offers, and how they lead here."""

    zone: str  # below it agents get names at once; registrable on its own, and nothing of the platform's is in it
    target: str  # an address of the ingress controller, or a host name that leads to it
    reserved: tuple[str, ...] = ()  # labels below the zone, and hosts with all below them, that nobody may claim
    proxied: bool = True  # what a Domain that does not say gets
    issuer: Issuer = Issuer.CLOUDFLARE
    issuers: tuple[Issuer, ...] = (Issuer.CLOUDFLARE,)  # what Domains may ask for
    cert_manager: str | None = None  # the ClusterIssuer that signs what is asked of Acme; None: we ask ourselves
    route_kind: RouteKind = RouteKind.INGRESS
    ingress_class: str | None = None  # None: the cluster's default
    gateway: tuple[str, str] | None = None  # namespace and name of the Gateway
    annotations: Mapping[str, str] = field(default_factory=dict)  # of every route; what the controller here understands

    @property
    def entry(self) -> str:
        """The name that names of tenants' own lead to where the provider serves them."""
        return f"{ENTRY_LABEL}.{self.zone}"

    @property
    def direct(self) -> str:
        """The name that all others lead to: past the provider's proxy, which refuses names that it does not serve."""
        return f"{DIRECT_LABEL}.{self.zone}"

    def target_of_own(self, asked: Issuer | None) -> str:
        """Where a tenant points a name of its own; `asked` is who its Domain says shall sign for it."""
        return self.entry if (asked or self.issuer) is Issuer.CLOUDFLARE else self.direct

    def delegation(self, uid: str) -> str:
        """The name in our zone that `_acme-challenge` of a tenant's own host name has to lead to."""
        return f"{uid}.{ACME_LABEL}.{self.zone}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Everything the builders of manifests need to know about this installation."""

    sizes: Mapping[str, SizeClass]
    runtimes: Mapping[str, str]  # runtime name -> image
    allowed_images: tuple[str, ...]  # prefixes that end at a separator
    mover: MoverOffer
    network: NetworkOffer = NetworkOffer()
    sandbox_runtime_class: str | None = None  # None: this installation has no sandbox
    sandboxed: bool = False  # what is built now is a sandboxed tenant's
    user_namespaces: bool = False  # the nodes can map a pod's users to users that nobody else has
    storage_class: str | None = None
    volume_annotations: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    domains: DomainOffer | None = None  # None: this installation has no DNS provider

    def to_tenant(self, *, sandboxed: bool) -> "Platform":
        """The same offer, as a tenant of this isolation has it."""
        return replace(self, sandboxed=sandboxed)
