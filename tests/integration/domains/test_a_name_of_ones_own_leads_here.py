"""A name of a tenant's own that the provider does not serve is Ready when it leads here, and set up before it does."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from moorage.model.domain import Issuer
from moorage.model.names import Key
from moorage.services import pointers
from tests.integration.domains import estate
from tests.integration.domains.estate import OFFER, Estate
from tests.integration.money.world import new_world

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

READY, NOT_POINTED = "True/DomainReady", "False/HostnameNotPointed"
OWN = "bot.example.com"
HOUR = 3600


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Estate]:
    """An operator that leads and offers both issuers, with one tenant whose agent runs."""
    offer = replace(OFFER, issuers=(Issuer.CLOUDFLARE, Issuer.ACME))
    async with new_world(database_url) as world, estate.opened(world, offer) as found:
        await found.agent("acme")
        yield found


async def proven(platform: Estate, *, until: str = NOT_POINTED) -> Key:
    """A Domain that holds its name; unless told otherwise it waits for it to lead here."""
    key = platform.apply("acme", "bot", OWN, certificate="Acme")
    await platform.until(key, "False/ProofMissing")
    platform.show(key)
    await platform.until(key, until)
    return key


async def test_a_name_that_does_not_lead_here_yet_is_set_up_so_that_it_can_move_without_a_gap(platform: Estate) -> None:
    key = await proven(platform)
    said = platform.said(key)
    assert (said["RecordReady"], said["CertificateReady"]) == (NOT_POINTED, "True/CertificateIssued")
    assert platform.backend(key) == "agent-helper"
    assert "url" not in platform.status(key)
    looks = platform.texts.asked_where
    platform.texts.pointed[OWN] = platform.status(key)["target"]
    await platform.until(key, READY)
    assert platform.texts.asked_where == looks + 1
    assert platform.status(key)["url"] == f"https://{OWN}"


async def test_a_name_that_leads_here_already_is_ready_after_the_first_look(platform: Estate) -> None:
    platform.texts.pointed[OWN] = platform.offer.direct
    await proven(platform, until=READY)
    assert platform.texts.asked_where == 1


async def test_what_serves_names_for_the_provider_is_not_where_others_have_to_lead(platform: Estate) -> None:
    platform.texts.pointed[OWN] = platform.offer.entry
    key = await proven(platform)
    assert platform.status(key)["target"] == platform.offer.direct


async def test_a_name_that_leads_elsewhere_is_told_within_the_hour_and_goes_on_being_served(platform: Estate) -> None:
    platform.texts.pointed[OWN] = platform.offer.direct
    key = await proven(platform, until=READY)
    platform.texts.silent = True
    for _ in range(3):  # nobody says that it is gone
        await platform.turn(HOUR)
        await platform.turn()
    assert platform.said(key)["Ready"] == READY
    platform.texts.silent = False
    del platform.texts.pointed[OWN]
    await platform.turn(HOUR)
    await platform.until(key, NOT_POINTED)
    assert platform.backend(key) == "agent-helper"


async def test_where_a_name_leads_is_unknown_until_somebody_says_it(platform: Estate) -> None:
    platform.texts.pointed[OWN] = platform.offer.direct
    key = await proven(platform, until=READY)
    platform.texts.silent = True
    await platform.start()  # another leads, who has not seen it
    await platform.turn()
    assert platform.said(key)["RecordReady"].startswith("Unknown/")
    platform.texts.silent = False
    await platform.turn(pointers.FIRST_SECONDS)
    await platform.until(key, READY)


async def test_who_forgot_the_record_is_asked_for_it_less_and_less_often(platform: Estate) -> None:
    key = await proven(platform)
    begun = platform.texts.asked_where
    for _ in range(2 * HOUR // 10):
        await platform.turn(10)
    assert platform.texts.asked_where - begun <= 2 * HOUR / pointers.MAX_SECONDS + 7
    assert platform.said(key)["Ready"] == NOT_POINTED
