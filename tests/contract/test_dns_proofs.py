"""A proof counts when most resolvers show it and nobody disagrees; what they do not say decides nothing."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import dns.rcode
import pytest

from moorage.model import names
from moorage.model.domain_seen import ProofAnswer
from moorage.providers.dns_proofs import DnsProofs
from tests import name_server
from tests.name_server import Bad, NameServer

pytestmark = [pytest.mark.anyio, pytest.mark.cluster]

TEXT = "moorage-proof=5f2c"
NAME = names.challenge_name(f"bot.{name_server.ZONE}")
HERE = NAME.removesuffix(f".{name_server.ZONE}")
TOO_HIGH = HERE.removesuffix(".bot")
# By the number of silent voices: each costs the whole patience, twice. An answer on the loopback takes a moment, on a
# busy machine a longer one; but where most are silent, what the others say does not count.
PATIENCE_SECONDS = (10.0, 1.5, 0.2, 0.2)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NameServer]:
    """A name server of this test's own."""
    made = NameServer(tmp_path)
    yield made
    made.stop()


async def look(*resolvers: str, silent: int = 0) -> ProofAnswer:
    return await DnsProofs(resolvers, attempt_seconds=PATIENCE_SECONDS[silent]).look(NAME, TEXT)


async def test_a_proof_is_seen_as_soon_as_it_is_set_and_missed_as_soon_as_it_is_gone(server: NameServer) -> None:
    server.serve()
    proofs = DnsProofs([server.resolver])
    assert await proofs.look(NAME, TEXT) is ProofAnswer.MISSING
    server.serve(f'{HERE} TXT "{TEXT}"')
    assert await proofs.look(NAME, TEXT) is ProofAnswer.SHOWN
    server.serve()
    assert await proofs.look(NAME, TEXT) is ProofAnswer.MISSING
    server.stop()
    assert await look(server.resolver, silent=1) is ProofAnswer.UNKNOWN


SHOWN = {
    "beside other texts": [f'{HERE} TXT "v=spf1 -all"', f'{HERE} TXT "{TEXT}"'],
    "in two strings": [f'{HERE} TXT "{TEXT[:5]}" "{TEXT[5:]}"'],
    "so many that only TCP carries them": [
        *(f'{HERE} TXT "{number:03}{"x" * 200}"' for number in range(40)),
        f'{HERE} TXT "{TEXT}"',
    ],
    "written in capitals": [f'{HERE.upper()} TXT "{TEXT}"'],
}
MISSING = {
    "no such name": [],
    "a name without texts": [f"{HERE} A 192.0.2.1"],
    "another text": [f'{HERE} TXT "moorage-proof=0000"'],
    "a text with more behind it": [f'{HERE} TXT "{TEXT} "'],
    "a text in capitals": [f'{HERE} TXT "{TEXT.upper()}"'],
    "at the host itself": [f'bot TXT "{TEXT}"'],
    "one label too high": [f'{TOO_HIGH} TXT "{TEXT}"'],
    "behind a CNAME": [f"{HERE} CNAME elsewhere", f'elsewhere TXT "{TEXT}"'],
    "behind a wildcard that leads elsewhere": ["*.bot CNAME elsewhere", f'elsewhere TXT "{TEXT}"'],
}


@pytest.mark.parametrize(
    ("records", "answer"),
    [pytest.param(records, ProofAnswer.SHOWN, id=f"shown, {what}") for what, records in SHOWN.items()]
    + [pytest.param(records, ProofAnswer.MISSING, id=f"missing, {what}") for what, records in MISSING.items()],
)
async def test_only_the_exact_text_at_the_name_itself_is_a_proof(
    server: NameServer, records: list[str], answer: ProofAnswer
) -> None:
    server.serve(*records)
    assert await look(server.resolver) is answer


SHOWS = name_server.showing(TEXT)
OTHER = name_server.showing("moorage-proof=0000")
BROKEN = {
    "silent": name_server.silence,
    "failing": name_server.failing(dns.rcode.SERVFAIL),
    "refusing": name_server.failing(dns.rcode.REFUSED),
    "lame": name_server.lame,
    "garbled": name_server.garbage,
    "forged": name_server.forged(TEXT),
}
UNHEARD = {BROKEN["silent"], BROKEN["garbled"], BROKEN["forged"]}
"""Whoever asks goes on waiting for the true answer."""
VOTES: dict[str, tuple[list[Bad], ProofAnswer]] = {
    "all show it": ([SHOWS, SHOWS, SHOWS], ProofAnswer.SHOWN),
    "two show it and one is silent": ([SHOWS, name_server.silence, SHOWS], ProofAnswer.SHOWN),
    "one lies that it is there": ([SHOWS, name_server.empty, name_server.empty], ProofAnswer.MISSING),
    "one lies that it is not there": ([SHOWS, SHOWS, name_server.empty], ProofAnswer.UNKNOWN),
    "one shows another text": ([SHOWS, SHOWS, OTHER], ProofAnswer.UNKNOWN),
    "one shows it alone": ([SHOWS, name_server.silence, BROKEN["failing"]], ProofAnswer.UNKNOWN),
    "one misses it alone": ([name_server.empty, name_server.silence, BROKEN["failing"]], ProofAnswer.UNKNOWN),
    "none is there, in two ways": ([OTHER, name_server.empty, SHOWS], ProofAnswer.MISSING),
    **{f"all are {what}": ([bad, bad, bad], ProofAnswer.UNKNOWN) for what, bad in BROKEN.items()},
    **{f"most are {what}": ([name_server.empty, bad, bad], ProofAnswer.UNKNOWN) for what, bad in BROKEN.items()},
}


@pytest.mark.parametrize(("voices", "answer"), VOTES.values(), ids=VOTES)
async def test_resolvers_vote(voices: list[Bad], answer: ProofAnswer) -> None:
    async with contextlib.AsyncExitStack() as stack:
        resolvers = [await stack.enter_async_context(name_server.badly(voice)) for voice in voices]
        assert await look(*resolvers, silent=sum(voice in UNHEARD for voice in voices)) is answer


async def test_a_lost_packet_is_asked_for_again() -> None:
    heard: list[bytes] = []

    def second_time(question: bytes) -> bytes | None:
        heard.append(question)
        return SHOWS(question) if len(heard) == 2 else None

    async with name_server.badly(second_time) as resolver:
        assert await look(resolver, silent=1) is ProofAnswer.SHOWN
    assert heard[0][:2] != heard[1][:2]  # under another number


TARGET = f"direct.{name_server.ZONE}"
OF_TARGET = ["direct A 192.0.2.1", "direct A 192.0.2.2", "direct AAAA 2001:db8::1"]
HERE_ALREADY = {
    "by a CNAME": ["bot CNAME direct", *OF_TARGET],
    "by a CNAME to a name that is an alias itself": ["bot CNAME www", "www CNAME direct", *OF_TARGET],
    "by a CNAME to a target without an address": ["bot CNAME direct"],
    "by the same addresses": ["bot A 192.0.2.1", "bot A 192.0.2.2", "bot AAAA 2001:db8::1", *OF_TARGET],
    "by one of the addresses": ["bot A 192.0.2.2", *OF_TARGET],
}
NOT_HERE = {
    "no such name": OF_TARGET,
    "a name without an address": ['bot TXT "x"', *OF_TARGET],
    "another address": ["bot A 192.0.2.3", *OF_TARGET],
    "an address of somebody else beside ours": ["bot A 192.0.2.1", "bot A 192.0.2.3", *OF_TARGET],
    "an IPv6 address of somebody else beside ours": ["bot A 192.0.2.1", "bot AAAA 2001:db8::2", *OF_TARGET],
    "a CNAME to somebody else": ["bot CNAME www", "www A 192.0.2.3", *OF_TARGET],
    "a name below the target": ["bot CNAME a.direct", "a.direct A 192.0.2.3", *OF_TARGET],
}


@pytest.mark.parametrize(
    ("records", "answer"),
    [pytest.param(records, ProofAnswer.SHOWN, id=f"here, {what}") for what, records in HERE_ALREADY.items()]
    + [pytest.param(records, ProofAnswer.MISSING, id=f"not here, {what}") for what, records in NOT_HERE.items()],
)
async def test_a_name_leads_here_by_a_cname_or_by_no_address_but_ours(
    server: NameServer, records: list[str], answer: ProofAnswer
) -> None:
    server.serve(*records)
    assert await leads(server.resolver) is answer


async def leads(*resolvers: str) -> ProofAnswer:
    proofs = DnsProofs(resolvers, attempt_seconds=PATIENCE_SECONDS[0])
    return await proofs.leads_to(f"bot.{name_server.ZONE}", TARGET)


@pytest.mark.parametrize("bad", [name_server.failing(dns.rcode.SERVFAIL), name_server.lame], ids=["failing", "lame"])
async def test_where_a_name_leads_is_unknown_as_long_as_too_few_say_it(server: NameServer, bad: Bad) -> None:
    server.serve("bot CNAME direct")
    async with name_server.badly(bad) as first, name_server.badly(bad) as second:
        assert await leads(server.resolver, first, second) is ProofAnswer.UNKNOWN
        assert await leads(server.resolver, first) is ProofAnswer.UNKNOWN
        assert await leads(first, server.resolver, server.resolver) is ProofAnswer.SHOWN
    async with name_server.badly(name_server.empty) as other:
        assert await leads(server.resolver, server.resolver, other) is ProofAnswer.UNKNOWN
