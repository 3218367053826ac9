"""Certificates by Cloudflare's Origin CA: trusted by its proxy, and by nobody else."""

from moorage.model.errors import Permanent, Unavailable
from moorage.model.reasons import Reason
from moorage.providers.allowance import Urgency
from moorage.providers.cloudflare_calls import CloudflareCalls, Identified, Refused
from moorage.providers.ports import SignedCertificate

VALIDITY_DAYS = 90  # the authority knows 7, 30, 90, 365 and more
ELLIPTIC = "origin-ecc"


class _Signed(Identified):
    certificate: str = ""


class CloudflareOrigin:
    """The port CertificateIssuer, for names in zones of the account."""

    def __init__(self, calls: CloudflareCalls) -> None:
        self._calls = calls

    async def issue(self, hostname: str, csr_pem: bytes, *, delegation: str | None) -> SignedCertificate:
        """A certificate for exactly this name; the authority asks for no challenge, and has no chain to send along."""
        del delegation  # of those who are asked for one
        # A thousand names at once would each be refused a call, and each come again in its own time, which is late.
        await self._calls.allowance.room(Urgency.CERTIFICATE)
        method = self._calls.client().origin_ca_certificates.with_raw_response.create
        try:
            signed = await self._calls.ask(
                "sign_certificate", _Signed, method,
                urgency=Urgency.CERTIFICATE, lacks=Reason.PROVIDER_LACKS_SSL_EDIT,
                csr=csr_pem.decode("ascii"), hostnames=[hostname],
                request_type=ELLIPTIC, requested_validity=VALIDITY_DAYS,
            )  # fmt: skip
        except Refused as refused:
            raise Permanent(Reason.CERTIFICATE_REFUSED, str(refused)) from refused
        if not signed.certificate:
            raise Unavailable("cloudflare signed a certificate and did not send it")
        return SignedCertificate(id=signed.id, chain_pem=signed.certificate)

    async def revoke(self, certificate_id: str, chain_pem: str) -> None:  # noqa: ARG002 - the port's; its id says enough
        """Take it back; one that is revoked or over already is fine."""
        method = self._calls.client().origin_ca_certificates.with_raw_response.delete
        await self._calls.remove(
            "revoke_certificate", method, lacks=Reason.PROVIDER_LACKS_SSL_EDIT, certificate_id=certificate_id
        )
