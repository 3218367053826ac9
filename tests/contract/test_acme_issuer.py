"""A real ACME authority signs, renews and revokes for us, in spite of bad nonces, lost answers and restarts."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from moorage.model.domain import Issuer
from moorage.model.errors import NotAsked, Permanent, Transient, Unavailable
from moorage.model.reasons import Reason
from moorage.providers.acme_issuer import AcmeIssuer
from moorage.providers.acme_ports import AcmeAccount
from moorage.providers.dns_challenges import DnsChallenges
from moorage.providers.ports import DnsRecord, DnsType
from moorage.services.signing_request import SigningRequest
from tests import name_server
from tests.acme_server import BLOCKED, AcmeServer, ChallengeZone

pytestmark = [pytest.mark.anyio, pytest.mark.cluster]

ZONE = "agents.example"
DELEGATION = f"d7f3.acme.{ZONE}"
OWN = "www.bank.example"


class Memory:
    """The port AcmeAccounts in memory."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        plain = serialization.NoEncryption()
        self._pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        self.uris: list[str | None] = [None]

    async def load(self) -> AcmeAccount:
        """As the port says."""
        return AcmeAccount(key_pem=self._pem, uri=self.uris[-1])

    async def note(self, uri: str | None) -> None:
        """As the port says."""
        self.uris.append(uri)


class Stage:
    """An issuer before a real authority, with a real DNS."""

    def __init__(self, server: AcmeServer, names: ChallengeZone) -> None:
        self.server, self.names, self.accounts = server, names, Memory()

    def board(self) -> DnsChallenges:
        """Where its challenges are shown."""
        here = ("127.0.0.1", self.names.port)

        async def servers() -> list[tuple[str, int]]:
            return [here]

        return DnsChallenges(ZONE, provider=self.names, mark="moorage/test", resolvers=[here], servers=servers)

    def issuer(self, directory: str | None = None, board: DnsChallenges | None = None) -> AcmeIssuer:
        """What a process has."""
        return AcmeIssuer(
            directory=directory or self.server.directory, email="", ca_file=self.server.ca_file,
            accounts=self.accounts, board=board or self.board(), each_seconds=0.05,
        )  # fmt: skip


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AcmeServer, ChallengeZone]]:
    """One authority for all tests of this file; it refuses every seventh good nonce."""
    folder = Path(tmp_path_factory.mktemp("acme"))
    names = ChallengeZone(folder)
    try:
        server = AcmeServer(folder, names)
        try:
            yield server, names
        finally:
            server.stop()
    finally:
        names.stop()


@pytest.fixture
def stage(servers: tuple[AcmeServer, ChallengeZone]) -> Stage:
    """A new account before it."""
    return Stage(*servers)


async def test_a_platform_name_is_signed_and_nothing_stays_in_the_zone(stage: Stage) -> None:
    request = SigningRequest("bot.agents.example")
    signed = await stage.issuer().issue(request.hostname, request.pem, delegation=None)
    now = x509.load_pem_x509_certificate(signed.chain_pem.encode()).not_valid_before_utc
    facts = request.checked(signed, Issuer.ACME, now)
    assert 85 < (facts.not_after - facts.not_before).days <= 90
    assert len(x509.load_pem_x509_certificates(signed.chain_pem.encode())) > 1
    assert stage.names.shown == {}


async def test_a_name_of_a_tenants_own_is_signed_through_its_delegation(stage: Stage) -> None:
    request, issuer = SigningRequest(OWN), stage.issuer()
    with pytest.raises(Permanent) as refused:
        await issuer.issue(OWN, request.pem, delegation=DELEGATION)
    assert refused.value.reason is Reason.ACME_NOT_DELEGATED
    assert stage.accounts.uris == [None], "the authority is not asked before the name leads here"
    stage.names.tell("set-cname", host=f"_acme-challenge.{OWN}", target="somewhere.else.example")
    with pytest.raises(Permanent):
        await issuer.issue(OWN, request.pem, delegation=DELEGATION)
    stage.names.tell("set-cname", host=f"_acme-challenge.{OWN}", target=DELEGATION)
    signed = await issuer.issue(OWN, request.pem, delegation=DELEGATION)
    assert request.checked(signed, Issuer.ACME, _begin(signed.chain_pem)).issuer is Issuer.ACME
    assert stage.names.shown == {}


async def test_a_renewal_is_another_certificate_under_the_same_account(stage: Stage) -> None:
    serials = set()
    for _ in range(2):
        request = SigningRequest("bot.agents.example")
        serials.add((await stage.issuer().issue(request.hostname, request.pem, delegation=None)).id)
    assert len(serials) == 2
    assert len(stage.accounts.uris) == 2, "it was registered once"


async def test_a_revoked_certificate_may_be_revoked_again(stage: Stage) -> None:
    request, issuer = SigningRequest("bot.agents.example"), stage.issuer()
    signed = await issuer.issue(request.hostname, request.pem, delegation=None)
    for _ in range(2):
        await issuer.revoke(signed.id, signed.chain_pem)
    with pytest.raises(Permanent):  # a stranger's account may not
        await Stage(stage.server, stage.names).issuer().revoke(signed.id, await _of_another(stage))


async def test_a_name_that_the_authority_refuses_is_refused(stage: Stage) -> None:
    request = SigningRequest(BLOCKED)
    stage.names.tell("set-cname", host=f"_acme-challenge.{BLOCKED}", target=DELEGATION)
    with pytest.raises(Permanent) as refused:
        await stage.issuer().issue(BLOCKED, request.pem, delegation=DELEGATION)
    assert refused.value.reason is Reason.CERTIFICATE_REFUSED


class Liar(DnsChallenges):
    """Shows something else, and says that it does not."""

    async def present(self, name: str, text: str) -> None:
        """Another text."""
        await super().present(name, f"not-{text}")

    async def remove(self, name: str, text: str) -> None:
        """The other text."""
        await super().remove(name, f"not-{text}")

    async def shows(self, name: str, text: str) -> bool:
        """Of course."""
        return True


async def test_a_proof_that_fails_is_a_refusal_and_leaves_nothing_behind(stage: Stage) -> None:
    here = ("127.0.0.1", stage.names.port)
    request = SigningRequest("bot.agents.example")
    liar = Liar(ZONE, provider=stage.names, mark="moorage/test", resolvers=[here])
    with pytest.raises(Permanent) as refused:
        await stage.issuer(board=liar).issue(request.hostname, request.pem, delegation=None)
    assert refused.value.reason is Reason.CERTIFICATE_REFUSED
    assert stage.names.shown == {}


class Closed(DnsChallenges):
    """A zone whose provider is not to be asked now."""

    async def present(self, name: str, text: str) -> None:
        """Nobody hears of it."""
        raise NotAsked("closed", wait_seconds=300)


async def test_an_order_whose_text_cannot_be_shown_was_an_attempt(stage: Stage) -> None:
    here = ("127.0.0.1", stage.names.port)
    request = SigningRequest("bot.agents.example")
    closed = Closed(ZONE, provider=stage.names, mark="moorage/test", resolvers=[here])
    with pytest.raises(Transient) as put_off:
        await stage.issuer(board=closed).issue(request.hostname, request.pem, delegation=None)
    assert not isinstance(put_off.value, NotAsked), "the authority has the order"
    assert put_off.value.retry_after_seconds == 300


@pytest.mark.parametrize("path", ["/sign-me-up", "/order-plz", "/chalZ/", "/finalize-order/", "/certZ/"])
async def test_after_a_lost_answer_the_next_attempt_comes_through(stage: Stage, path: str) -> None:
    request = SigningRequest("bot.agents.example")
    with stage.server.lossy_line(path) as directory:
        issuer = stage.issuer(directory)
        with pytest.raises(Unavailable):
            await issuer.issue(request.hostname, request.pem, delegation=None)
        assert stage.names.shown == {}
        signed = await issuer.issue(request.hostname, request.pem, delegation=None)
    request.checked(signed, Issuer.ACME, _begin(signed.chain_pem))
    assert len({uri for uri in stage.accounts.uris if uri}) == 1


class Halting(DnsChallenges):
    """Stops in the middle of the first order."""

    presented: asyncio.Event

    async def shows(self, name: str, text: str) -> bool:
        """Never, but somebody hears that it was asked."""
        self.presented.set()
        return False


async def test_an_order_that_is_cut_off_leaves_nothing_and_another_follows(stage: Stage) -> None:
    here = ("127.0.0.1", stage.names.port)
    halting = Halting(ZONE, provider=stage.names, mark="moorage/test", resolvers=[here])
    halting.presented = asyncio.Event()
    request = SigningRequest("bot.agents.example")
    attempt = asyncio.create_task(stage.issuer(board=halting).issue(request.hostname, request.pem, delegation=None))
    await halting.presented.wait()
    assert len(stage.names.shown) == 1
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    assert stage.names.shown == {}
    await stage.issuer().issue(request.hostname, request.pem, delegation=None)


async def test_what_a_killed_process_left_in_the_zone_is_taken_away_by_the_next(stage: Stage) -> None:
    await stage.board().present("_acme-challenge.bot.agents.example", "left")
    other = DnsRecord(name="www.agents.example", type=DnsType.TXT, content="v=spf1 -all", comment="somebody's")
    await stage.names.write(ZONE, [other], [])
    await stage.board().present("_acme-challenge.new.agents.example", "fresh")
    assert sorted(stage.names.shown) == ["fresh", "v=spf1 -all"]
    await stage.names.write(ZONE, [], list(stage.names.shown))


async def test_a_text_whose_answer_was_lost_is_taken_away_too(stage: Stage) -> None:
    board = stage.board()
    await board.present("_acme-challenge.bot.agents.example", "one")
    board._ids.clear()  # as if the answer had never come
    await board.remove("_acme-challenge.bot.agents.example", "one")
    assert stage.names.shown == {}


async def test_an_authority_that_forgot_us_is_met_with_the_same_key(stage: Stage) -> None:
    request = SigningRequest("bot.agents.example")
    await stage.issuer().issue(request.hostname, request.pem, delegation=None)
    stage.server.stop()
    with pytest.raises(Unavailable):
        await stage.issuer().issue(request.hostname, request.pem, delegation=None)
    stage.server.start()
    with pytest.raises(Transient):
        await stage.issuer().issue(request.hostname, request.pem, delegation=None)
    assert stage.accounts.uris[-1] is None
    await stage.issuer().issue(request.hostname, request.pem, delegation=None)


async def test_a_zone_is_asked_at_its_own_servers(tmp_path: Path, stage: Stage) -> None:
    server = name_server.NameServer(tmp_path)
    try:
        server.serve("ns A 192.0.2.53", "@ NS other", "other A 192.0.2.54", "@ NS elsewhere.example.")
        resolvers = [("127.0.0.1", server.port)]
        board = DnsChallenges(name_server.ZONE, provider=stage.names, mark="moorage/test", resolvers=resolvers)
        assert sorted(await board._authoritative()) == [("192.0.2.53", 53), ("192.0.2.54", 53)]
    finally:
        server.stop()
    with pytest.raises(Unavailable):
        await board.shows("_acme-challenge.bot.victim.example", "text")


async def test_a_silent_dns_is_neither_a_delegation_nor_the_lack_of_one(stage: Stage) -> None:
    request = SigningRequest(OWN)
    stage.names.tell("set-servfail", host=f"_acme-challenge.{OWN}")
    try:
        with pytest.raises(Unavailable):
            await stage.issuer().issue(OWN, request.pem, delegation=DELEGATION)
    finally:
        stage.names.tell("clear-servfail", host=f"_acme-challenge.{OWN}")


def _begin(chain_pem: str) -> datetime:
    return x509.load_pem_x509_certificate(chain_pem.encode()).not_valid_before_utc


async def _of_another(stage: Stage) -> str:
    request = SigningRequest("other.agents.example")
    return (await stage.issuer().issue(request.hostname, request.pem, delegation=None)).chain_pem
