"""Where an agent and a mover get by the policies of their tenant: each class, both families, every forbidden range."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.desired import network, public_addresses
from moorage.model import namespace as tenants
from moorage.model.network import Addresses, Egress, Pods
from moorage.model.offer import NetworkOffer
from tests import factories, reach
from tests.reach import End

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

AGENT = End("10.78.0.5", "mn-acme", {"moorage.dev/component": "agent"})
MOVER = End("10.78.0.6", "mn-acme", {"moorage.dev/component": "mover"})
OTHER_AGENT = End("10.78.0.7", "mn-acme", {"moorage.dev/component": "agent"})
STRANGER = End("10.78.0.8", "mn-evil", {"moorage.dev/component": "agent"})
GATEWAY = End("10.78.0.9", "platform", {"app.kubernetes.io/name": "moorage", "app.kubernetes.io/component": "gateway"})
DNS = End("10.78.0.2", "kube-system", {"k8s-app": "kube-dns"})
INGRESS = End("10.78.0.3", "ingress", {"app": "proxy"})
PUBLIC = [End("1.1.1.1"), End("2606:4700:4700::1111"), End("168.63.129.17"), End("2001:200::1")]
OWN_RANGES = ("203.1.0.0/16", "10.78.0.0/16", "2a01:4f8:1:2::/64", "fd00:78::/56")
FORBIDDEN = (
    *(*public_addresses.NOT_PUBLIC_V4, *public_addresses.NOT_PUBLIC_V6, *OWN_RANGES),
    *("::/128", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "fc00::/7", "fe80::/10"),
    *("ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128", "169.254.169.254/32", "100.100.100.200/32"),
)
CLASSES = ["PublicHttps", "GatewayOnly", "None", None]


def policies(egress: str | None, **offer: Any) -> list[dict[str, Any]]:
    """What is rendered for a tenant of this class."""
    spec = {"walletRef": {"name": "acme"}} | ({"egress": egress} if egress else {})
    manifest = {"metadata": {"name": "acme", "uid": factories.TENANT_UID, "generation": 1}, "spec": spec}
    offered = NetworkOffer(platform_namespace="platform", denied=OWN_RANGES, **offer)
    return network.policies(tenants.from_manifest(manifest), factories.platform(network=offered))


PUBLIC_HTTPS = policies("PublicHttps")


def carried_by(address: ipaddress.IPv4Address) -> list[Address]:
    """The IPv6 addresses with which a translator or a tunnel leads to this IPv4 address."""
    number = int(address)
    return [
        ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + (number << shift))
        for prefix, shift in (("::ffff:0:0", 0), ("::", 0), ("::ffff:0:0:0", 0), ("64:ff9b::", 0), ("2002::", 80))
    ]


@st.composite
def forbidden(draw: st.DrawFn) -> Address:
    """An address of a forbidden range, in its own or in an IPv6 dress."""
    whole = ipaddress.ip_network(draw(st.sampled_from(FORBIDDEN)))
    last = whole.num_addresses - 1
    address = whole[draw(st.one_of(st.sampled_from([0, last]), st.integers(0, last)))]
    if isinstance(address, ipaddress.IPv4Address):
        return draw(st.sampled_from([address, *carried_by(address)]))
    return address


@given(address=forbidden(), port=st.sampled_from([443, 80, 53, 6443, 10250]))
def test_no_agent_ever_reaches_a_forbidden_range(address: Address, port: int) -> None:
    assert not reach.may_send(PUBLIC_HTTPS, AGENT, End(str(address)), port)


@given(number=st.integers(0, 2**32 - 1))
def test_no_dress_of_an_ipv4_address_leads_anywhere(number: int) -> None:
    dressed = carried_by(ipaddress.IPv4Address(number))
    assert [str(address) for address in dressed if reach.may_send(PUBLIC_HTTPS, AGENT, End(str(address)), 443)] == []


@given(number=st.integers(0, 2**32 - 1))
def test_what_an_agent_reaches_is_what_the_registries_call_global(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    if reach.may_send(PUBLIC_HTTPS, AGENT, End(str(address)), 443):
        assert (address.is_global, address.is_multicast) == (True, False)


@pytest.mark.parametrize("target", PUBLIC, ids=lambda end: end.address)
def test_public_https_is_port_443_of_public_addresses_and_nothing_more(target: End) -> None:
    assert reach.may_send(PUBLIC_HTTPS, AGENT, target, 443)
    for port, protocol in ((80, "TCP"), (22, "TCP"), (444, "TCP"), (442, "TCP"), (443, "UDP"), (53, "UDP")):
        assert not reach.may_send(PUBLIC_HTTPS, AGENT, target, port, protocol)


@pytest.mark.parametrize("egress", CLASSES)
def test_only_its_own_class_opens_the_internet_or_the_gateway(egress: str | None) -> None:
    made = policies(egress)
    assert [reach.may_send(made, AGENT, end, 443) for end in PUBLIC] == [egress == "PublicHttps"] * len(PUBLIC)
    assert reach.may_send(made, AGENT, GATEWAY, 8443) == (egress == "GatewayOnly")
    assert not reach.may_send(made, AGENT, GATEWAY, 8443, "UDP")
    impostors = [End("10.78.0.9", namespace, GATEWAY.labels) for namespace in ("mn-acme", "mn-evil", "kube-system")]
    assert not any(reach.may_send(made, AGENT, end, 8443) for end in impostors)


@pytest.mark.parametrize("egress", CLASSES)
def test_names_are_resolved_and_pods_are_not_met_in_every_class(egress: str | None) -> None:
    made = policies(egress)
    assert all(reach.may_send(made, AGENT, DNS, 53, protocol) for protocol in ("UDP", "TCP"))
    assert not reach.may_send(made, AGENT, DNS, 9153)
    for other in (OTHER_AGENT, STRANGER, MOVER):
        assert not reach.may_send(made, AGENT, other, 8080)
        assert not reach.may_receive(made, AGENT, other, 8080)


@pytest.mark.parametrize("egress", CLASSES)
def test_no_class_is_about_movers(egress: str | None) -> None:
    made = policies(egress)
    assert [reach.may_send(made, MOVER, End("10.77.0.1"), port) for port in (9000, 8443, 443, 5432)] == [
        True,
        True,
        False,
        False,
    ]
    assert not any(reach.may_send(made, MOVER, end, 443) for end in (*PUBLIC, GATEWAY))
    assert not any(reach.may_receive(made, MOVER, end, 8080) for end in (AGENT, STRANGER, INGRESS))


def test_a_mover_reaches_the_apis_pods_wherever_they_run() -> None:
    api = Pods(namespace="platform", labels={"app.kubernetes.io/component": "api"})
    egress = (Egress(to=api, port=8443), Egress(to=Addresses(cidr="fd00:77::1/128"), port=9000))
    made = network.policies(factories.tenant(), factories.platform(mover=factories.mover_offer(egress=egress)))
    assert reach.may_send(made, MOVER, End("10.78.0.4", "platform", api.labels), 8443)
    assert not reach.may_send(made, MOVER, End("10.78.0.4", "mn-evil", api.labels), 8443)
    assert reach.may_send(made, MOVER, End("fd00:77::1"), 9000)
    assert not reach.may_send(made, AGENT, End("10.78.0.4", "platform", api.labels), 8443)


def test_nobody_connects_to_an_agent_but_the_ingress_controller() -> None:
    closed, opened = policies("None"), policies("None", ingress=Pods(namespace="ingress", labels=INGRESS.labels))
    impostors = [End("10.78.0.4", "ingress"), End("10.78.0.4", "mn-evil", INGRESS.labels), *PUBLIC]
    assert not reach.may_receive(closed, AGENT, INGRESS, 8080)
    assert reach.may_receive(opened, AGENT, INGRESS, 8080)
    assert not any(reach.may_receive(opened, AGENT, end, 8080) for end in impostors)
    assert not reach.may_receive(opened, MOVER, INGRESS, 8080)


@pytest.mark.parametrize(
    ("denied", "families"),
    [(["0.0.0.0/0"], ["2000::/3"]), (["::/0"], ["0.0.0.0/0"]), (["0.0.0.0/1", "128.0.0.0/1", "2000::/3"], [])],
)
def test_a_family_that_is_denied_whole_is_left_out(denied: list[str], families: list[str]) -> None:
    assert [peer["ipBlock"]["cidr"] for peer in public_addresses.blocks(denied)] == families
    made = network.policies(tenant_of_class("PublicHttps"), factories.platform(network=NetworkOffer(denied=(*denied,))))
    assert [reach.may_send(made, AGENT, End(text), 443) for text in ("1.1.1.1", "2606:4700::1")] == [
        "0.0.0.0/0" in families,
        "2000::/3" in families,
    ]


def tenant_of_class(egress: str) -> tenants.TenantNamespace:
    """A tenant of this class."""
    metadata = {"name": "acme", "uid": factories.TENANT_UID, "generation": 1}
    return tenants.from_manifest({"metadata": metadata, "spec": {"walletRef": {"name": "acme"}, "egress": egress}})
