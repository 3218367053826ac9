"""Who reaches the platform's own pods, and whom they reach, by the policies as Helm renders them."""

from typing import Any

import pytest

from moorage import settings
from moorage.model.network import Pods
from tests import reach
from tests.chart import rendering
from tests.reach import End

pytestmark = pytest.mark.cluster

OURS = {"app.kubernetes.io/name": "moorage", "app.kubernetes.io/instance": "moorage"}
OPERATOR = End("10.78.0.2", rendering.NAMESPACE, OURS | {"app.kubernetes.io/component": "operator"})
API = End("10.78.0.3", rendering.NAMESPACE, OURS | {"app.kubernetes.io/component": "api"})
DNS = End("10.78.0.4", "kube-system", {"k8s-app": "kube-dns"})
PROXY = End("10.78.0.5", "ingress", {"app": "proxy"})
PROMETHEUS = End("10.78.0.6", "monitoring", {"app": "prometheus"})
POSTGRES = End("10.78.0.7", "database", {"app": "postgres"})
AGENT = End("10.78.0.8", "mn-acme", {"moorage.dev/component": "agent"})
NEIGHBOUR = End("10.78.0.9", rendering.NAMESPACE, {"app": "something-else"})
PUBLIC = End("198.51.100.1")
STRANGERS = [AGENT, NEIGHBOUR, PUBLIC, End("10.78.0.10", "ingress"), End("10.78.0.10", "monitoring")]


def policies(name: str) -> list[dict[str, Any]]:
    """The network policies of one file of values."""
    return [item for item in rendering.good(name) if item["kind"] == "NetworkPolicy"]


def test_only_who_is_named_reaches_the_platform() -> None:
    made = policies("maximal")
    for end, api, operator in ((PROXY, True, False), (PROMETHEUS, True, True), (OPERATOR, True, False)):
        assert reach.may_receive(made, API, end, 8443) is api
        assert reach.may_receive(made, OPERATOR, end, 8081) is operator
    for end in STRANGERS:
        assert not reach.may_receive(made, API, end, 8443), end
        assert not reach.may_receive(made, OPERATOR, end, 8081), end
    assert not any(reach.may_receive(made, API, end, 8081) for end in (PROXY, PROMETHEUS, OPERATOR))


def test_nobody_is_named_by_default() -> None:
    made = policies("minimal")
    for end in (PROXY, PROMETHEUS, *STRANGERS):
        assert not reach.may_receive(made, API, end, 8443), end
        assert not reach.may_receive(made, OPERATOR, end, 8081), end


def test_movers_reach_the_api_from_the_namespaces_of_tenants() -> None:
    (rule,) = next(item for item in policies("minimal") if item["metadata"]["name"] == "moorage-api")["spec"]["ingress"]
    assert rule["from"][0] == {
        "namespaceSelector": {"matchLabels": {"moorage.dev/managed": "true"}},
        "podSelector": {"matchLabels": {"moorage.dev/component": "mover"}},
    }
    assert rule["ports"] == [{"protocol": "TCP", "port": 8443}]


def test_the_platform_connects_to_what_it_needs_and_nothing_else() -> None:
    made = policies("maximal")
    for source in (OPERATOR, API):
        assert reach.may_send(made, source, DNS, 53, "UDP")
        assert reach.may_send(made, source, End("203.0.113.7"), 6443)
        assert reach.may_send(made, source, End("203.0.113.9"), 443), "the store"
        assert reach.may_send(made, source, POSTGRES, 5432)
        assert reach.may_send(made, source, API, 8443)
        for end, port in ((PUBLIC, 443), (AGENT, 8080), (NEIGHBOUR, 5432), (POSTGRES, 22), (End("203.0.113.7"), 22)):
            assert not reach.may_send(made, source, end, port), (end, port)


def test_resolvers_are_asked_only_where_there_are_host_names() -> None:
    for name, asks in (("minimal", False), ("domains", True)):
        for protocol in ("UDP", "TCP"):
            assert reach.may_send(policies(name), OPERATOR, PUBLIC, 53, protocol) is asks, name
    assert not reach.may_send(policies("domains"), OPERATOR, PUBLIC, 25)


def test_neighbours_in_the_namespace_are_left_alone() -> None:
    assert reach.may_receive(policies("minimal"), NEIGHBOUR, PUBLIC, 80)
    assert reach.may_send(policies("minimal"), NEIGHBOUR, PUBLIC, 80)


@pytest.mark.parametrize("name", ["minimal", "maximal"])
def test_settings_say_what_the_sections_say(name: str) -> None:
    (told,) = (item["data"] for item in rendering.good(name) if item["metadata"]["name"] == "moorage-settings")
    loaded = settings.load(told)
    maximal = name == "maximal"
    assert loaded.platform_namespace == rendering.NAMESPACE
    assert loaded.egress_denied == (["10.0.0.0/8", "2a01:4f8::/64"] if maximal else [])
    assert loaded.ingress_from == (Pods(namespace="ingress", labels={"app": "proxy"}) if maximal else None)
    assert loaded.network_gate is not maximal
    assert loaded.user_namespaces is maximal
    assert loaded.sandbox_runtime_class == ("gvisor" if maximal else "")
