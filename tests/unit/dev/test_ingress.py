"""What Ingress objects mean to the test bed's Caddy: names to addresses, certificates, and nothing for anybody else."""

import base64
from typing import Any

from dev.ingress import Found, configuration
from moorage.desired import domain, waiting
from moorage.model.domain import AgentRef, Domain, DomainSpec
from moorage.model.metadata import Metadata
from moorage.model.offer import DomainOffer
from tests import factories

SHOP = Domain(
    metadata=Metadata(name="shop", namespace="mn-acme", uid="d"),
    spec=DomainSpec(hostname="shop.agents.test", agent_ref=AgentRef(name="helper")),
)
SERVICE = {
    "metadata": {"namespace": "mn-acme", "name": "agent-helper"},
    "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
}


def pods(*addresses: str, ready: bool = True) -> dict[str, Any]:
    """A slice of the agent's Service."""
    labels = {"kubernetes.io/service-name": "agent-helper"}
    return {
        "metadata": {"namespace": "mn-acme", "name": "agent-helper-x", "labels": labels},
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses],
        "ports": [{"name": "http", "port": 8080}],
    }


def told(*slices: Any, away: bool = False, services: tuple[Any, ...] = (SERVICE,)) -> dict[str, Any]:
    """The configuration for the shop's route."""
    offer = DomainOffer(zone="agents.test", target="10.77.0.1")
    routes = domain.route(SHOP, "shop.agents.test", agent_port=80, away=away, offer=offer)
    secret = domain.tls_secret(SHOP, "CHAIN", "KEY")
    stranger = {**secret, "metadata": {"namespace": "mn-other", "name": "tls-shop"}}
    found = Found(ingresses=routes, services=services, slices=slices, secrets=[secret, stranger])
    return configuration(found, listen="unix//door", admin="unix//admin")


def led(found: dict[str, Any]) -> Any:
    """Where requests for the shop go."""
    route, rest = found["apps"]["http"]["servers"]["edge"]["routes"]
    assert route["match"] == [{"host": ["shop.agents.test"]}]
    assert rest == {"handle": [{"handler": "static_response", "status_code": 404}]}
    (handler,) = route["handle"]
    return [each["dial"] for each in handler["upstreams"]] if "upstreams" in handler else handler["status_code"]


def test_a_name_leads_to_the_ready_pods_of_its_service() -> None:
    assert led(told(pods("10.78.0.9", "10.78.0.8"))) == ["10.78.0.8:8080", "10.78.0.9:8080"]
    assert led(told(pods("10.78.0.9", ready=False))) == 503
    assert led(told()) == 503
    assert led(told({**pods("10.78.0.9"), "metadata": {**pods()["metadata"], "namespace": "mn-other"}})) == 503


def test_a_name_whose_agent_is_away_leads_to_the_waiting_page() -> None:
    service, endpoints = waiting.place(factories.tenant(), "10.123.0.80")
    assert led(told(pods("10.78.0.9"), endpoints, away=True, services=(SERVICE, service))) == ["10.123.0.80:80"]


def test_only_certificates_beside_a_route_are_loaded() -> None:
    loaded = told()["apps"]["tls"]["certificates"]["load_pem"]
    assert loaded == [{"certificate": "CHAIN", "key": "KEY"}]
    assert base64.b64encode(b"KEY").decode() not in str(loaded)
    assert told()["apps"]["http"]["servers"]["edge"]["strict_sni_host"] is True
