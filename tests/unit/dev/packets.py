"""A small evaluator of the rendered nftables table: whether a packet of a new connection passes."""

import ipaddress
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection."""

    source: str
    target: str
    port: int = 8080
    protocol: str = "tcp"


def passes(table: str, packet: Packet) -> bool:
    """Whether the table lets the packet through; both sides' chains must."""
    return all(_chain_passes(table, packet, chain) for chain in _jumps(table, packet))


def _jumps(table: str, packet: Packet) -> list[str]:
    found = []
    for field, address in (("saddr", packet.source), ("daddr", packet.target)):
        line = re.search(rf"^    ip {field} vmap {{ (.*) }}$", table, re.MULTILINE)
        entries = dict(entry.split(" : jump ") for entry in line[1].split(", ")) if line else {}
        found += [entries[address]] if address in entries else []
    return found


def _chain_passes(table: str, packet: Packet, chain: str) -> bool:
    body = re.search(rf"^  chain {chain} {{\n(.*?)^  }}", table, re.MULTILINE | re.DOTALL)
    assert body, f"the table jumps to {chain}, which it lacks"
    for line in body[1].splitlines():
        words = line.split()
        if words == ["counter", "drop"]:
            return False
        assert words[-1] == "return", line
        if _matches(words[:-1], packet):
            return True
    raise AssertionError(f"{chain} ends without a verdict")


def _matches(words: list[str], packet: Packet) -> bool:
    rest = list(words)
    while rest:
        match rest:
            case ["ip" | "ip6", "saddr" | "daddr" as field, "!=", cidr, *rest]:
                hit = not _within(packet, field, cidr)
            case ["ip" | "ip6", "saddr" | "daddr" as field, cidr, *rest]:
                hit = _within(packet, field, cidr)
            case ["meta", "l4proto", protocol, *rest]:
                hit = packet.protocol == protocol
            case [protocol, "dport", ports, *rest]:
                first, _, last = ports.partition("-")
                hit = packet.protocol == protocol and int(first) <= packet.port <= int(last or first)
            case other:
                raise AssertionError(f"the evaluator does not know {other}")
        if not hit:
            return False
    return True


def _within(packet: Packet, field: str, cidr: str) -> bool:
    address = packet.source if field == "saddr" else packet.target
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)
