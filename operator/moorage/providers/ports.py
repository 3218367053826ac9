"""Ports: what we ask of the outside world, and nothing of how it answers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from moorage.model.domain_seen import ProofAnswer
from moorage.model.errors import Unavailable
from moorage.model.identity import Identity
from moorage.model.purges import Notice
from moorage.model.reasons import Reason


class UploadLost(Exception):
    """The store knows neither this upload nor a complete object under its key."""


class StoreFull(Unavailable):
    """The store has no room left; it may have some later."""


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """A part as the store confirmed it to the uploader."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the store says about an object without sending it."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object as a listing of the store shows it."""

    key: str
    size: int


class ObjectStore(Protocol):
    """A bucket. Every call may raise Unavailable or Transient; a missing object is an answer, not an error."""

    authority_pem: str
    """Who signed the certificate of the URLs it hands out; empty: an authority that everybody knows."""

    async def create_multipart(self, key: str) -> str:
        """Open an upload and return its id; an upload already open under this key is taken up again."""

    async def presign_parts(self, key: str, upload_id: str, *, first: int, count: int, seconds: int) -> list[str]:
        """URLs under which whoever holds them may put the parts `first` … `first + count - 1`."""

    async def presign_get(self, key: str, *, seconds: int) -> str:
        """A URL under which whoever holds it may read the object."""

    async def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart], *, object_bytes: int) -> None:
        """Make the object appear, never over another; a repeat after success is success. Raises UploadLost."""

    async def abort(self, key: str) -> None:
        """Drop every unfinished upload under this key."""

    async def head(self, key: str) -> StoredObject | None:
        """Size and tag of an object; None when the store says that there is none."""

    async def read(self, key: str) -> bytes | None:
        """A small object as a whole; None when the store says that there is none."""

    async def write(self, key: str, body: bytes) -> None:
        """Put a small object, over another if there is one."""

    async def write_once(self, key: str, body: bytes) -> None:
        """Put a small object unless there is one; the first stays, and that is no error."""

    async def delete(self, key: str) -> None:
        """Remove an object in all its versions; one that is gone already is fine."""

    def listed(self, prefix: str) -> AsyncIterator[FoundObject]:
        """Every complete object whose key begins with the prefix; what comes or goes meanwhile may be missed."""


class RootKey(Protocol):
    """One root key, wherever it is kept. A call may raise KeysUnavailable, or KeysRefused when a person must act."""

    id: str
    """Its provider and its name there; tells which root key opens a wrapped key."""

    async def wrap(self, plain: bytes, context: Mapping[str, str]) -> bytes:
        """Encrypt a few bytes, bound to the context."""

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """What was wrapped in this context; raises KeyUnreadable for anything else."""


class PaymentObjects(Protocol):
    """One payment provider, read only: the truth about a payment is what it shows now, not what it once told us."""

    async def fetch(self, obj_id: str) -> bytes | None:
        """The object as it is now, in JSON; None when the provider does not know it. Raises Transient."""


class Notices(Protocol):
    """Tells the owner of an agent that its data will be purged, and of a host name that it will be given up."""

    async def send(self, notice: Notice) -> None:
        """Return once it is accepted, also when the same notice was accepted before. Raises Transient."""


class TokenReviewer(Protocol):
    """Asks the API server about a bearer token."""

    async def review(self, token: str, audience: str) -> Identity | None:
        """The identity behind a token for this audience that is bound to a living pod; None for any other token."""


class DnsType(StrEnum):
    """The types of DNS records that we tell apart."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    TXT = "TXT"
    HTTPS = "HTTPS"
    """Leads browsers on, before they ask for an address."""
    NS = "NS"
    """Gives the name, and all below it, to other servers."""
    OTHER = "other"
    """MX, CAA, SRV and all the rest."""


WRITTEN = frozenset({DnsType.A, DnsType.AAAA, DnsType.CNAME, DnsType.TXT})
"""What we write. A record of another type is somebody else's, whatever its comment says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsRecord:
    """One record of a zone. `name` and the target of a CNAME are full names in lower case without a trailing dot."""

    name: str
    type: DnsType
    content: str
    proxied: bool = False
    comment: str = ""
    id: str = ""
    """The provider's; empty: it is yet to be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came of one wish in a batch."""

    record: DnsRecord | None
    """As the provider has it now; None when it was deleted or refused."""
    refused: Reason | None = None


class HostnameState(StrEnum):
    """Where a host name of a tenant's own is, at the provider that serves it."""

    PENDING = "Pending"
    ACTIVE = "Active"
    BLOCKED = "Blocked"
    FAILED = "Failed"  # moved away, or never verified in time


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomHostname:
    """A host name outside of our zones that the provider serves for us, with a certificate of its own at its edge."""

    id: str
    hostname: str
    state: HostnameState
    certificate: HostnameState


class DnsProvider(Protocol):
    """A provider of zones. Zones are named by their domain. Every call is one attempt.

    Raises Unavailable or Transient (with `retry_after_seconds` when the provider said so), and Permanent with the
    reason that says which right or zone is missing. No answer is ever taken for an empty one.
    """

    async def records(self, zone: str) -> list[DnsRecord]:
        """All records of a zone, of all types, foreign ones too."""

    async def write(self, zone: str, puts: Sequence[DnsRecord], deletes: Sequence[str]) -> list[Written]:
        """Make or replace records (by their id) and delete others (by id), all in few calls; one answer per wish, puts
        first. One bad record does not hold up the others. A record that is gone already counts as deleted."""

    async def custom_hostnames(self, zone: str) -> list[CustomHostname]:
        """All custom host names of a zone."""

    async def add_hostname(self, zone: str, hostname: str) -> CustomHostname:
        """Ask for a custom host name; Permanent(HOSTNAME_CONFLICT) when there is one that is not known to be ours."""

    async def remove_hostname(self, zone: str, hostname_id: str) -> None:
        """Give a custom host name up; one that is gone already is fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCertificate:
    """A certificate as its issuer gave it."""

    id: str
    chain_pem: str
    """The certificate itself first."""


class CertificateIssuer(Protocol):
    """Signs certificates for host names whose owner was checked before. Raises Transient, Unavailable or Permanent.

    NotAsked only where the issuer has heard nothing at all.
    """

    async def issue(self, hostname: str, csr_pem: bytes, *, delegation: str | None) -> SignedCertificate:
        """A certificate for exactly this name.

        `delegation` is the name in our zone that challenges for a name outside of it are shown at; None: it is in it.
        """

    async def revoke(self, certificate_id: str, chain_pem: str) -> None:
        """Take it back; one that is revoked or over already is fine."""


class Proofs(Protocol):
    """Asks the DNS, without a cache, what a name shows, and where it leads."""

    async def look(self, name: str, text: str) -> ProofAnswer:
        """Whether the TXT records at `name` hold exactly this text, by the word of several resolvers."""

    async def leads_to(self, name: str, target: str) -> ProofAnswer:
        """Whether visitors of `name` are led to where `target` leads, by the word of several resolvers."""
