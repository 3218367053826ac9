"""A real certificate authority in memory, behind the port of issuers, with trouble on demand."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorage.providers.ports import SignedCertificate

Asked = tuple[str, str | None]


class Authority:
    """Signs what it is asked for; `trouble` is raised instead while it is set, and `change` spoils what is signed."""

    def __init__(self, now: Callable[[], datetime], life: timedelta = timedelta(days=90)) -> None:
        self.now = now
        self.life = life
        self.trouble: Exception | None = None
        self.names: Callable[[str], list[str]] = lambda hostname: [hostname]
        self.key: ec.EllipticCurvePublicKey | None = None
        self.before_answer: Callable[[], Awaitable[None]] | None = None
        self.asked: list[Asked] = []
        self.revoked: list[str] = []
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority")])
        self._root = self._sign(self._name, self._key.public_key(), [], timedelta(days=36_500))

    async def issue(self, hostname: str, csr_pem: bytes, *, delegation: str | None) -> SignedCertificate:
        """A certificate and the root above it."""
        self.asked.append((hostname, delegation))
        if self.trouble is not None:
            raise self.trouble
        request = x509.load_pem_x509_csr(csr_pem)
        assert request.is_signature_valid
        public = request.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        leaf = self._sign(request.subject, self.key or public, self.names(hostname), self.life)
        chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (leaf, self._root)).decode()
        if self.before_answer is not None:
            await self.before_answer()
        return SignedCertificate(id=f"{leaf.serial_number:x}", chain_pem=chain)

    async def revoke(self, certificate_id: str, chain_pem: str) -> None:
        """Note it."""
        if self.trouble is not None:
            raise self.trouble
        x509.load_pem_x509_certificates(chain_pem.encode())
        self.revoked.append(certificate_id)

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, names: list[str], life: timedelta
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now() - timedelta(minutes=1))
            .not_valid_after(self.now() + life)
        )
        if not names:  # the authority itself
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        else:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256())
