"""Ways into somebody else's host name, each played to its end against the reconcile: not one leads anywhere."""

from collections.abc import AsyncIterator

import pytest

from moorage.model.names import Key
from moorage.providers.ports import DnsRecord, DnsType
from tests.integration.domains import estate
from tests.integration.domains.estate import Estate
from tests.integration.money.world import new_world

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

READY = "True/DomainReady"
DAY_S = 86_400
QUARANTINE_DAYS = 30


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Estate]:
    """An operator that leads, an owner and a thief, each with an agent."""
    async with new_world(database_url) as world, estate.opened(world) as found:
        await found.agent("owner")
        await found.agent("thief")
        yield found


async def _own(platform: Estate, hostname: str = "shop.example.com") -> Key:
    """The owner's own name, proven and served."""
    key = platform.apply("owner", "shop", hostname)
    await platform.until(key, "False/ProofMissing")
    platform.show(key)
    await platform.until(key, READY)
    return key


async def _gone(platform: Estate, key: Key) -> None:
    platform.delete(key)
    for _ in range(40):
        await platform.turn(3)
    assert not platform.exists(key)


async def _gets_nothing(platform: Estate, key: Key, said: str) -> None:
    await platform.until(key, said)
    for _ in range(10):
        await platform.turn(30)
    assert platform.said(key)["Ready"] == said
    assert platform.backend(key) is None


async def test_a_record_that_still_points_here_is_no_claim(platform: Estate) -> None:
    """Dangling: the owner deletes the Domain and forgets its CNAME and its TXT record."""
    await _gone(platform, await _own(platform))
    theirs = platform.apply("thief", "shop", "shop.example.com")
    await _gets_nothing(platform, theirs, "False/HostnameQuarantined")
    await platform.turn(QUARANTINE_DAYS * DAY_S)
    await _gets_nothing(platform, theirs, "False/ProofMissing")  # the text that is left is the owner's
    assert platform.provider.served == {}


async def test_a_released_name_is_the_former_owners_alone_for_a_while(platform: Estate) -> None:
    key = platform.apply("owner", "bot", "bot.agents.example")
    await platform.until(key, READY)
    await _gone(platform, key)
    await _gets_nothing(platform, platform.apply("thief", "bot", "bot.agents.example"), "False/HostnameQuarantined")
    again = platform.apply("owner", "bot-2", "bot.agents.example")
    await platform.until(again, READY)


async def test_after_the_quarantine_a_name_below_the_zone_is_anybodys(platform: Estate) -> None:
    key = platform.apply("owner", "bot", "bot.agents.example")
    await platform.until(key, READY)
    await _gone(platform, key)
    await platform.turn(QUARANTINE_DAYS * DAY_S + 1)
    await platform.until(platform.apply("thief", "bot", "bot.agents.example"), READY)


async def test_the_owners_text_proves_nothing_for_a_thief(platform: Estate) -> None:
    key = await _own(platform)
    theirs = platform.apply("thief", "shop", "shop.example.com")
    await _gets_nothing(platform, theirs, "False/HostnameTaken")
    assert platform.status(theirs)["challenge"]["value"] != platform.status(key)["challenge"]["value"]
    assert platform.said(key)["Ready"] == READY


async def test_who_asks_first_for_a_name_of_somebody_elses_loses_it_to_the_proof(platform: Estate) -> None:
    squatter = platform.apply("thief", "bank", "bank.example.com")
    await platform.until(squatter, "False/ProofMissing")
    owner = platform.apply("owner", "bank", "bank.example.com")
    await platform.until(owner, "False/HostnameTaken")
    platform.show(owner)
    for _ in range(20):
        await platform.turn(15)
    assert platform.said(owner)["Ready"] == READY
    await _gets_nothing(platform, squatter, "False/HostnameTaken")


@pytest.mark.parametrize(
    ("hostname", "said"),
    [
        ("*.example.com", "False/HostnameInvalid"),  # the shadow of a wildcard
        ("*.agents.example", "False/HostnameInvalid"),
        ("shop.example.com:443", "False/HostnameInvalid"),  # what a Host header may say as well
        ("shop.example.com.", "False/HostnameTaken"),
        ("SHOP.example.com", "False/HostnameTaken"),
        ("ｓｈｏｐ.example.com", "False/HostnameTaken"),
        ("ѕһор.example.com", "False/HostnameMixedScripts"),  # the twin, in Cyrillic
        ("entry.agents.example", "False/HostnameReserved"),
        ("203.0.113.7", "False/HostnameInvalid"),
    ],
)
async def test_another_spelling_is_the_same_name_or_none(platform: Estate, hostname: str, said: str) -> None:
    """The schema refuses most of these; the operator does not rely on it."""
    key = await _own(platform)
    await _gets_nothing(platform, platform.apply("thief", "shop", hostname), said)
    assert platform.said(key)["Ready"] == READY


async def test_a_proof_that_is_withdrawn_ends_the_name_after_days(platform: Estate) -> None:
    key = await _own(platform)
    platform.texts.shown.clear()
    for _ in range(20):
        await platform.turn(DAY_S / 4)
    await platform.until(key, "False/ProofMissing")
    assert platform.backend(key) is None
    assert platform.provider.served == {}


async def test_resolvers_that_are_silent_end_nothing(platform: Estate) -> None:
    key = await _own(platform)
    platform.texts.silent = True
    for _ in range(20):
        await platform.turn(DAY_S / 4)
        assert len(platform.provider.served) == 1
        assert platform.backend(key) == "agent-helper"
    await platform.until(key, READY)


async def test_a_record_that_somebody_made_before_is_not_taken_over(platform: Estate) -> None:
    foreign = platform.provider.put(DnsRecord(name="bot.agents.example", type=DnsType.A, content="192.0.2.9"))
    await _gets_nothing_but_a_page(platform, platform.apply("thief", "bot", "bot.agents.example"))
    assert platform.provider.named("bot.agents.example") == [foreign]


async def _gets_nothing_but_a_page(platform: Estate, key: Key) -> None:
    await platform.until(key, "False/RecordConflict")
    for _ in range(5):
        await platform.turn(30)
    assert platform.said(key)["Ready"] == "False/RecordConflict"
