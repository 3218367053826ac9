"""What the fake answers is what the SDK's own models expect."""

import pytest
from cloudflare.types.custom_hostnames import CustomHostnameCreateResponse
from cloudflare.types.dns import ARecord
from cloudflare.types.origin_ca_certificates import OriginCACertificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from moorage.model.errors import Permanent
from moorage.model.reasons import Reason
from moorage.providers.cloudflare_origin import CloudflareOrigin
from tests.fakes.cloudflare import hostnames, records
from tests.unit.zones.stage import ZONE, Stage, mark, played


def _request() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


@played
async def test_records_host_names_and_certificates_are_theirs(stage: Stage) -> None:
    asked = {"name": f"a.{ZONE}", "type": "A", "content": "192.0.2.1", "comment": mark(1)}
    ARecord.model_validate(records.add(stage.account, stage.zone, asked))
    CustomHostnameCreateResponse.model_validate(hostnames.add(stage.account, stage.zone, {"hostname": "x.example"}))
    await CloudflareOrigin(stage.calls).issue(f"a.{ZONE}", _request(), delegation=None)
    (kept,) = stage.account.certificates.values()
    OriginCACertificate.model_validate(kept)
    listed = [found async for found in stage.calls.client().dns.records.list(zone_id=stage.zone.id)]
    assert [found.comment for found in listed] == [mark(1)]


@played
async def test_a_certificate_is_for_one_name_and_can_be_taken_back(stage: Stage) -> None:
    origin = CloudflareOrigin(stage.calls)
    signed = await origin.issue(f"a.{ZONE}", _request(), delegation=None)
    certificate = x509.load_pem_x509_certificate(signed.chain_pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"a.{ZONE}"]
    for _ in range(2):
        await origin.revoke(signed.id, signed.chain_pem)
    assert stage.account.certificates == {}
    with pytest.raises(Permanent) as refused:
        await origin.issue("a.elsewhere.example", _request(), delegation=None)
    assert refused.value.reason is Reason.CERTIFICATE_REFUSED
