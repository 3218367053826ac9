"""What tenants' own names show in the DNS: several resolvers are asked each time, and no answer is kept."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from moorage.model import values
from moorage.model.domain_seen import ProofAnswer

ATTEMPTS = 2  # a lost packet is nobody's answer
ATTEMPT_SECONDS = 2.0
ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)
Server = tuple[str, int]


class DnsProofs:
    """Asks resolvers, which must be several and of different owners: one alone can err, or lie."""

    def __init__(self, resolvers: Sequence[str], *, attempt_seconds: float = ATTEMPT_SECONDS) -> None:
        self._resolvers = [values.resolver(text) for text in resolvers]
        self._attempt_seconds = attempt_seconds

    async def look(self, name: str, text: str) -> ProofAnswer:
        """Whether the TXT records at `name` hold exactly this text.

        Shown takes a majority that shows it, and nobody who says otherwise; Missing a majority that says so. Whoever
        does not answer, or only that it cannot, has no voice.
        """
        return self._together(await self._everybody(lambda resolver: self._shows(resolver, name, text.encode())))

    async def leads_to(self, name: str, target: str) -> ProofAnswer:
        """Whether visitors of `name` are led to where `target` leads: by a CNAME, or by its addresses alone.

        Where a CNAME is not possible, a zone's host answers with the addresses of the target, or with some of them.
        """
        return self._together(await self._everybody(lambda resolver: self._leads(resolver, name, target)))

    async def _everybody(self, ask: Callable[[Server], Awaitable[bool | None]]) -> list[bool | None]:
        return await asyncio.gather(*(ask(resolver) for resolver in self._resolvers))

    def _together(self, answers: list[bool | None]) -> ProofAnswer:
        majority = len(self._resolvers) // 2 + 1
        if answers.count(True) >= majority and False not in answers:
            return ProofAnswer.SHOWN
        return ProofAnswer.MISSING if answers.count(False) >= majority else ProofAnswer.UNKNOWN

    async def _shows(self, resolver: Server, name: str, text: bytes) -> bool | None:
        answer = await self._asked(resolver, name, dns.rdatatype.TXT)
        return None if answer is None else _holds(answer, dns.name.from_text(name), text)

    async def _leads(self, resolver: Server, name: str, target: str) -> bool | None:
        found, there = await asyncio.gather(self._addresses(resolver, name), self._addresses(resolver, target))
        if found is None:
            return None
        names, addresses = found
        if dns.name.from_text(target) in names:
            return True
        if there is None:
            return None
        return bool(addresses) and addresses <= there[1]

    async def _addresses(self, resolver: Server, name: str) -> tuple[set[dns.name.Name], set[str]] | None:
        """The names that a name is an alias of, and the addresses at the end of them."""
        answers = await asyncio.gather(*(self._asked(resolver, name, kind) for kind in ADDRESSES))
        names, addresses = set[dns.name.Name](), set[str]()
        for answer in answers:
            if answer is None:
                return None
            aliases = _aliases(answer, dns.name.from_text(name))
            names |= aliases
            found = (records for records in answer.answer if records.name in aliases and records.rdtype in ADDRESSES)
            addresses |= {record.address for records in found for record in records}
        return names, addresses

    async def _asked(self, resolver: Server, name: str, kind: dns.rdatatype.RdataType) -> dns.message.Message | None:
        """An answer of somebody who knows, that there is nothing also; None: there was none."""
        for _ in range(ATTEMPTS):
            # A new question each time: its number and its port are what a forger has to guess.
            question = dns.message.make_query(f"{name}.", kind)
            with contextlib.suppress(dns.exception.DNSException, OSError, EOFError):
                answer, _ = await dns.asyncquery.udp_with_fallback(
                    question,
                    resolver[0],
                    timeout=self._attempt_seconds,
                    port=resolver[1],
                    ignore_unexpected=True,
                    ignore_errors=True,
                )
                # A server that neither knows the zone nor asks others has no opinion, whatever it leaves out.
                informed = answer.flags & (dns.flags.AA | dns.flags.RA)
                return answer if informed and answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) else None
        return None


def _holds(answer: dns.message.Message, name: dns.name.Name, text: bytes) -> bool:
    # Only what stands at the name itself. Records behind a CNAME belong to whoever holds its target: one that dangles,
    # or a wildcard that leads to somebody's host, would let that one prove a name that is not theirs.
    found = (records for records in answer.answer if records.name == name and records.rdtype == dns.rdatatype.TXT)
    return any(b"".join(record.strings) == text for records in found for record in records)


def _aliases(answer: dns.message.Message, name: dns.name.Name) -> set[dns.name.Name]:
    """The name, and those that it is an alias of by this answer."""
    found, last = {name}, 0
    while len(found) > last:
        last = len(found)
        links = (each for each in answer.answer if each.rdtype == dns.rdatatype.CNAME and each.name in found)
        found |= {record.target for records in links for record in records}
    return found
