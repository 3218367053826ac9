"""While nobody opens keys, visitors still get the agent or the page, and a name without a certificate gets no route."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from moorage.kube import kinds
from moorage.kube.tls_secrets import AGAIN_SECONDS
from moorage.model.sealing import KeysRefused, KeysUnavailable
from tests.integration.domains import estate
from tests.integration.domains.estate import Estate
from tests.integration.money.world import START_S, new_world

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

READY = "True/DomainReady"
NAME = "bot.agents.example"
Happening = Callable[[Estate], Awaitable[None]]


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Estate]:
    """An operator that leads, with one tenant whose agent runs."""
    async with new_world(database_url) as world, estate.opened(world) as found:
        await found.agent("acme")
        yield found


async def _same_leader(_platform: Estate) -> None:
    pass


async def _an_hour_later(platform: Estate) -> None:
    await platform.turn(AGAIN_SECONDS)


async def _new_leader(platform: Estate) -> None:
    await platform.start()


@pytest.mark.parametrize("after", [_same_leader, _an_hour_later, _new_leader])
async def test_visitors_of_a_suspended_agent_get_the_page_and_the_status_moves(
    platform: Estate, after: Happening
) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    platform.root_key.failure = KeysUnavailable("away")
    await after(platform)
    await platform.suspend("acme")
    await platform.until(key, "False/AgentAway")
    assert platform.backend(key) == "moorage-waiting"
    await platform.suspend("acme", state="Running")
    await platform.until(key, READY)
    assert platform.backend(key) == "agent-helper"


async def test_a_secret_that_may_be_wrong_is_written_once_the_keys_are_back(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    platform.root_key.failure = KeysRefused("denied")
    await platform.turn(AGAIN_SECONDS)
    written = len(_secrets_written(platform))
    wait_seconds = await platform.naming.reconciles["Domain"](key)
    assert wait_seconds is not None
    assert 0 < wait_seconds <= 60, "nobody rings when the keys are back"
    assert len(_secrets_written(platform)) == written
    platform.root_key.failure = None
    await platform.turn()
    assert len(_secrets_written(platform)) == written + 1


async def test_a_name_whose_certificate_was_never_put_beside_it_gets_no_route(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    while not platform.authority.asked:
        await platform.turn()
        assert platform.now_s < START_S + 60
    platform.root_key.failure = KeysUnavailable("away")
    await platform.until(key, "False/RoutePending")
    assert platform.backend(key) is None
    assert platform.said(key)["CertificateReady"] == "True/CertificateIssued"
    platform.root_key.failure = None
    await platform.until(key, READY)
    assert len(_secrets_written(platform)) == 1


async def test_no_key_is_opened_where_the_secret_is_right(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    opened, written = platform.root_key.asked, len(_secrets_written(platform))
    for state in ("Suspended", "Running"):
        await platform.suspend("acme", state=state)
        for _ in range(3):
            await platform.turn()
    assert (platform.root_key.asked, len(_secrets_written(platform))) == (opened, written)
    await platform.turn(AGAIN_SECONDS)
    assert (platform.root_key.asked, len(_secrets_written(platform))) == (opened + 1, written + 1)


def _secrets_written(platform: Estate) -> list[str]:
    return [path for verb, path in platform.server.requests if verb == "apply" and f"/{kinds.SECRET.plural}/" in path]
