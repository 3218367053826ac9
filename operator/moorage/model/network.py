"""Destinations in the cluster's network: ranges of addresses, pods, and ports of either; parsed once, at the door."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

RANGES = "must name ranges of addresses as 10.0.0.0/8 or fd00::/8, with no bit outside the mask and no IPv4 in IPv6"
IPV4_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Everything in one range of IPv4 or IPv6 addresses, in its canonical spelling."""

    cidr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """The pods of one core namespace that carry all of these labels, of which there is at least one."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """One destination with its TCP port. Of pods it is the container's port: policies see what a Service leads to."""

    to: Addresses | Pods
    port: int


def destinations(entries: Iterable[Any]) -> list[Egress]:
    """Read `{"cidr", "port"}` and `{"namespace", "labels", "port"}`; raises ValueError, saying what it should be."""
    return [_destination(entry) for entry in entries]


def _destination(entry: Any) -> Egress:
    match entry:
        case {"cidr": str(cidr), "port": int(port), **rest} if not rest and _is_port(port):
            return Egress(to=Addresses(cidr=canonical(cidr)), port=port)
        case {"port": int(port), **place} if _is_port(port):
            return Egress(to=pods(place), port=port)
    raise ValueError('must be a list of {"cidr", "port"} and {"namespace", "labels", "port"}')


def pods(entry: Any) -> Pods:
    """Read `{"namespace", "labels"}`; raises ValueError, saying what it should be."""
    match entry:
        case {"namespace": str(namespace), "labels": dict(labels), **rest} if namespace and not rest:
            # No labels would mean every pod of the namespace, which nobody should open by leaving something out.
            if labels and all(isinstance(text, str) for pair in labels.items() for text in pair):
                return Pods(namespace=namespace, labels=labels)
    raise ValueError('must name pods by {"namespace", "labels"}, with at least one label')


def canonical(cidr: str) -> str:
    """A range as policies spell it; raises ValueError when it is none, or has bits set outside its mask."""
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError as error:
        raise ValueError(RANGES) from error
    if network.version == 6 and network.subnet_of(IPV4_MAPPED):  # packets carry the IPv4 address
        raise ValueError(RANGES)
    return str(network)


def _is_port(port: int) -> bool:
    return not isinstance(port, bool) and 0 < port < 1 << 16
