"""The certificate of one Domain as cert-manager is asked for it, where it asks an authority in our place."""

from moorage.desired import metadata
from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.domain import Domain

API_VERSION = "cert-manager.io/v1"
GROUP = "cert-manager.io"


def certificate(domain: Domain, hostname: str, *, cluster_issuer: str) -> Manifest:
    """A certificate for exactly this canonical host name, where the route looks for it; each has a new key."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Certificate",
        "metadata": {
            "name": names.domain_secret(domain.metadata.name),
            "namespace": domain.metadata.namespace,
            "labels": {
                names.LABEL_MANAGED: "true",
                names.LABEL_COMPONENT: names.COMPONENT_ROUTE,
                names.LABEL_DOMAIN: domain.metadata.name,
            },
            "ownerReferences": metadata.owned_by("Domain", domain.metadata),
        },
        "spec": {
            "secretName": names.domain_secret(domain.metadata.name),
            "dnsNames": [hostname],
            "issuerRef": {"group": GROUP, "kind": "ClusterIssuer", "name": cluster_issuer},
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "key encipherment", "server auth"],
            "revisionHistoryLimit": 1,
        },
    }
