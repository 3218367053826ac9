"""What the platform owns in a tenant's namespace, in a form that two tenants and two incarnations have in common."""

import json
import re

from moorage.model import names
from tests.e2e.cluster import Manifest
from tests.e2e.tenancy import Tenant

PLURALS = (
    "pods",
    "jobs",
    "services",
    "configmaps",
    "persistentvolumeclaims",
    "networkpolicies",
    "resourcequotas",
    "serviceaccounts",
)
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# The last number of a pod's and a claim's name counts incarnations and generations.
COUNTED = re.compile(r"\b(helper|data-helper)-\d+\b")
GENERATION = re.compile(rf'("{re.escape(names.LABEL_GENERATION)}": )"\d+"')
# Given by the cluster to each object anew.
GIVEN = {"clusterIP", "clusterIPs", "volumeName", "nodeName"}


def fingerprint(tenant: Tenant) -> list[str]:
    """Kind, name, labels and content of every object of ours, sorted."""
    cluster = tenant.house.cluster
    found = [("namespaces", cluster.get("namespaces", "", tenant.namespace))]
    for plural in PLURALS:
        found += [
            (plural, item) for item in cluster.find_all(plural, tenant.namespace, labels="moorage.dev/managed=true")
        ]
    return sorted(_line(plural, item, tenant) for plural, item in found)


def _line(plural: str, item: Manifest, tenant: Tenant) -> str:
    metadata = item["metadata"]
    labels = {key: value for key, value in metadata.get("labels", {}).items() if key.startswith("moorage.dev/")}
    owners = [(owner["kind"], owner["name"]) for owner in metadata.get("ownerReferences", [])]
    rest = {
        key: {name: value for name, value in part.items() if name not in GIVEN} if isinstance(part, dict) else part
        for key, part in item.items()
        if key not in {"metadata", "status", "apiVersion", "kind"}
    }
    text = json.dumps([plural, metadata["name"], labels, owners, rest], sort_keys=True)
    return GENERATION.sub(r'\1"N"', COUNTED.sub(r"\1-N", UUID.sub("UUID", text.replace(tenant.name, "TENANT"))))
