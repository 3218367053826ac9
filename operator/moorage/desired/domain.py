"""What should exist for one Domain: the route that leads its host name to the agent, and its certificate."""

import base64

from moorage.desired import metadata, waiting
from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.domain import Domain
from moorage.model.offer import DomainOffer, RouteKind

# A year. Without subdomains: what is below a tenant's own name is not ours to speak for.
STRICT_TRANSPORT = "max-age=31536000"


def route(domain: Domain, hostname: str, *, agent_port: int | None, away: bool, offer: DomainOffer) -> list[Manifest]:
    """What leads requests for the canonical host name to the agent, or to the waiting page while it is away.

    `agent_port` is None where there is no agent that serves HTTP: then the page answers, too.
    """
    if away or agent_port is None:
        backend = (names.WAITING_SERVICE, waiting.PORT)
    else:
        backend = (names.agent_service(domain.spec.agent_ref.name), agent_port)
    made = _http_route if offer.route_kind is RouteKind.HTTP_ROUTE else _ingress
    return [made(domain, hostname, backend, offer)]


def tls_secret(domain: Domain, chain_pem: str, key_pem: str) -> Manifest:
    """The certificate and its key, where the ingress controller looks for them."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(domain, names.domain_secret(domain.metadata.name)),
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": _base64(chain_pem), "tls.key": _base64(key_pem)},
    }


def _ingress(domain: Domain, hostname: str, backend: tuple[str, int], offer: DomainOffer) -> Manifest:
    service, port = backend
    target = {"service": {"name": service, "port": {"number": port}}}
    spec: Manifest = {
        "rules": [{"host": hostname, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": target}]}}],
        "tls": [{"hosts": [hostname], "secretName": names.domain_secret(domain.metadata.name)}],
    }
    if offer.ingress_class is not None:
        spec["ingressClassName"] = offer.ingress_class
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": _route_metadata(domain, offer),
        "spec": spec,
    }


def _http_route(domain: Domain, hostname: str, backend: tuple[str, int], offer: DomainOffer) -> Manifest:
    """Certificates are the Gateway's own: a route cannot bring one."""
    assert offer.gateway is not None, "settings refuse HTTPRoute without a Gateway"
    (gateway_namespace, gateway), (service, port) = offer.gateway, backend
    strict = {"name": "Strict-Transport-Security", "value": STRICT_TRANSPORT}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [strict]}}],
        "backendRefs": [{"name": service, "port": port}],
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _route_metadata(domain, offer),
        "spec": {
            "parentRefs": [{"namespace": gateway_namespace, "name": gateway}],
            "hostnames": [hostname],
            "rules": [rule],
        },
    }


def _route_metadata(domain: Domain, offer: DomainOffer) -> Manifest:
    found = _metadata(domain, names.domain_route(domain.metadata.name))
    return {**found, "annotations": dict(offer.annotations)} if offer.annotations else found


def _metadata(domain: Domain, name: str) -> Manifest:
    return {
        "name": name,
        "namespace": domain.metadata.namespace,
        "labels": {
            names.LABEL_MANAGED: "true",
            names.LABEL_COMPONENT: names.COMPONENT_ROUTE,
            names.LABEL_DOMAIN: domain.metadata.name,
        },
        "ownerReferences": metadata.owned_by("Domain", domain.metadata),
    }


def _base64(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()
