"""Records and custom host names at Cloudflare."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from moorage.model.errors import Permanent, Unavailable
from moorage.model.reasons import Reason
from moorage.providers import cloudflare_wire as wire
from moorage.providers.allowance import Urgency
from moorage.providers.cloudflare_calls import NOT_FOUND, CloudflareCalls, Refused
from moorage.providers.ports import WRITTEN, CustomHostname, DnsRecord, Written

BATCH_MAX = 100  # half of what the smallest plan allows
RECORDS_PER_PAGE = 1000
HOSTNAMES_PER_PAGE = 50
# Error numbers of the API.
EXISTS = {81053, 81054, 81056, 81057, 81058}
GONE = {81044, 1032}
QUOTA = {81045}
OF_RECORDS = range(81000, 82000)
OF_CONTENT = {1004, *range(9000, 9100), *range(9200, 9400)}
HOSTNAME_EXISTS = {1406}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Change:
    """One wish of a batch: a record to be put, or the id of one to be deleted."""

    number: int
    put: DnsRecord | None
    delete: str = ""


class CloudflareZones:
    """The port DnsProvider."""

    def __init__(self, calls: CloudflareCalls) -> None:
        self._calls = calls

    async def records(self, zone: str) -> list[DnsRecord]:
        """All records of a zone."""
        return await self._records(zone)

    async def _records(self, zone: str, **narrowed: Any) -> list[DnsRecord]:
        zone_id = await self._calls.zone_id(zone)
        method = self._calls.client().dns.records.with_raw_response.list
        found = await self._calls.listed(
            "list_records", wire.Record, method, per_page=RECORDS_PER_PAGE,
            lacks=Reason.PROVIDER_LACKS_DNS_EDIT, zone_id=zone_id, **narrowed,
        )  # fmt: skip
        return [wire.to_record(record) for record in found]

    async def write(self, zone: str, puts: Sequence[DnsRecord], deletes: Sequence[str]) -> list[Written]:
        """In sets that succeed or fail as one; a set that fails is halved until what is wrong stands alone."""
        # Deletions first, also within a set: a record of another type may be in the way.
        changes = [
            *(_Change(len(puts) + number, None, record_id) for number, record_id in enumerate(deletes)),
            *(_Change(number, record) for number, record in enumerate(puts)),
        ]
        written: dict[int, Written] = {}
        for first in range(0, len(changes), BATCH_MAX):
            written |= await self._try(zone, changes[first : first + BATCH_MAX])
        return [written[number] for number in range(len(changes))]

    async def _try(self, zone: str, changes: list[_Change]) -> dict[int, Written]:
        try:
            return await self._batch(zone, changes)
        except Refused as refused:
            if (
                not any(code in OF_RECORDS or code in OF_CONTENT for code in refused.codes)
                and refused.status != NOT_FOUND
            ):
                raise  # not about one of them
            if refused.codes & QUOTA:
                return await self._without_room(zone, changes)
            if len(changes) == 1:
                return {changes[0].number: await self._alone(zone, changes[0], refused)}
            middle = len(changes) // 2
            first = await self._try(zone, changes[:middle])
            return first | await self._try(zone, changes[middle:])

    async def _batch(self, zone: str, changes: list[_Change]) -> dict[int, Written]:
        deletes = [change for change in changes if change.put is None]
        puts = [change for change in changes if change.put is not None and change.put.id]
        posts = [change for change in changes if change.put is not None and not change.put.id]
        zone_id = await self._calls.zone_id(zone)
        answer = await self._calls.ask(
            "write_records", wire.Batch, self._calls.client().dns.records.with_raw_response.batch,
            urgency=Urgency.RECORD if puts or posts else Urgency.REMOVE,
            lacks=Reason.PROVIDER_LACKS_DNS_EDIT,
            zone_id=zone_id,
            deletes=[{"id": change.delete} for change in deletes],
            puts=[wire.from_record(change.put) for change in puts],
            posts=[wire.from_record(change.put) for change in posts],
        )  # fmt: skip
        written = {change.number: Written(record=None) for change in deletes}
        for wishes, records in ((puts, answer.puts or []), (posts, answer.posts or [])):
            if [change.put and change.put.name for change in wishes] != [record.name.lower() for record in records]:
                raise Unavailable("cloudflare's answer to a batch does not fit what was asked")
            written |= {
                change.number: Written(record=wire.to_record(record))
                for change, record in zip(wishes, records, strict=True)
            }
        return written

    async def _without_room(self, zone: str, changes: list[_Change]) -> dict[int, Written]:
        """The zone is full: what was to be deleted makes room for the next time."""
        log.warning("the zone is full")
        full = {change.number: Written(record=None, refused=Reason.RECORD_REFUSED) for change in changes if change.put}
        deletes = [change for change in changes if change.put is None]
        return full | (await self._batch(zone, deletes) if deletes else {})

    async def _alone(self, zone: str, change: _Change, refused: Refused) -> Written:
        """What becomes of a change that was refused by itself."""
        if change.put is None:
            if refused.codes & GONE or refused.status == NOT_FOUND:
                return Written(record=None)
            raise refused
        if change.put.id and (refused.codes & GONE or refused.status == NOT_FOUND):
            anew = _Change(change.number, replace(change.put, id=""))
            return (await self._try(zone, [anew]))[change.number]
        if refused.codes & EXISTS:
            return await self._adopted(zone, change.put)
        log.warning("a record was refused", extra={"codes": sorted(refused.codes)})
        return Written(record=None, refused=Reason.RECORD_REFUSED)

    async def _adopted(self, zone: str, wish: DnsRecord) -> Written:
        """A record is there already: ours, from an answer that was lost, or somebody else's."""
        there = await self._records(zone, name={"exact": wish.name})
        marked = [record for record in there if wish.comment and record.comment == wish.comment]
        ours = [record for record in marked if record.type in WRITTEN]
        if not ours or wish.id:
            return Written(record=None, refused=Reason.RECORD_CONFLICT)
        if replace(ours[0], id="") == wish:
            return Written(record=ours[0])
        return (await self._try(zone, [_Change(0, replace(wish, id=ours[0].id))]))[0]

    async def custom_hostnames(self, zone: str) -> list[CustomHostname]:
        """All custom host names of a zone."""
        zone_id = await self._calls.zone_id(zone)
        method = self._calls.client().custom_hostnames.with_raw_response.list
        found = await self._calls.listed(
            "list_hostnames", wire.Hostname, method, per_page=HOSTNAMES_PER_PAGE,
            lacks=Reason.PROVIDER_LACKS_SSL_EDIT, zone_id=zone_id,
        )  # fmt: skip
        return [wire.to_hostname(one) for one in found]

    async def add_hostname(self, zone: str, hostname: str) -> CustomHostname:
        """Ask for a host name and a certificate for it, which is proven by the host name leading here."""
        zone_id = await self._calls.zone_id(zone)
        try:
            made = await self._calls.ask(
                "add_hostname", wire.Hostname, self._calls.client().custom_hostnames.with_raw_response.create,
                urgency=Urgency.RECORD,
                lacks=Reason.PROVIDER_LACKS_SSL_EDIT,
                zone_id=zone_id,
                hostname=hostname,
                ssl={"method": "http", "type": "dv", "settings": {"min_tls_version": "1.2"}},
            )  # fmt: skip
        except Refused as refused:
            exists = refused.codes & HOSTNAME_EXISTS or refused.status == 409
            raise Permanent(Reason.HOSTNAME_CONFLICT if exists else Reason.HOSTNAME_BLOCKED) from refused
        return wire.to_hostname(made)

    async def remove_hostname(self, zone: str, hostname_id: str) -> None:
        """Give a custom host name up, and with it its certificate."""
        zone_id = await self._calls.zone_id(zone)
        method = self._calls.client().custom_hostnames.with_raw_response.delete
        await self._calls.remove(
            "remove_hostname", method, lacks=Reason.PROVIDER_LACKS_SSL_EDIT,
            zone_id=zone_id, custom_hostname_id=hostname_id,
        )  # fmt: skip
