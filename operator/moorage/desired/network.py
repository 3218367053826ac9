"""Network policies of a tenant's core namespace: nothing in, nothing out, but names and the mover's two addresses."""

from moorage.desired import metadata
from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.namespace import TenantNamespace
from moorage.model.network import Addresses, Pods
from moorage.model.offer import Platform

DEFAULT_DENY = "moorage-default-deny"
DNS = "moorage-dns"
MOVER = "moorage-mover"
CLUSTER_DNS = Pods(namespace="kube-system", labels={"k8s-app": "kube-dns"})


def policies(tenant: TenantNamespace, platform: Platform) -> list[Manifest]:
    """The policies of one tenant, the denial first, so that there is no moment without it."""
    return [
        # The empty lists are wishes too: without them, a rule that somebody adds would be theirs and stay.
        _policy(
            tenant,
            DEFAULT_DENY,
            {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []},
        ),
        _policy(tenant, DNS, {"podSelector": {}, "policyTypes": ["Egress"], "egress": [_dns()]}),
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
