"""A visitor's TLS request by name: the agent while it runs, a friendly page while it does not, and nobody else ever."""

import base64
from collections.abc import Iterator

import pytest

from tests.e2e import front
from tests.e2e.cluster import is_true
from tests.e2e.front import ZONE, Front
from tests.e2e.house import House
from tests.e2e.tenancy import API_VERSION, PLENTY_MICROS, Tenant

pytestmark = pytest.mark.cluster


@pytest.fixture
def door(house: House) -> Iterator[Front]:
    """The platform with host names."""
    with front.opened(house) as opened:
        yield opened


def shop(tenant: Tenant) -> str:
    """Apply a Domain that leads to the agent; returns its host name."""
    hostname = f"{tenant.name}.{ZONE}"
    spec = {"hostname": hostname, "agentRef": {"name": "helper"}}
    metadata = {"name": "shop", "namespace": tenant.namespace}
    manifest = {"apiVersion": API_VERSION, "kind": "Domain", "metadata": metadata, "spec": spec}
    tenant.house.cluster.apply("domains", manifest)
    return hostname


def test_a_name_leads_to_its_agent_and_to_a_page_while_it_is_away(house: House, tenant: Tenant, door: Front) -> None:
    tenant.open(PLENTY_MICROS)
    helper = tenant.agent()
    hostname = shop(tenant)
    helper.until_ready()
    domain = house.cluster.until_one("domains", tenant.namespace, "shop", is_true("Ready"), "a Domain that is Ready")
    assert domain["status"]["url"] == f"https://{hostname}"
    # Nothing else is trusted: the certificate that was issued for the name is the one that is shown.
    issued = base64.b64decode(house.cluster.get("secrets", tenant.namespace, "tls-shop")["data"]["tls.crt"]).decode()
    door.until(hostname, issued, front.is_agent, "an answer of the agent")

    helper.patch(desiredState="Suspended")
    door.until(hostname, issued, front.is_page(), "a page")
    helper.until_suspended()
    page = door.until(hostname, issued, front.is_page("resting"), "a page that says why")
    assert int(page.headers["retry-after"]) > 0
    assert "set-cookie" not in page.headers

    for host in ("bank.example", f"other.{ZONE}"):
        answer = door.visit(hostname, issued, host=host)
        assert answer is not None
        assert answer.status in (404, 421), host
    assert door.visit("bank.example", issued) is None, "there is no certificate for anybody else"

    helper.patch(desiredState="Running")
    helper.until_ready()
    door.until(hostname, issued, front.is_agent, "an answer of the agent that is back")

    house.cluster.delete("domains", tenant.namespace, "shop")
    house.cluster.until_gone("domains", tenant.namespace, name="shop")
    house.cluster.until_gone("ingresses", tenant.namespace)
    house.cluster.until_gone("secrets", tenant.namespace, name="tls-shop")
    door.until_nobody(hostname, issued)
