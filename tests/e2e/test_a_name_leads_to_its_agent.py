"""A visitor's TLS request by name: the agent while it runs, a friendly page while it does not, and nobody else ever."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dev import cluster as dev_cluster
from moorage.desired import domain as desired_domain
from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.domain import AgentRef, Domain, DomainSpec
from moorage.model.metadata import Metadata
from moorage.model.offer import DomainOffer
from tests.e2e import front
from tests.e2e.front import ZONE, Front
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Tenant
from tests.fakes import authority

pytestmark = pytest.mark.cluster

OPERATOR = ("--as=system:serviceaccount:moorage-system:moorage-operator",)
OFFER = DomainOffer(zone=ZONE, target="192.0.2.1")


@pytest.fixture
def door(house: House) -> Iterator[Front]:
    """The platform with host names."""
    with front.opened(house) as opened:
        yield opened


class Shop:
    """A Domain of a test, whose name is held, with a certificate of the test's own authority.

    It is led by the operator's own hand: by its manifests and with its rights.
    """

    def __init__(self, house: House, tenant: Tenant) -> None:
        self._house, self._tenant = house, tenant
        self.hostname = f"{tenant.name}.{ZONE}"
        spec = {"hostname": self.hostname, "agentRef": {"name": "helper"}}
        metadata = {"name": "shop", "namespace": tenant.namespace}
        made = house.cluster.apply(
            "domains", {"apiVersion": "moorage.dev/v1alpha1", "kind": "Domain", "metadata": metadata, "spec": spec}
        )
        self._domain = Domain(
            metadata=Metadata(name="shop", namespace=tenant.namespace, uid=made["metadata"]["uid"]),
            spec=DomainSpec(hostname=self.hostname, agent_ref=AgentRef(name="helper")),
        )
        self.authority, chain, key = _signed(self.hostname)
        self._apply(desired_domain.tls_secret(self._domain, chain, key))

    def lead(self, *, away: bool) -> None:
        """Lead visitors to the agent, or to the page."""
        routes = desired_domain.route(self._domain, self.hostname, agent_port=8080, away=away, offer=OFFER)
        for manifest in routes:
            self._apply(manifest)

    def hold(self) -> None:
        """Claim the name."""
        self._house.rows(
            "WITH made AS (INSERT INTO moorage.domain (uid, tenant_uid, namespace, name, hostname, own, agent_name,"
            " challenge) SELECT $1, t.uid, $2, 'shop', $3, false, 'helper', 'x' FROM moorage.tenant t"
            " WHERE t.core_namespace = $2 AND t.removed_at IS NULL RETURNING uid, tenant_uid)"
            " INSERT INTO moorage.claim (hostname, tenant_uid, domain_uid) SELECT $3, tenant_uid, uid FROM made",
            *(uuid.UUID(self._domain.metadata.uid), self._tenant.namespace, self.hostname),
        )

    def end(self) -> None:
        """Take the route away, and give the name up."""
        name = names.domain_route("shop")
        dev_cluster.kubectl(self._house.layout, *OPERATOR, "delete", "ingress", "-n", self._tenant.namespace, name)
        self._house.rows(
            "UPDATE moorage.claim SET domain_uid = NULL, quarantine_until = now() WHERE hostname = $1", self.hostname
        )

    def _apply(self, manifest: Manifest) -> None:
        server_side = ("apply", "--server-side", "--field-manager=moorage", "--force-conflicts", "-f", "-")
        dev_cluster.kubectl(self._house.layout, *OPERATOR, *server_side, input=json.dumps(manifest))


def _signed(hostname: str) -> tuple[str, str, str]:
    """The authority, and a chain and a key for one name; all of them PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    signer = authority.Authority(lambda: datetime.now(UTC))
    chain = asyncio.run(
        signer.issue(hostname, request.public_bytes(serialization.Encoding.PEM), delegation=None)
    ).chain_pem
    root = x509.load_pem_x509_certificates(chain.encode())[-1].public_bytes(serialization.Encoding.PEM).decode()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return root, chain, secret.decode()


def test_a_name_leads_to_its_agent_and_to_a_page_while_it_is_away(house: House, tenant: Tenant, door: Front) -> None:
    tenant.open(PLENTY_MICROS)
    helper = tenant.agent()
    shop = Shop(house, tenant)
    shop.hold()
    helper.until_ready()
    shop.lead(away=False)
    door.until(shop.hostname, shop.authority, front.is_agent, "an answer of the agent")

    helper.patch(desiredState="Suspended")
    shop.lead(away=True)
    door.until(shop.hostname, shop.authority, front.is_page(), "a page")
    helper.until_suspended()
    page = door.until(shop.hostname, shop.authority, front.is_page("resting"), "a page that says why")
    assert int(page.headers["retry-after"]) > 0
    assert "set-cookie" not in page.headers

    for host in ("bank.example", f"other.{ZONE}"):
        answer = door.visit(shop.hostname, shop.authority, host=host)
        assert answer is not None
        assert answer.status in (404, 421), host
    assert door.visit("bank.example", shop.authority) is None, "there is no certificate for anybody else"

    helper.patch(desiredState="Running")
    helper.until_ready()
    shop.lead(away=False)
    door.until(shop.hostname, shop.authority, front.is_agent, "an answer of the agent")

    shop.end()
    house.cluster.until_gone("ingresses", tenant.namespace)
    gone = door.visit(shop.hostname, shop.authority)
    while gone is not None and gone.status == 200:
        gone = door.visit(shop.hostname, shop.authority)
    assert gone is None or gone.status == 404
