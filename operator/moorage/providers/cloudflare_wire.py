"""What we read of Cloudflare's records and host names, and what we write."""

import msgspec

from moorage.providers.cloudflare_calls import Identified
from moorage.providers.ports import CustomHostname, DnsRecord, DnsType, HostnameState

TTL_AUTOMATIC = 1
TOLD_APART = {str(kind) for kind in DnsType}

# Everything that is in neither list is on its way.
ACTIVE = {"active", "active_redeploying"}
BLOCKED = {"blocked", "pending_blocked", "test_blocked"}
FAILED = {"moved", "deleted", "test_failed", "pending_deletion"}
CERTIFICATE_ACTIVE = {"active", "pending_expiration", "backup_issued", "staging_active"}
CERTIFICATE_FAILED = {"expired", "deleted", "inactive", "deactivating", "pending_deletion", "pending_cleanup"}
TIMED_OUT = "_timed_out"


class Record(Identified):
    """A record, of whatever type."""

    name: str
    type: str
    content: str = ""
    proxied: bool = False
    comment: str | None = None


class Batch(msgspec.Struct):
    """What a set of changes has made, in the order in which it was asked for."""

    deletes: list[Identified] | None = None
    puts: list[Record] | None = None
    posts: list[Record] | None = None


class Ssl(msgspec.Struct):
    """The certificate of a host name at the edge."""

    status: str = "initializing"


class Hostname(Identified):
    """A custom host name."""

    hostname: str
    status: str = "pending"
    ssl: Ssl | None = None


def to_record(record: Record) -> DnsRecord:
    """A record as the port has it."""
    content = record.content
    if record.type == DnsType.CNAME:
        content = content.lower().rstrip(".")
    return DnsRecord(
        id=record.id,
        name=record.name.lower().rstrip("."),
        type=DnsType(record.type) if record.type in TOLD_APART else DnsType.OTHER,
        content=content,
        proxied=record.proxied,
        comment=record.comment or "",
    )


def from_record(record: DnsRecord | None) -> dict[str, object]:
    """A record as the API wants it; with its id where there is one to be replaced."""
    assert record is not None
    wanted: dict[str, object] = {
        "name": record.name,
        "type": record.type.value,
        "content": record.content,
        "comment": record.comment,
        "proxied": record.proxied,
        "ttl": TTL_AUTOMATIC,
    }
    return wanted | {"id": record.id} if record.id else wanted


def to_hostname(found: Hostname) -> CustomHostname:
    """A custom host name as the port has it."""
    return CustomHostname(
        id=found.id,
        hostname=found.hostname.lower(),
        state=_state(found.status, ACTIVE, FAILED),
        certificate=_state(found.ssl.status if found.ssl else "", CERTIFICATE_ACTIVE, CERTIFICATE_FAILED),
    )


def _state(status: str, active: set[str], failed: set[str]) -> HostnameState:
    if status in active:
        return HostnameState.ACTIVE
    if status in BLOCKED:
        return HostnameState.BLOCKED
    return HostnameState.FAILED if status in failed or status.endswith(TIMED_OUT) else HostnameState.PENDING
