"""A tenant's own name: proven in a real DNS, certified by a real ACME authority, and until then nobody's."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import front, names
from tests.e2e.cluster import is_true, says
from tests.e2e.front import Front
from tests.e2e.house import House
from tests.e2e.names import CUSTOMERS, Names
from tests.e2e.tenancy import API_VERSION, PLENTY_MICROS, Tenant

pytestmark = pytest.mark.cluster

CERTIFIED_SECONDS_MAX = 180.0  # the DNS is looked at every ten seconds, and an order is a dozen calls
ISSUED = "SELECT name FROM moorage.domain WHERE namespace = $1 AND certificate_id IS NOT NULL"


@pytest.fixture
def world(house: House) -> Iterator[Names]:
    """The DNS and the authority."""
    with names.opened(house) as opened:
        yield opened


@pytest.fixture
def door(house: House, world: Names) -> Iterator[Front]:
    """The platform with host names, which asks both."""
    with front.opened(house, **world.settings) as opened:
        yield opened


def claim(tenant: Tenant, name: str, hostname: str) -> dict[str, Any]:
    """Apply a Domain of the tenant's own name; what its status says is to be set in the DNS."""
    spec = {"hostname": hostname, "agentRef": {"name": "helper"}, "certificate": "Acme"}
    metadata = {"name": name, "namespace": tenant.namespace}
    manifest = {"apiVersion": API_VERSION, "kind": "Domain", "metadata": metadata, "spec": spec}
    tenant.house.cluster.apply("domains", manifest)
    return until(tenant, name, says("Proven", "ProofMissing"), "a Domain that waits for its proof")


def until(tenant: Tenant, name: str, reached: Callable[[Any], bool], what: str) -> dict[str, Any]:
    """The Domain's status when it is so."""
    domain = tenant.house.cluster.until_one(
        "domains", tenant.namespace, name, reached, what, seconds=CERTIFIED_SECONDS_MAX
    )
    status: dict[str, Any] = domain["status"]
    return status


def test_a_name_of_ones_own_leads_to_its_agent_once_it_is_proven(
    house: House, tenant: Tenant, world: Names, door: Front
) -> None:
    tenant.open(PLENTY_MICROS)
    helper = tenant.agent()
    root, hostname, twin = world.root(), f"{tenant.name}.{CUSTOMERS}", f"{tenant.name}-login.{CUSTOMERS}"
    told, of_twin = claim(tenant, "own", hostname), claim(tenant, "twin", twin)
    assert told["challenge"]["value"] != of_twin["challenge"]["value"]
    assert door.visit(hostname, root) is None, "answered for before it is proven"

    # Everything is set but the twin's proof: it leads here, its challenges are ours, and it shows another's proof.
    challenge = told["challenge"]
    world.show(
        f'{challenge["name"]}. TXT "{challenge["value"]}"',
        f'{of_twin["challenge"]["name"]}. TXT "{challenge["value"]}"',
        *(f"{each['delegation']['name']}. CNAME {each['delegation']['value']}." for each in (told, of_twin)),
        *(f"{name}. CNAME {each['target']}." for name, each in ((hostname, told), (twin, of_twin))),
    )
    helper.until_ready()
    ready = until(tenant, "own", is_true("Ready"), "a Domain that is Ready")
    assert ready["url"] == f"https://{hostname}"
    door.until(hostname, root, front.is_agent, "an answer of the agent")

    # What is one's own opens nobody else's: not by its name, and not inside a connection that was made with another.
    assert door.visit(twin, root) is None, "a certificate for a name that nobody has proven"
    answer = door.visit(hostname, root, host=twin)
    assert answer is not None
    assert answer.status in (404, 421)
    until(tenant, "twin", says("Proven", "ProofMissing"), "a twin that still waits")
    assert [row["name"] for row in house.rows(ISSUED, tenant.namespace)] == ["own"]

    helper.patch(desiredState="Suspended")
    helper.until_suspended()
    page = door.until(hostname, root, front.is_page("resting"), "a page that says why")
    assert "set-cookie" not in page.headers
    helper.patch(desiredState="Running")
    helper.until_ready()
    door.until(hostname, root, front.is_agent, "an answer of the agent that is back")

    for name in ("own", "twin"):
        house.cluster.delete("domains", tenant.namespace, name)
        house.cluster.until_gone("domains", tenant.namespace, name=name)
    house.cluster.until_gone("secrets", tenant.namespace, name="tls-own")
    door.until_nobody(hostname, root)
