"""Shows the challenges of an ACME authority in our zone, and asks the zone's own servers whether they can be seen."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.rdatatype

from moorage.model.errors import Permanent, Unavailable
from moorage.model.reasons import Reason
from moorage.providers.ports import DnsProvider, DnsRecord, DnsType

ASK_SECONDS_MAX = 5.0
DNS_PORT = 53
Server = tuple[str, int]


class DnsChallenges:
    """The port ChallengeBoard over a provider of zones. `mark` says in each record that it is ours."""

    def __init__(
        self,
        zone: str,
        *,
        provider: DnsProvider,
        mark: str,
        resolvers: Sequence[Server],
        servers: Callable[[], Awaitable[Sequence[Server]]] | None = None,
    ) -> None:
        self._zone = zone
        self._provider = provider
        self._mark = mark
        self._resolvers = resolvers
        self._servers = servers or self._authoritative
        self._ids: dict[tuple[str, str], str] = {}
        self._clean = False
        self._cleaning = asyncio.Lock()

    async def present(self, name: str, text: str) -> None:
        """As the port says. The first of a process takes away what the last process left, whose orders are over."""
        async with self._cleaning:
            if not self._clean:
                await self._remove([record.id for record in await self._marked()])
                self._clean = True
        wish = DnsRecord(name=name, type=DnsType.TXT, content=text, comment=self._mark)
        written = (await self._provider.write(self._zone, [wish], []))[0]
        if written.record is None:
            raise Permanent(written.refused or Reason.RECORD_CONFLICT)
        self._ids[name, text] = written.record.id

    async def remove(self, name: str, text: str) -> None:
        """As the port says."""
        known = self._ids.pop((name, text), None)
        if known is None:  # the answer was lost, and the record may be there
            there = await self._marked()
            found = [record.id for record in there if record.name == name and text in record.content]
        await self._remove([known] if known is not None else found)

    async def shows(self, name: str, text: str) -> bool:
        """As the port says; servers that do not answer are no obstacle as long as one does."""
        answers = await asyncio.gather(
            *(self._texts(server, name) for server in await self._servers()), return_exceptions=True
        )
        definite = [answer for answer in answers if isinstance(answer, set)]
        return bool(definite) and all(text in answer for answer in definite)

    async def leads_to(self, name: str, target: str) -> bool:
        """As the port says."""
        for server in self._resolvers:
            try:
                answer = await _asked(server, name, dns.rdatatype.CNAME)
            except (dns.exception.DNSException, OSError):
                continue
            return dns.name.from_text(target) in _aliases(answer, dns.name.from_text(name))
        raise Unavailable("no resolver answers")

    async def _marked(self) -> list[DnsRecord]:
        """All our challenges in the zone."""
        there = await self._provider.records(self._zone)
        return [record for record in there if record.type is DnsType.TXT and record.comment == self._mark]

    async def _remove(self, ids: list[str]) -> None:
        if ids:
            await self._provider.write(self._zone, [], ids)

    async def _texts(self, server: Server, name: str) -> set[str]:
        answer = await _asked(server, name, dns.rdatatype.TXT)
        found = [item for each in answer.answer if each.rdtype == dns.rdatatype.TXT for item in each]
        return {b"".join(item.strings).decode("ascii", "replace") for item in found}

    async def _authoritative(self) -> Sequence[Server]:
        """The addresses of the zone's name servers."""
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in self._resolvers]
        resolver.lifetime = ASK_SECONDS_MAX
        try:
            named = [str(item.target) for item in await resolver.resolve(self._zone, "NS")]
        except dns.exception.DNSException as error:
            raise Unavailable("the zone's name servers cannot be found") from error
        found = await asyncio.gather(*(resolver.resolve(name, "A") for name in named), return_exceptions=True)
        return [
            (item.address, DNS_PORT) for answer in found if not isinstance(answer, BaseException) for item in answer
        ]


def _aliases(answer: dns.message.Message, name: dns.name.Name) -> list[dns.name.Name]:
    """What a name itself is a CNAME of; what the targets lead to is nothing we ask for."""
    found = [each for each in answer.answer if each.rdtype == dns.rdatatype.CNAME and each.name == name]
    return [item.target for each in found for item in each]


async def _asked(server: Server, name: str, kind: dns.rdatatype.RdataType) -> dns.message.Message:
    """One definite answer: that there is none counts as one. Raises DNSException or OSError."""
    question = dns.message.make_query(name, kind)
    address, port = server
    answer, _ = await dns.asyncquery.udp_with_fallback(question, address, ASK_SECONDS_MAX, port)
    if answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise OSError(f"the name server says {dns.rcode.to_text(answer.rcode())}")
    return answer
