"""Proofs of ownership in the DNS: several resolvers are asked each time, and nothing of their answers is kept."""

import asyncio
import contextlib
from collections.abc import Sequence

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
        asked = (self._shows(resolver, name, text.encode()) for resolver in self._resolvers)
        answers = await asyncio.gather(*asked)
        majority = len(self._resolvers) // 2 + 1
        if answers.count(True) >= majority and False not in answers:
            return ProofAnswer.SHOWN
        return ProofAnswer.MISSING if answers.count(False) >= majority else ProofAnswer.UNKNOWN

    async def _shows(self, resolver: tuple[str, int], name: str, text: bytes) -> bool | None:
        for _ in range(ATTEMPTS):
            # A new question each time: its number and its port are what a forger has to guess.
            question = dns.message.make_query(f"{name}.", dns.rdatatype.TXT)
            with contextlib.suppress(dns.exception.DNSException, OSError, EOFError):
                answer, _ = await dns.asyncquery.udp_with_fallback(
                    question,
                    resolver[0],
                    timeout=self._attempt_seconds,
                    port=resolver[1],
                    ignore_unexpected=True,
                    ignore_errors=True,
                )
                return _verdict(answer, question.question[0].name, text)
        return None


def _verdict(answer: dns.message.Message, name: dns.name.Name, text: bytes) -> bool | None:
    # A server that neither knows the zone nor asks others has no opinion, whatever it leaves out.
    informed = answer.flags & (dns.flags.AA | dns.flags.RA)
    if not informed or answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    # Only what stands at the name itself. Records behind a CNAME belong to whoever holds its target: one that dangles,
    # or a wildcard that leads to somebody's host, would let that one prove a name that is not theirs.
    found = (records for records in answer.answer if records.name == name and records.rdtype == dns.rdatatype.TXT)
    return any(b"".join(record.strings) == text for records in found for record in records)
