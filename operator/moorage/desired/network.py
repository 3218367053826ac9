"""Network policies of a tenant's core namespace: nothing in, nothing out, but for names and what is listed here."""

from moorage.desired import metadata, public_addresses
from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.namespace import EgressClass, TenantNamespace
from moorage.model.network import Addresses, Pods
from moorage.model.offer import Platform

DNS = "moorage-dns"
AGENT = "moorage-agent"
MOVER = "moorage-mover"
HTTPS_PORT = 443
CLUSTER_DNS = Pods(namespace="kube-system", labels={"k8s-app": "kube-dns"})


def policies(tenant: TenantNamespace, platform: Platform) -> list[Manifest]:
    """The policies of one tenant, the denial first, so that there is no moment without it."""
    return [
        # The empty lists are wishes too: without them, a rule that somebody adds would be theirs and stay.
        _policy(
            tenant,
            names.DEFAULT_DENY,
            {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []},
        ),
        _policy(tenant, DNS, {"podSelector": {}, "policyTypes": ["Egress"], "egress": [_dns()]}),
        _policy(
            tenant,
            AGENT,
            {
                "podSelector": {"matchLabels": {names.LABEL_COMPONENT: names.COMPONENT_AGENT}},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": _agents_ingress(platform),
                "egress": _agents_egress(tenant, platform),
            },
        ),
        _policy(
            tenant,
            MOVER,
            {
                "podSelector": {"matchLabels": {names.LABEL_COMPONENT: names.COMPONENT_MOVER}},
                "policyTypes": ["Egress"],
                "egress": [
                    {
                        "to": [_peer(target.to)],
                        "ports": [{"protocol": "TCP", "port": target.port}],
                    }
                    for target in platform.mover.egress
                ],
            },
        ),
    ]


def _agents_ingress(platform: Platform) -> list[Manifest]:
    controller = platform.network.ingress
    return [] if controller is None else [{"from": [_peer(controller)], "ports": [{"protocol": "TCP"}]}]


def _agents_egress(tenant: TenantNamespace, platform: Platform) -> list[Manifest]:
    match tenant.spec.egress:
        case EgressClass.PUBLIC_HTTPS:
            peers = public_addresses.blocks(platform.network.denied)
            # A rule without peers would mean everybody.
            return [{"to": peers, "ports": [{"protocol": "TCP", "port": HTTPS_PORT}]}] if peers else []
        case EgressClass.GATEWAY_ONLY:
            return [{"to": [_peer(_gateway(platform))], "ports": [{"protocol": "TCP"}]}]
        case EgressClass.NONE:
            return []


def _gateway(platform: Platform) -> Pods:
    labels = {"app.kubernetes.io/name": "moorage", "app.kubernetes.io/component": "gateway"}
    return Pods(namespace=platform.network.platform_namespace, labels=labels)


def _peer(place: Addresses | Pods) -> Manifest:
    if isinstance(place, Addresses):
        return {"ipBlock": {"cidr": place.cidr}}
    # Namespace and pod selector in one peer: these pods of this namespace, not everything that fits either.
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
        "podSelector": {"matchLabels": dict(place.labels)},
    }


def _dns() -> Manifest:
    return {
        "to": [_peer(CLUSTER_DNS)],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }


def _policy(tenant: TenantNamespace, name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata.of_tenant(tenant, name),
        "spec": spec,
    }
