"""Whom NetworkPolicies let a pod talk to, by the words of the API alone, in both families of addresses."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod with its namespace and labels, or an address outside."""

    address: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def may_send(policies: Iterable[Policy], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Whether the egress rules about the source let it open a connection to this port."""
    return _allowed(policies, "Egress", source, target, port, protocol)


def may_receive(policies: Iterable[Policy], target: End, source: End, port: int, protocol: str = "TCP") -> bool:
    """Whether the ingress rules about the target let the source in."""
    return _allowed(policies, "Ingress", target, source, port, protocol)


def _allowed(policies: Iterable[Policy], direction: str, subject: End, other: End, port: int, protocol: str) -> bool:
    about = [policy for policy in policies if direction in policy["spec"]["policyTypes"] and _selects(policy, subject)]
    if not about:
        return True
    rules, side = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return any(
        _has(rule.get("ports"), port, protocol) and _is_among(rule.get(side), policy["metadata"]["namespace"], other)
        for policy in about
        for rule in policy["spec"].get(rules) or ()
    )


def _selects(policy: Policy, pod: End) -> bool:
    return bool(pod.namespace == policy["metadata"]["namespace"]) and _fits(policy["spec"]["podSelector"], pod.labels)


def _fits(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, "the opinion does not know expressions"
    return (selector.get("matchLabels") or {}).items() <= labels.items()


def _has(ports: Any, port: int, protocol: str) -> bool:
    # No ports are all ports; a port without a number is every port of its protocol.
    return not ports or any(
        item.get("protocol", "TCP") == protocol
        and item.get("port", port) <= port <= item.get("endPort", item.get("port", port))
        for item in ports
    )


def _is_among(peers: Any, namespace: str, other: End) -> bool:
    return not peers or any(_is(peer, namespace, other) for peer in peers)


def _is(peer: Mapping[str, Any], namespace: str, other: End) -> bool:
    if "ipBlock" in peer:
        block, address = peer["ipBlock"], ipaddress.ip_address(other.address)
        holes = (ipaddress.ip_network(hole) for hole in block.get("except") or ())
        return address in ipaddress.ip_network(block["cidr"]) and not any(address in hole for hole in holes)
    if not other.namespace:
        return False
    own = peer.get("namespaceSelector")
    # Every namespace carries its own name as this label.
    named = {"kubernetes.io/metadata.name": other.namespace}
    inside = other.namespace == namespace if own is None else _fits(own, named)
    return inside and _fits(peer.get("podSelector") or {}, other.labels)
