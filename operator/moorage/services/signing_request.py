"""Keys and requests for certificates of one name, and the check of what an issuer sends back."""

import hashlib
import itertools
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorage.model.domain import Issuer
from moorage.model.domain_record import Certificate
from moorage.model.errors import Permanent
from moorage.model.reasons import Reason
from moorage.providers.ports import SignedCertificate

CHAIN_BYTES_MAX = 64 << 10
COMMON_NAME_MAX = 64  # characters; a longer host name stands among the alternative names only
# Issuers date certificates back for visitors whose clocks are behind, and their own clock is not ours.
AHEAD_MAX = timedelta(minutes=5)
LIFE_MIN = timedelta(hours=1)


class SigningRequest:
    """A new key (EC P-256) and the request for a certificate of exactly one name."""

    def __init__(self, hostname: str) -> None:
        self.hostname = hostname
        self._key = ec.generate_private_key(ec.SECP256R1())
        short = [x509.NameAttribute(NameOID.COMMON_NAME, hostname)] if len(hostname) <= COMMON_NAME_MAX else []
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name(short))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = request.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as PKCS#8, in the clear."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def checked(self, signed: SignedCertificate, issuer: Issuer, now: datetime) -> Certificate:
        """The facts of what came back; raises Permanent(CERTIFICATE_REFUSED) when it is not what was asked for."""
        first = _chain(signed)[0]
        if first.public_key() != self._key.public_key():
            raise _useless("is for another key")
        if _names(first) != {self.hostname}:
            raise _useless("is not for the name, or not for it alone")
        begins, ends = first.not_valid_before_utc, first.not_valid_after_utc
        if begins > now + AHEAD_MAX or ends < now + LIFE_MIN:
            raise _useless("is not valid now, or not for long")
        return Certificate(
            id=signed.id,
            issuer=issuer,
            fingerprint=hashlib.sha256(first.public_bytes(serialization.Encoding.DER)).hexdigest(),
            not_before=begins,
            not_after=ends,
        )


def _chain(signed: SignedCertificate) -> list[x509.Certificate]:
    """The certificate and those above it, each signed by the next."""
    if not signed.id or len(signed.chain_pem) > CHAIN_BYTES_MAX:
        raise _useless("has no name, or is too long")
    try:
        chain = x509.load_pem_x509_certificates(signed.chain_pem.encode())
        for below, above in itertools.pairwise(chain):
            below.verify_directly_issued_by(above)
        chain[0].public_key()
    except Exception as error:  # whatever a parser says of foreign bytes
        raise _useless("cannot be read, or is no chain") from error
    return chain


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    names = set(found.get_values_for_type(x509.DNSName))
    return names if len(found) == len(names) else set()


def _useless(why: str) -> Permanent:
    return Permanent(Reason.CERTIFICATE_REFUSED, f"the certificate that came back {why}")
