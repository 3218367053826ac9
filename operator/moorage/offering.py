"""The platform's offer to its tenants, as its settings say it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from moorage.model import hostnames, money
from moorage.model.domain import Issuer
from moorage.model.errors import Permanent
from moorage.model.offer import DomainOffer, MoverOffer, NetworkOffer, Platform, RouteKind, SizeClass
from moorage.settings import Settings, SettingsError, mover_authority


def platform(settings: Settings) -> Platform:
    """The platform's offer as the pure core wants it."""
    try:
        sizes = {name: _size(entry) for name, entry in settings.sizes.items()}
        runtimes = {name: str(entry["image"]) for name, entry in settings.runtimes.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"MOORAGE_SIZES or MOORAGE_RUNTIMES lacks or misspells {error}") from error
    prefixes = tuple(str(prefix) for prefix in settings.allowed_images)
    if any(not prefix.endswith(("/", ":", "@")) for prefix in prefixes):
        raise SettingsError("MOORAGE_ALLOWED_IMAGES: each prefix must end with '/', ':' or '@'")
    return Platform(
        sizes=sizes,
        runtimes=runtimes,
        allowed_images=prefixes,
        mover=MoverOffer(
            image=settings.mover_image,
            api_url=settings.mover_api_url,
            api_ca_pem=mover_authority(settings),
            egress=tuple(settings.mover_egress),
        ),
        network=NetworkOffer(
            platform_namespace=settings.platform_namespace,
            denied=tuple(settings.egress_denied),
            gate=settings.network_gate,
            ingress=settings.ingress_from,
        ),
        sandbox_runtime_class=settings.sandbox_runtime_class or None,
        user_namespaces=settings.user_namespaces,
        storage_class=settings.storage_class or None,
        volume_annotations=settings.volume_annotations,
        node_selector=settings.agent_node_selector,
        tolerations=tuple(settings.agent_tolerations),
        domains=_domains(settings),
    )


def _domains(settings: Settings) -> DomainOffer | None:
    if not settings.domain_zone:
        return None
    if not settings.domain_target or (settings.domain_route == RouteKind.HTTP_ROUTE and not settings.gateway):
        raise SettingsError("MOORAGE_DOMAIN_ZONE needs MOORAGE_DOMAIN_TARGET, and HTTPRoute needs MOORAGE_GATEWAY")
    offered = {
        Issuer.CLOUDFLARE: settings.cloudflare_token_file,
        Issuer.ACME: settings.acme_directory or settings.cert_manager_issuer,
    }
    namespace, _, name = settings.gateway.partition("/")
    return DomainOffer(
        zone=_zone(settings),
        target=settings.domain_target,
        # Whoever held the name that all names lead to would hold them all.
        reserved=(*map(str, settings.domain_reserved), *map(str, settings.platform_hosts), settings.domain_target),
        proxied=settings.domain_proxied,
        issuer=Issuer(settings.domain_issuer),
        issuers=tuple(issuer for issuer, means in offered.items() if means),
        cert_manager=settings.cert_manager_issuer or None,
        route_kind=RouteKind(settings.domain_route),
        ingress_class=settings.ingress_class or None,
        gateway=(namespace, name) if name else None,
        annotations={str(name): str(value) for name, value in settings.route_annotations.items()},
    )


def _zone(settings: Settings) -> str:
    # Every comparison with a name of a tenant is one of canonical names.
    try:
        zone = hostnames.canonical(settings.domain_zone)
    except Permanent as error:
        raise SettingsError("MOORAGE_DOMAIN_ZONE must be a host name, such as agents.example") from error
    registered = hostnames.registrable(zone)
    if registered is None:
        raise SettingsError("MOORAGE_DOMAIN_ZONE must not be a suffix that belongs to everybody, such as co.uk")
    # What agents serve is written by strangers. Within one registered domain a browser would share cookies with it.
    ours = (*map(str, settings.platform_hosts), urlsplit(settings.mover_api_url).hostname or "")
    if any(host == registered or host.endswith(f".{registered}") for host in ours):
        raise SettingsError("MOORAGE_DOMAIN_ZONE must be in a registered domain of its own, without platform hosts")
    return zone


def _size(entry: Mapping[str, Any]) -> SizeClass:
    return SizeClass(
        cpu=str(entry["cpu"]),
        memory=str(entry["memory"]),
        rate_picos=money.price_per_hour_to_rate(str(entry["pricePerHour"])),
    )
