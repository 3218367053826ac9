"""Network policies of a tenant's core namespace: nothing in, nothing out, but names and the mover's two addresses."""

from moorage.desired import metadata
from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.namespace import TenantNamespace
from moorage.model.offer import Platform

DEFAULT_DENY = "moorage-default-deny"
DNS = "moorage-dns"
MOVER = "moorage-mover"


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
                        "to": [{"ipBlock": {"cidr": target.cidr}}],
                        "ports": [{"protocol": "TCP", "port": target.port}],
                    }
                    for target in platform.mover.egress
                ],
            },
        ),
    ]


def _dns() -> Manifest:
    # Namespace and pod selector in one peer: only the cluster's DNS pods, not everything in kube-system.
    return {
        "to": [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }
        ],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }


def _policy(tenant: TenantNamespace, name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata.of_tenant(tenant, name),
        "spec": spec,
    }
