"""NetworkPolicies as one nftables table: which packets of which pod pass (pods have IPv4 addresses; test bed only)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # policies arrive as free-form API documents

TABLE = "moorage-netpol"

Document = Mapping[str, Any]
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Pod:
    """A pod with an address of its own."""

    namespace: str
    name: str
    ip: str
    labels: Labels
    ports: tuple[tuple[str, str, int], ...] = ()
    """Name, protocol and number of each named port."""


@dataclass(frozen=True)
class World:
    """Whom a policy can be about."""

    pods: Sequence[Pod]
    namespaces: Mapping[str, Labels]


@dataclass(frozen=True)
class Block:
    """A range of addresses with holes."""

    cidr: str
    holes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PortRange:
    """Ports of one protocol; the whole protocol when `first` is None."""

    protocol: str
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class Rule:
    """Packets that pass: any of these peers (None: everybody) on any of these ports (None: every protocol)."""

    peers: tuple[Block, ...] | None
    ports: tuple[PortRange, ...] | None


@dataclass(frozen=True)
class Verdicts:
    """The rules of every isolated pod by address; a pod that is missing is open."""

    ingress: Mapping[str, tuple[Rule, ...]]
    egress: Mapping[str, tuple[Rule, ...]]


def evaluate(world: World, policies: Iterable[Document]) -> Verdicts:
    """What the policies say about each pod."""
    found: dict[str, dict[str, tuple[Rule, ...]]] = {"Ingress": {}, "Egress": {}}
    for policy in policies:
        spec, namespace = policy["spec"], policy["metadata"]["namespace"]
        selector = spec.get("podSelector") or {}
        selected = [pod for pod in world.pods if pod.namespace == namespace and selects(selector, pod.labels)]
        for direction in _directions(spec):
            for pod in selected:
                rules = found[direction].get(pod.ip, ())
                found[direction][pod.ip] = rules + tuple(_rules(policy, direction, pod, world))
    return Verdicts(found["Ingress"], found["Egress"])


def render(verdicts: Verdicts) -> str:
    """The table as one transaction: the old one goes and the new one comes in the same moment."""
    lines = [f"table inet {TABLE}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
    for name, side, other in (("egress", verdicts.egress, "daddr"), ("ingress", verdicts.ingress, "saddr")):
        for ip, rules in sorted(side.items()):
            lines.append(f"  chain {_chain(name, ip)} {{")
            lines += [f"    {match}return" for rule in rules for match in _matches(rule, other)]
            lines += ["    counter drop", "  }"]
    lines.append("  chain check {")
    lines.append("    ct state established,related return")
    # Whatever comes from the node itself passes, whichever of its addresses it uses: probes come from the bridge's.
    lines.append("    fib saddr type local return")
    lines += _jumps("saddr", "egress", verdicts.egress) + _jumps("daddr", "ingress", verdicts.ingress)
    lines.append("  }")
    for hook in ("forward", "input", "output"):
        # After the translation of Service addresses: rules see the pod's or the node's own address.
        head = f"type filter hook {hook} priority 10; policy accept;"
        lines += [f"  chain {hook} {{", f"    {head}", "    jump check", "  }"]
    return "\n".join([*lines, "}", ""])


def selects(selector: Document, labels: Labels) -> bool:
    """Whether a label selector matches; the empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(item, labels) for item in selector.get("matchExpressions") or ())


def _expression(item: Document, labels: Labels) -> bool:
    value = labels.get(item["key"])
    match item["operator"]:
        case "In":
            return value in item["values"]
        case "NotIn":
            return value not in item["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case other:
            raise ValueError(f"unknown operator {other}")


def _directions(spec: Document) -> list[str]:
    # Without types a policy is about ingress, and about egress only when it says something about it.
    return list(spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])])


def _rules(policy: Document, direction: str, pod: Pod, world: World) -> Iterable[Rule]:
    """The rules of one direction of one policy, as they read for one selected pod."""
    key, side = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    for rule in policy["spec"].get(key) or ():
        peers, ports = rule.get(side) or None, rule.get("ports") or None
        members = _members(peers, policy["metadata"]["namespace"], world)
        if direction == "Egress" and ports and any(isinstance(port.get("port"), str) for port in ports):
            yield from _egress_by_name(members, ports)
            ports = [port for port in ports if not isinstance(port.get("port"), str)]
            if not ports:
                continue
        blocks = None if peers is None else (*(Block(member.ip) for member in members), *_blocks(peers))
        yield Rule(blocks, None if ports is None else tuple(_ranges(ports, pod)))


def _egress_by_name(members: Sequence[Pod], ports: Sequence[Document]) -> Iterable[Rule]:
    """A port's name means what each destination calls by it, so every destination gets a rule of its own."""
    for member in members:
        named = tuple(_ranges([port for port in ports if isinstance(port.get("port"), str)], member))
        if named:
            yield Rule((Block(member.ip),), named)


def _members(peers: Sequence[Document] | None, namespace: str, world: World) -> list[Pod]:
    """The pods these peers stand for; every pod when the rule names no peers."""
    if peers is None:
        return list(world.pods)
    selectors = [peer for peer in peers if not peer.get("ipBlock")]
    return [pod for pod in world.pods if any(_is_peer(pod, peer, namespace, world) for peer in selectors)]


def _is_peer(pod: Pod, peer: Document, namespace: str, world: World) -> bool:
    by_namespace = peer.get("namespaceSelector")
    if by_namespace is None:
        inside = pod.namespace == namespace
    else:
        inside = selects(by_namespace, world.namespaces.get(pod.namespace, {}))
    return inside and selects(peer.get("podSelector") or {}, pod.labels)


def _blocks(peers: Iterable[Document]) -> list[Block]:
    blocks = (peer["ipBlock"] for peer in peers if peer.get("ipBlock"))
    return [Block(block["cidr"], tuple(block.get("except") or ())) for block in blocks]


def _ranges(ports: Iterable[Document], owner: Pod) -> Iterable[PortRange]:
    for port in ports:
        protocol, number = port.get("protocol", "TCP"), port.get("port")
        if number is None:
            yield PortRange(protocol)
        elif isinstance(number, str):
            # A name nobody carries matches nothing.
            yield from (PortRange(protocol, n, n) for name, p, n in owner.ports if (name, p) == (number, protocol))
        else:
            yield PortRange(protocol, number, port.get("endPort", number))


def _matches(rule: Rule, other: str) -> Iterable[str]:
    """The rule's matches, each ending in a space; several, because nftables combines sets by "and"."""
    if rule.peers is None:
        peers = [""]
    else:
        plain = sorted({block.cidr for block in rule.peers if not block.holes})
        peers = [f"{_family(cidr)} {other} {cidr} " for cidr in plain]
        peers += [
            f"{_family(block.cidr)} {other} {block.cidr} {_without(block.holes, other)}"
            for block in rule.peers
            if block.holes
        ]
    ports = [""] if rule.ports is None else [_port(port) for port in rule.ports]
    return [f"{peer}{port}" for peer in peers for port in ports]


def _without(holes: Iterable[str], other: str) -> str:
    return "".join(f"{_family(hole)} {other} != {hole} " for hole in holes)


def _family(cidr: str) -> str:
    return "ip6" if ":" in cidr else "ip"


def _port(port: PortRange) -> str:
    protocol = port.protocol.lower()
    if port.first is None:
        return f"meta l4proto {protocol} "
    return f"{protocol} dport {port.first if port.first == port.last else f'{port.first}-{port.last}'} "


def _jumps(field: str, name: str, side: Mapping[str, tuple[Rule, ...]]) -> list[str]:
    if not side:
        return []
    entries = ", ".join(f"{ip} : jump {_chain(name, ip)}" for ip in sorted(side))
    return [f"    ip {field} vmap {{ {entries} }}"]


def _chain(name: str, ip: str) -> str:
    return f"{name}-{ip.replace('.', '-')}"
