"""A DNS provider in memory, behind the port: zones with other people's records in them, host names, and trouble."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from moorage.model.errors import Permanent
from moorage.model.reasons import Reason
from moorage.providers.ports import CustomHostname, DnsRecord, HostnameState, Written


class ZoneProvider:
    """What it holds is there to be looked at; `trouble` is raised instead of an answer while it is set."""

    def __init__(self) -> None:
        self.held: dict[str, DnsRecord] = {}
        self.served: dict[str, CustomHostname] = {}
        self.trouble: Exception | None = None
        self.calls: list[str] = []
        self._ids = itertools.count(1)

    def put(self, record: DnsRecord) -> DnsRecord:
        """Somebody makes a record."""
        made = replace(record, id=record.id or f"r{next(self._ids)}")
        self.held[made.id] = made
        return made

    def named(self, name: str) -> list[DnsRecord]:
        """The records of a name."""
        return [record for record in self.held.values() if record.name == name]

    async def records(self, zone: str) -> list[DnsRecord]:
        """All records."""
        self._answer("records")
        return [record for record in self.held.values() if record.name == zone or record.name.endswith(f".{zone}")]

    async def write(
        self, zone: str, puts: Sequence[DnsRecord], deletes: Sequence[str]
    ) -> list[Written]:  # one zone is all there is
        """Make, replace, delete; a name that has a record of another id is refused."""
        self._answer("write")
        done: list[Written] = []
        for record in puts:
            if any(other.id != record.id for other in self.named(record.name)):
                done.append(Written(record=None, refused=Reason.RECORD_CONFLICT))
            else:
                done.append(Written(record=self.put(record)))
        return done + [Written(record=self.held.pop(record_id, None) and None) for record_id in deletes]

    async def custom_hostnames(self, zone: str) -> list[CustomHostname]:  # as above
        """All host names."""
        self._answer("custom_hostnames")
        return list(self.served.values())

    async def add_hostname(self, zone: str, hostname: str) -> CustomHostname:  # as above
        """Serve a host name, at once."""
        self._answer("add_hostname")
        if any(item.hostname == hostname for item in self.served.values()):
            raise Permanent(Reason.HOSTNAME_CONFLICT)
        made = CustomHostname(
            id=f"h{next(self._ids)}", hostname=hostname, state=HostnameState.ACTIVE, certificate=HostnameState.ACTIVE
        )
        self.served[made.id] = made
        return made

    async def remove_hostname(self, zone: str, hostname_id: str) -> None:  # as above
        """Serve it no longer."""
        self._answer("remove_hostname")
        self.served.pop(hostname_id, None)

    def _answer(self, call: str) -> None:
        self.calls.append(call)
        if self.trouble is not None:
            raise self.trouble
