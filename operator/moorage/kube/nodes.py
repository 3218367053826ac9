"""Nodes and their heartbeats as we read them."""

import math
from collections.abc import Mapping
from datetime import datetime

import msgspec

from moorage.kube.objects import ConditionsStatus, Identity


class Node(msgspec.Struct, frozen=True, gc=False):
    """A node."""

    metadata: Identity
    status: ConditionsStatus = ConditionsStatus()

    @property
    def ready(self) -> bool:
        """Whether the kubelet says so; the control plane turns it to Unknown when the kubelet is silent."""
        return self.status.is_true("Ready")

    @property
    def silent(self) -> bool:
        """Whether the control plane has not heard of it for a while; a kubelet that says "not ready" still speaks."""
        return any(item.type == "Ready" and item.status == "Unknown" for item in self.status.conditions)


class LeaseSpec(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """spec of a Lease."""

    renew_time: datetime | None = None


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A node's heartbeat."""

    metadata: Identity
    spec: LeaseSpec = LeaseSpec()


def says(node: Node | None) -> tuple[bool, bool]:
    """What of a node matters to the agents on it: whether it is ready, and whether it is silent; gone is silent."""
    return (False, True) if node is None else (node.ready, node.silent)


def proofs(nodes: Mapping[str, Node], leases: Mapping[str, Lease]) -> dict[str, int]:
    """For each Ready node the second up to which it has proven to be alive."""
    renewed = {name: lease.spec.renew_time for name, lease in leases.items() if lease.spec.renew_time is not None}
    return {
        name: math.floor(renewed[name].timestamp()) for name, node in nodes.items() if node.ready and name in renewed
    }
