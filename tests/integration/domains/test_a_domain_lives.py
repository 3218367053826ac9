"""A Domain from its first look to its end: what exists outside follows what is held, proven and wished."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from moorage.kube import kinds
from moorage.model.domain import Issuer
from moorage.model.errors import Permanent, Unavailable
from moorage.model.reasons import Reason
from moorage.providers.ports import DnsRecord, DnsType
from tests.integration.domains import estate
from tests.integration.domains.estate import Estate
from tests.integration.money.world import new_world

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

READY = "True/DomainReady"
NAME = "bot.agents.example"
OWN = "bot.example.com"


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Estate]:
    """An operator that leads, with one tenant whose agent runs."""
    async with new_world(database_url) as world, estate.opened(world) as found:
        await found.agent("acme")
        yield found


async def test_a_name_below_the_zone_is_ready_without_anybody_elses_doing(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    (record,) = platform.provider.named(NAME)
    assert (record.type, record.content, record.proxied) == (DnsType.A, "203.0.113.7", True)
    assert [asked for asked, _ in platform.authority.asked] == [NAME]
    assert platform.backend(key) == "agent-helper"
    assert platform.status(key)["url"] == f"https://{NAME}"
    before = len(platform.provider.calls)
    for _ in range(5):
        await platform.turn()
    assert len(platform.provider.calls) == before


async def test_a_name_of_ones_own_is_set_up_only_once_it_is_proven(platform: Estate) -> None:
    key = platform.apply("acme", "bot", OWN)
    await platform.until(key, "False/ProofMissing")
    for _ in range(3):
        await platform.turn()
    assert platform.provider.served == {}
    assert platform.backend(key) is None
    begun_s = platform.now_s
    platform.show(key)
    await platform.until(key, READY)
    # The resolvers are asked every ten seconds while a tenant waits.
    assert platform.now_s - begun_s <= 10 + 5
    assert [item.hostname for item in platform.provider.served.values()] == [OWN]


async def test_a_name_whose_proof_is_there_is_ready_within_ten_seconds(platform: Estate) -> None:
    first = platform.apply("acme", "bot", OWN)
    await platform.until(first, "False/ProofMissing")
    platform.show(first)
    platform.delete(first)
    for _ in range(10):
        await platform.turn(3)
    begun_s = platform.now_s
    await platform.until(platform.apply("acme", "bot-2", OWN), READY)
    assert platform.now_s - begun_s <= 10


async def test_visitors_of_a_suspended_agent_see_the_page_and_the_agent_again_when_it_is_back(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    await platform.suspend("acme")
    await platform.until(key, "False/AgentAway")
    assert platform.backend(key) == "moorage-waiting"
    await platform.suspend("acme", state="Running")
    await platform.until(key, READY)
    assert platform.backend(key) == "agent-helper"


async def test_what_is_deleted_leaves_nothing_outside_and_its_name_in_quarantine(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    platform.delete(key)
    for _ in range(40):
        await platform.turn(3)
    assert not platform.exists(key)
    assert platform.provider.named(NAME) == []
    assert platform.backend(key) is None
    assert len(platform.authority.revoked) == 1
    await platform.agent("other")
    rival = platform.apply("other", "bot", NAME)
    await platform.until(rival, "False/HostnameQuarantined")
    again = platform.apply("acme", "bot-2", NAME)
    await platform.until(again, READY)


@pytest.mark.parametrize("ready", [True, False])
async def test_a_name_of_ones_own_is_taken_away_at_the_provider_too(platform: Estate, ready: bool) -> None:
    key = platform.apply("acme", "bot", OWN)
    await platform.until(key, "False/ProofMissing")
    if ready:
        platform.show(key)
        await platform.until(key, READY)
    platform.delete(key)
    for _ in range(20):
        await platform.turn(3)
    assert not platform.exists(key)
    assert platform.provider.served == {}


async def test_a_finalizer_that_waits_for_the_provider_waits_as_long_as_it_takes(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    platform.provider.trouble = Unavailable("away")
    platform.delete(key)
    for _ in range(5):
        await platform.turn(3)
    assert platform.exists(key)
    assert platform.backend(key) is None
    assert len(platform.provider.named(NAME)) == 1
    platform.provider.trouble = None
    for _ in range(40):
        await platform.turn(30)
    assert not platform.exists(key)
    assert platform.provider.named(NAME) == []


async def test_a_foreign_record_stays_untouched(platform: Estate) -> None:
    foreign = platform.provider.put(DnsRecord(name=NAME, type=DnsType.CNAME, content="elsewhere.example"))
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, "False/RecordConflict")
    platform.delete(key)
    for _ in range(10):
        await platform.turn(3)
    assert platform.provider.named(NAME) == [foreign]
    assert not platform.exists(key)


@pytest.mark.parametrize("right", [Reason.PROVIDER_LACKS_DNS_EDIT, Reason.PROVIDER_TOKEN_INVALID])
async def test_the_right_that_the_token_lacks_is_named(platform: Estate, right: Reason) -> None:
    platform.provider.trouble = Permanent(right)
    key = platform.apply("acme", "bot", NAME)
    for _ in range(5):
        await platform.turn()
    assert platform.said(key)["RecordReady"].endswith(f"/{right}")
    platform.provider.trouble = None
    for _ in range(40):
        await platform.turn(30)
    assert platform.said(key)["Ready"] == READY


async def test_a_new_leader_takes_over_without_making_anything_twice(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    calls = len(platform.provider.calls)
    await platform.start()
    for _ in range(5):
        await platform.turn()
    assert platform.said(key)["Ready"] == READY
    assert len(platform.provider.named(NAME)) == 1
    assert len(platform.authority.asked) == 1
    assert set(platform.provider.calls[calls:]) <= {"records", "custom_hostnames"}


async def test_a_domain_whose_object_vanished_is_taken_away_all_the_same(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    platform.vanish(key)
    for _ in range(40):
        await platform.naming.steps["sweep_domains"]()
        await platform.turn(3)
    assert platform.provider.named(NAME) == []
    assert len(platform.authority.revoked) == 1


@pytest.mark.parametrize(
    ("hostname", "said"),
    [
        ("a.b.agents.example", "False/HostnameTooDeep"),
        ("agents.example", "False/HostnameReserved"),
        ("entry.agents.example", "False/HostnameReserved"),
        ("co.uk", "False/HostnamePublicSuffix"),
    ],
)
async def test_a_name_that_cannot_be_used_says_why_and_asks_nobody(platform: Estate, hostname: str, said: str) -> None:
    before = len(platform.provider.calls)
    key = platform.apply("acme", "bot", hostname)
    await platform.until(key, said)
    platform.delete(key)
    assert not platform.exists(key)
    assert set(platform.provider.calls[before:]) <= {"records", "custom_hostnames", "write"}  # the platform's own entry


async def test_a_certificate_of_cert_manager_is_waited_for_and_taken_away(database_url: str) -> None:
    offer = replace(estate.OFFER, issuer=Issuer.ACME, issuers=(Issuer.ACME,), cert_manager="letsencrypt")
    async with new_world(database_url) as world, estate.opened(world, offer) as platform:
        await platform.agent("acme")
        key = platform.apply("acme", "bot", NAME)
        await platform.until(key, "False/CertificatePending")
        assert platform.backend(key) is None
        place = (kinds.CERTIFICATE.plural, key.namespace, "tls-bot")
        made = platform.server.objects[place]
        assert (made["spec"]["dnsNames"], made["spec"]["issuerRef"]["name"]) == ([NAME], "letsencrypt")
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        platform.server.put(kinds.CERTIFICATE, {**made, "status": ready})
        await platform.until(key, READY)
        assert platform.authority.asked == []
        platform.delete(key)
        for _ in range(20):
            await platform.turn(3)
        assert not platform.exists(key)
        assert place not in platform.server.objects


async def test_a_secret_that_became_cert_managers_is_left_to_it(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    platform.offer = replace(estate.OFFER, issuer=Issuer.ACME, issuers=(Issuer.ACME,), cert_manager="letsencrypt")
    await platform.start()
    await platform.until(key, "False/CertificatePending")
    made = platform.server.objects[kinds.CERTIFICATE.plural, key.namespace, "tls-bot"]
    platform.server.put(kinds.CERTIFICATE, {**made, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    theirs = {"metadata": {"name": "tls-bot", "namespace": key.namespace}, "data": {"tls.crt": "theirs"}}
    platform.server.put(kinds.SECRET, theirs)
    await platform.until(key, READY)
    await platform.turn()
    kept = platform.server.objects[kinds.SECRET.plural, key.namespace, "tls-bot"]
    assert kept["data"] == {"tls.crt": "theirs"}


async def test_a_tenant_that_holds_as_many_names_as_it_may_is_told_and_nobody_spins(platform: Estate) -> None:
    keys = [platform.apply("acme", f"bot-{number}", f"bot-{number}.agents.example") for number in range(21)]
    for _ in range(10):
        await platform.turn()
    said = [platform.said(key)["Ready"] for key in keys]
    assert (said.count(READY), said.count("False/HostnameLimit")) == (20, 1)
    late = keys[said.index("False/HostnameLimit")]
    assert platform.said(late)["Claimed"] == "False/HostnameLimit"
    assert (await platform.naming.reconciles["Domain"](late) or 0) > 1
    for key in keys[:5]:
        if key != late:
            platform.delete(key)
    for _ in range(20):
        await platform.turn(30)
    assert platform.said(late)["Ready"] == READY
