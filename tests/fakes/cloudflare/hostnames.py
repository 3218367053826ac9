"""Custom host names, and certificates by the Origin CA of the account."""

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.cloudflare.account import Account, Json, Refusal, Zone

CERTIFICATES = {"active": "active", "blocked": "pending_validation", "pending": "pending_validation"}
VALIDITIES = {7, 30, 90, 365, 730, 1095, 5475}
NOW = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Origin CA of a test")])


def add(account: Account, zone: Zone, asked: Json) -> Json:
    """Have a host name served."""
    if any(other["hostname"] == asked["hostname"] for other in zone.hostnames.values()):
        raise Refusal(1406, 409)
    hostname = {
        "id": account.new_id(), "hostname": asked["hostname"], "status": "pending", "created_at": NOW.isoformat(),
        "ssl": {"id": account.new_id(), "method": "http", "type": "dv", "status": "initializing"},
    }  # fmt: skip
    zone.hostnames[hostname["id"]] = hostname
    answer: Json = {**hostname, "ssl": dict(hostname["ssl"])}
    turn(hostname, account.hostname_status)
    return answer


def turn(hostname: Json, status: str) -> None:
    """What became of it since it was asked for."""
    hostname["status"] = status
    hostname["ssl"]["status"] = CERTIFICATES.get(status, "validation_timed_out")


class OriginAuthority:
    """Signs for names in the account's zones."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def sign(self, account: Account, asked: Json) -> Json:
        """A certificate for the names that are asked for, whatever the request itself says."""
        request = x509.load_pem_x509_csr(asked["csr"].encode())
        names = asked["hostnames"]
        if not all(any(name == zone or name.endswith(f".{zone}") for zone in account.zones) for name in names):
            raise Refusal(1010)
        if asked.get("requested_validity", 5475) not in VALIDITIES or not request.is_signature_valid:
            raise Refusal(1003)
        until = NOW + datetime.timedelta(days=asked["requested_validity"])
        serial = x509.random_serial_number()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(request.subject).issuer_name(AUTHORITY).public_key(request.public_key())
            .serial_number(serial).not_valid_before(NOW).not_valid_after(until)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .sign(self._key, hashes.SHA256())
        )  # fmt: skip
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        kept: dict[str, Any] = {**asked, "id": str(serial), "certificate": pem, "expires_on": until.isoformat()}
        account.certificates[str(serial)] = kept
        return kept
