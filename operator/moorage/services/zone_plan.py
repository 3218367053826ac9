"""What is to be done with the records at one name, and how what is there stands to what is wished."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from moorage.model.domain_seen import Owner, Sight, Thing
from moorage.model.reasons import Reason
from moorage.providers.ports import WRITTEN, DnsRecord, DnsType

IPV4 = 4
# What takes visitors of a name elsewhere. All else, such as MX, TXT and CAA, may stand beside our address.
ELSEWHERE = {DnsType.A, DnsType.AAAA, DnsType.CNAME, DnsType.HTTPS, DnsType.NS}


@dataclass(slots=True)
class Wish:
    """What one Domain wants at its name."""

    owner: Owner
    hostname: str
    mark: str
    record: DnsRecord | None  # None: nothing of ours
    noted: str | None  # the id that the database knows
    refused: Reason | None = None  # the provider's last word on this very wish


@dataclass(slots=True)
class Changes:
    """Puts of records for wishes, and ids to be deleted."""

    puts: list[tuple[Wish, DnsRecord]] = field(default_factory=list)
    deletes: list[DnsRecord] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.puts) + len(self.deletes)


def leads_to(name: str, target: str, *, proxied: bool) -> DnsRecord:
    """The record that leads a name to an address or to another name."""
    try:
        kind = DnsType.A if ipaddress.ip_address(target).version == IPV4 else DnsType.AAAA
    except ValueError:
        kind = DnsType.CNAME
    return DnsRecord(name=name, type=kind, content=target, proxied=proxied)


def look(wish: Wish, there: Sequence[DnsRecord]) -> Thing:
    """How the records at the name stand to the wish; only what bears the mark of this very Domain is its."""
    ours = _ours(wish, there)
    known = ours[0].id if ours else None
    if wish.record is None:
        return Thing(sight=Sight.THERE if ours else Sight.ABSENT, id=known)
    if _foreign(wish, there):
        return Thing(sight=Sight.FOREIGN, problem=Reason.RECORD_CONFLICT, id=known)
    if len(ours) == 1 and same(ours[0], wish.record):
        return Thing(sight=Sight.THERE, id=known)
    if wish.refused is not None:
        foreign = wish.refused is Reason.RECORD_CONFLICT
        return Thing(sight=Sight.FOREIGN if foreign else Sight.REFUSED, problem=wish.refused, id=known)
    return Thing(sight=Sight.DIFFERENT if ours else Sight.UNDER_WAY, id=known)


def add_changes(changes: Changes, wish: Wish, there: Sequence[DnsRecord]) -> None:
    """What has to be done for one wish; nothing where somebody else's record stands."""
    ours = _ours(wish, there)
    if wish.record is None:
        changes.deletes += ours
        return
    if _foreign(wish, there):
        return
    changes.deletes += ours[1:]  # two leaders may have made one each
    if not ours:
        changes.puts.append((wish, wish.record))
    elif ours[0].type is not wish.record.type:
        changes.deletes.append(ours[0])
        changes.puts.append((wish, wish.record))
    elif not same(ours[0], wish.record):
        changes.puts.append((wish, replace(wish.record, id=ours[0].id)))


def same(one: DnsRecord, other: DnsRecord) -> bool:
    """Whether two records say the same, however their addresses are written."""
    return _plain(one) == _plain(other)


def _ours(wish: Wish, there: Sequence[DnsRecord]) -> list[DnsRecord]:
    """Those with the mark, the one that the database knows first."""
    ours = [record for record in there if _is_ours(wish, record)]
    return sorted(ours, key=lambda record: (record.id != wish.noted, record.id))


def _foreign(wish: Wish, there: Sequence[DnsRecord]) -> bool:
    # Nothing may stand beside a CNAME: whoever asks for the other record would get ours instead.
    alone = wish.record is not None and wish.record.type is DnsType.CNAME
    return any(not _is_ours(wish, record) and (alone or record.type in ELSEWHERE) for record in there)


def _is_ours(wish: Wish, record: DnsRecord) -> bool:
    return record.comment == wish.mark and record.type in WRITTEN


def _plain(record: DnsRecord) -> DnsRecord:
    if record.type is DnsType.AAAA:
        return replace(record, id="", content=ipaddress.ip_address(record.content).compressed)
    return replace(record, id="")
