"""NetworkPolicies mean on the test bed what the API's documentation says they mean."""

from typing import Any

import pytest

from dev import netpol, policies
from tests.unit.dev.packets import Packet, passes

CLIENT = policies.Pod("shop", "client", "10.78.0.2", {"app": "client"})
SERVER = policies.Pod(
    "shop", "server", "10.78.0.3", {"app": "server", "tier": "front"}, (("web", "TCP", 8080), ("dns", "UDP", 53))
)
STRANGER = policies.Pod("street", "stranger", "10.78.0.4", {"app": "client"}, (("web", "TCP", 9090),))
OUTSIDE = "192.0.2.7"
WORLD = policies.World([CLIENT, SERVER, STRANGER], {"shop": {"team": "blue"}, "street": {"team": "red"}})

IN = Packet(CLIENT.ip, SERVER.ip)
IN_OTHER_PORT = Packet(CLIENT.ip, SERVER.ip, 8081)
IN_UDP = Packet(CLIENT.ip, SERVER.ip, protocol="udp")
FROM_STRANGER = Packet(STRANGER.ip, SERVER.ip)
FROM_OUTSIDE = Packet(OUTSIDE, SERVER.ip)
TO_STRANGER = Packet(CLIENT.ip, STRANGER.ip, 9090)
TO_OUTSIDE = Packet(CLIENT.ip, OUTSIDE, 443)

ON_SERVER = {"podSelector": {"matchLabels": {"app": "server"}}}
ON_CLIENT = {"podSelector": {"matchLabels": {"app": "client"}}}
EGRESS = {"policyTypes": ["Egress"]}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


def ingress(**rule: Any) -> dict[str, Any]:
    return {**ON_SERVER, "ingress": [{"from" if key == "peers" else key: value for key, value in rule.items()}]}


def egress(**rule: Any) -> dict[str, Any]:
    named = {"to" if key == "peers" else key: value for key, value in rule.items()}
    return {**ON_CLIENT, **EGRESS, "egress": [named]}


CASES: list[tuple[str, list[dict[str, Any]], list[Packet], list[Packet]]] = [
    ("no policy leaves everything open", [], [IN, FROM_STRANGER, FROM_OUTSIDE, TO_OUTSIDE], []),
    (
        "an empty selector denies the whole namespace and nothing else",
        [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}],
        [Packet(OUTSIDE, STRANGER.ip)],
        [IN, FROM_STRANGER, FROM_OUTSIDE, TO_STRANGER, TO_OUTSIDE],
    ),
    ("without types a policy is about ingress", [ON_SERVER], [TO_OUTSIDE, Packet(SERVER.ip, OUTSIDE)], [IN]),
    (
        "without types a policy with egress rules is about both",
        [{**ON_CLIENT, "egress": [{}]}],
        [TO_OUTSIDE],
        [Packet(SERVER.ip, CLIENT.ip)],
    ),
    ("an empty rule lets everything in", [ingress()], [IN, IN_UDP, FROM_STRANGER, FROM_OUTSIDE], []),
    (
        "a pod selector alone means the policy's own namespace",
        [ingress(peers=[ON_CLIENT])],
        [IN, IN_UDP],
        [FROM_STRANGER, FROM_OUTSIDE],
    ),
    (
        "both selectors of one peer must match",
        [ingress(peers=[{"namespaceSelector": {"matchLabels": {"team": "red"}}, **ON_CLIENT}])],
        [FROM_STRANGER],
        [IN],
    ),
    (
        "two peers add up",
        [ingress(peers=[{"namespaceSelector": {"matchLabels": {"team": "red"}}}, ON_CLIENT])],
        [IN, FROM_STRANGER],
        [FROM_OUTSIDE],
    ),
    (
        "the empty namespace selector means every pod and nobody outside",
        [ingress(peers=[{"namespaceSelector": {}}])],
        [IN, FROM_STRANGER],
        [FROM_OUTSIDE],
    ),
    (
        "a port without a protocol is TCP",
        [ingress(ports=[{"port": 8080}])],
        [IN, FROM_OUTSIDE],
        [IN_OTHER_PORT, IN_UDP],
    ),
    ("a protocol without a port is all of its ports", [ingress(ports=[{"protocol": "UDP"}])], [IN_UDP], [IN]),
    ("SCTP is a protocol too", [ingress(ports=[{"protocol": "SCTP", "port": 8080}])], [], [IN, IN_UDP]),
    ("a named port is what the pod calls so", [ingress(ports=[{"port": "web"}])], [IN], [IN_OTHER_PORT, IN_UDP]),
    (
        "a name of the other protocol is no port",
        [ingress(ports=[{"port": "dns"}])],
        [],
        [IN, Packet(CLIENT.ip, SERVER.ip, 53)],
    ),
    ("a name nobody carries opens nothing", [ingress(ports=[{"port": "nothing"}])], [], [IN]),
    (
        "endPort opens the range with both ends",
        [ingress(ports=[{"port": 8081, "endPort": 8083}])],
        [IN_OTHER_PORT, Packet(CLIENT.ip, SERVER.ip, 8083)],
        [IN, Packet(CLIENT.ip, SERVER.ip, 8084)],
    ),
    (
        "a range of addresses keeps its holes closed",
        [ingress(peers=[{"ipBlock": {"cidr": "10.78.0.0/16", "except": ["10.78.0.4/32", "10.78.9.0/24"]}}])],
        [IN],
        [FROM_STRANGER, FROM_OUTSIDE, Packet("10.78.9.9", SERVER.ip)],
    ),
    (
        "a range of IPv6 is none of IPv4",
        [egress(peers=[{"ipBlock": {"cidr": "2000::/3", "except": ["2002::/16"]}}])],
        [],
        [IN, TO_OUTSIDE],
    ),
    (
        "a hole in one range does not close another",
        [
            ingress(
                peers=[
                    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.78.0.0/16"]}},
                    {"ipBlock": {"cidr": "10.78.0.4/32"}},
                ]
            )
        ],
        [FROM_STRANGER, FROM_OUTSIDE],
        [IN],
    ),
    (
        "peers and ports of one rule must both match",
        [ingress(peers=[ON_CLIENT], ports=[{"port": 8080}])],
        [IN],
        [IN_OTHER_PORT, FROM_STRANGER],
    ),
    (
        "two policies on one pod add up",
        [ingress(peers=[ON_CLIENT]), ingress(ports=[{"port": 9999}])],
        [IN, Packet(OUTSIDE, SERVER.ip, 9999)],
        [FROM_OUTSIDE],
    ),
    (
        "peers that nobody is let nobody in",
        [ingress(peers=[{"podSelector": {"matchLabels": {"app": "ghost"}}}])],
        [],
        [IN, FROM_OUTSIDE],
    ),
    (
        "a named port out is what each destination calls so",
        [egress(ports=[{"port": "web"}])],
        [IN, TO_STRANGER],
        [IN_OTHER_PORT, Packet(CLIENT.ip, STRANGER.ip), TO_OUTSIDE],
    ),
    (
        "a named and a numbered port out both hold",
        [egress(peers=[ON_SERVER], ports=[{"port": "web"}, {"port": 8081}])],
        [IN, IN_OTHER_PORT],
        [TO_STRANGER, IN_UDP],
    ),
    (
        "egress to everywhere but the cluster",
        [egress(peers=[{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}])],
        [TO_OUTSIDE],
        [IN, TO_STRANGER],
    ),
    (
        "egress of one side does not open ingress of the other",
        [egress(), ON_SERVER],
        [TO_OUTSIDE],
        [IN],
    ),
    ("In", [ingress(peers=[{"namespaceSelector": expression("team", "In", "red", "green")}])], [FROM_STRANGER], [IN]),
    ("NotIn", [ingress(peers=[{"namespaceSelector": expression("team", "NotIn", "red")}])], [IN], [FROM_STRANGER]),
    ("Exists", [{"podSelector": expression("tier", "Exists")}], [Packet(SERVER.ip, CLIENT.ip)], [IN]),
    ("DoesNotExist", [{"podSelector": expression("tier", "DoesNotExist")}], [IN], [Packet(SERVER.ip, CLIENT.ip)]),
]


@pytest.mark.parametrize(("rules", "open_", "closed"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_packet_passes_exactly_when_the_policies_allow_it(
    rules: list[dict[str, Any]], open_: list[Packet], closed: list[Packet]
) -> None:
    documents = [
        {"metadata": {"namespace": "shop", "name": f"p{number}"}, "spec": rule} for number, rule in enumerate(rules)
    ]
    table = policies.render(policies.evaluate(WORLD, documents))

    assert [packet for packet in open_ if not passes(table, packet)] == []
    assert [packet for packet in closed if passes(table, packet)] == []


def test_a_label_that_is_missing_is_not_in_any_list() -> None:
    assert policies.selects(expression("team", "NotIn", "red"), {})
    assert not policies.selects(expression("team", "In", "red"), {})


def test_table_replaces_the_old_one_in_one_transaction() -> None:
    lines = policies.render(policies.evaluate(WORLD, [])).splitlines()

    # Adding it first makes the deletion valid when there is none yet.
    assert lines[:3] == [
        "table inet moorage-netpol",
        "delete table inet moorage-netpol",
        "table inet moorage-netpol {",
    ]


def test_table_spares_answers_and_the_node_before_any_rule() -> None:
    documents = [{"metadata": {"namespace": "shop"}, "spec": ON_SERVER}]
    table = policies.render(policies.evaluate(WORLD, documents))

    check = table[table.index("chain check") :].splitlines()
    assert check[1:3] == ["    ct state established,related return", "    fib saddr type local return"]
    assert "vmap" in check[3]


POD = {
    "metadata": {"namespace": "shop", "name": "server", "labels": {"app": "server"}},
    "spec": {"containers": [{"ports": [{"name": "web", "containerPort": 8080}, {"containerPort": 1}]}]},
    "status": {"podIP": "10.78.0.3", "phase": "Running"},
}


def test_a_pod_is_known_by_its_address_labels_and_named_ports() -> None:
    assert netpol.pod_of(POD) == policies.Pod("shop", "server", "10.78.0.3", {"app": "server"}, (("web", "TCP", 8080),))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"status": {}}, id="has no address yet"),
        pytest.param(
            {"status": {"podIP": "10.78.0.3", "phase": "Succeeded"}}, id="has ended, and its address may be reused"
        ),
        pytest.param({"spec": {"hostNetwork": True, "containers": []}}, id="uses the node's address"),
    ],
)
def test_a_pod_is_unknown_to_policies_when_it(change: dict[str, Any]) -> None:
    assert netpol.pod_of({**POD, **change}) is None
