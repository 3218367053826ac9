"""The way from a core namespace to the page that visitors see while an agent is away.

A route may only name a Service of its own namespace, so each core namespace has one that leads to the platform's.
"""

import ipaddress

from moorage.desired import metadata
from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.namespace import TenantNamespace

PORT = 80


def place(tenant: TenantNamespace, address: str) -> list[Manifest]:
    """The Service and what is behind it: `address` is that of the platform's own Service.

    Not the addresses of its pods: the next pod that gets one of these may be anybody's.
    """
    return [_service(tenant), _endpoints(tenant, address)]


def _service(tenant: TenantNamespace) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(tenant, names.WAITING_SERVICE),
        # Without an address of its own: the nodes' proxies do not lead from one Service's address to another's.
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "protocol": "TCP", "port": PORT, "targetPort": PORT}]},
    }


def _endpoints(tenant: TenantNamespace, address: str) -> Manifest:
    family = f"IPv{ipaddress.ip_address(address).version}"
    found = _metadata(tenant, f"{names.WAITING_SERVICE}-{family.lower()}")
    found["labels"] |= {
        "kubernetes.io/service-name": names.WAITING_SERVICE,
        "endpointslice.kubernetes.io/managed-by": names.GROUP,
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": found,
        "addressType": family,
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "protocol": "TCP", "port": PORT}],
    }


def _metadata(tenant: TenantNamespace, name: str) -> Manifest:
    found = metadata.of_tenant(tenant, name)
    return {**found, "labels": found["labels"] | {names.LABEL_COMPONENT: names.COMPONENT_WAITING}}
