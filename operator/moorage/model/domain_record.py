"""What the database knows of a Domain: who holds the name, what was proven, and what exists for it outside."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from moorage.model.domain import Issuer
from moorage.model.names import TenantUid
from moorage.model.record import AgentState


class DomainState(StrEnum):
    """Where a Domain is in its life."""

    PENDING = "Pending"
    """Its name is not held, or not proven: nothing exists for it outside."""
    ACTIVE = "Active"
    """Held and proven: record, certificate and route are kept as they should be."""
    RELEASING = "Releasing"
    """What exists for it outside is taken away, in order: route, host name at the provider, record, certificate."""
    RELEASED = "Released"
    """Nothing is left outside, and the name is in quarantine; the Domain may be asked for again."""


class Standing(StrEnum):
    """Whether a Domain holds its name."""

    HELD = "Held"
    TAKEN = "Taken"  # another tenant has proven it, or an older claim stands
    QUARANTINED = "Quarantined"  # another tenant gave it up not long ago
    LIMIT = "Limit"  # this tenant holds as many names as it may
    FREE = "Free"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that was issued for the name; its key is kept sealed beside it."""

    id: str  # the issuer's
    issuer: Issuer
    fingerprint: str  # SHA-256 of the certificate, hexadecimal
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """The agent a Domain leads to, as its record says."""

    uid: str
    state: AgentState


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """Up to when a Domain is paid, and since when it should have been."""

    until: datetime | None  # None: nothing was charged yet
    unpaid_since: datetime | None
    release_at: datetime | None  # when a name that stays unpaid is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRecord:
    """One row, read together with the claim, the agent and the database's clock."""

    uid: str
    tenant_uid: TenantUid
    namespace: str
    name: str
    agent_name: str
    hostname: str  # canonical: A-labels, lower case, no trailing dot
    own: bool  # the tenant's own name, which needs proof; else below the platform's zone
    state: DomainState
    state_since: datetime
    fence: int
    now: datetime
    standing: Standing
    challenge: str  # the text that proves the name, this tenant's alone
    proven_at: datetime | None
    looked_at: datetime | None  # the last look for the proof that had a definite answer
    missing_since: datetime | None  # since when every definite answer was that it is not there
    record_id: str | None  # the provider's, of our record
    provider_hostname_id: str | None  # the provider's, of a custom host name
    certificate: Certificate | None
    paid: Paid
    agent: AgentFacts | None
