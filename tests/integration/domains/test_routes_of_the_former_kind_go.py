"""A changed kind of route leaves none of the former kind behind, and no name without a route."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from moorage.kube import kinds
from moorage.kube.kinds import Kind
from moorage.model.errors import MoorageError, Unavailable
from moorage.model.names import Key
from moorage.model.offer import DomainOffer, RouteKind
from tests.fakes.apiserver import Answer
from tests.integration.domains import estate
from tests.integration.domains.estate import Estate
from tests.integration.money.world import new_world

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

READY = "True/DomainReady"
NAME = "bot.agents.example"
GATEWAY = replace(estate.OFFER, route_kind=RouteKind.HTTP_ROUTE, gateway=("infra", "web"))
LATER, SOON = 600, 30


@pytest.fixture
def offer() -> DomainOffer:
    """Ingresses, unless a test says otherwise."""
    return estate.OFFER


@pytest.fixture
async def platform(database_url: str, offer: DomainOffer) -> AsyncIterator[Estate]:
    """An operator that leads, with one tenant whose agent runs."""
    async with new_world(database_url) as world, estate.opened(world, offer) as found:
        await found.agent("acme")
        yield found


def _make(platform: Estate, key: Key, made: Kind = kinds.HTTP_ROUTE, **owner: Any) -> tuple[str, str, str]:
    """A route as the platform made it before its setting was changed; returns its place."""
    uid = platform.server.objects[kinds.DOMAIN.plural, key.namespace, key.name]["metadata"]["uid"]
    owners = [{"apiVersion": "moorage.dev/v1alpha1", "kind": "Domain", "name": key.name, "uid": uid} | owner]
    labels = {"moorage.dev/managed": "true", "moorage.dev/component": "route"}
    metadata = {"name": f"domain-{key.name}", "namespace": key.namespace, "labels": labels, "ownerReferences": owners}
    platform.server.put(made, {"metadata": metadata, "spec": {}})
    return made.plural, key.namespace, metadata["name"]


@pytest.mark.parametrize(
    ("offer", "former"), [(estate.OFFER, kinds.HTTP_ROUTE), (GATEWAY, kinds.INGRESS)], ids=["Ingress", "HTTPRoute"]
)
async def test_it_stays_until_its_domain_is_led_by_one_of_the_present_kind(platform: Estate, former: Kind) -> None:
    sweep = platform.naming.steps["sweep_routes"]
    platform.authority.trouble = Unavailable("away")
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, "False/ProviderUnreachable")
    place = _make(platform, key, former, controller=True)
    assert await sweep() == SOON
    assert place in platform.server.objects
    platform.authority.trouble = None
    for _ in range(3):
        await platform.turn(60)
    await platform.until(key, READY)
    assert await sweep() == LATER
    assert place not in platform.server.objects
    assert platform.said(key)["Ready"] == READY


async def test_it_goes_where_its_domain_is_no_longer_active(platform: Estate) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    platform.provider.trouble = Unavailable("away")
    platform.delete(key)
    for _ in range(3):
        await platform.turn(3)
    assert platform.backend(key) is None
    place = _make(platform, key, controller=True)
    assert await platform.naming.steps["sweep_routes"]() == LATER
    assert place not in platform.server.objects


@pytest.mark.parametrize(
    "owner",
    [{"controller": False}, {"controller": True, "kind": "Gateway"},
     {"controller": True, "uid": "5ad0a5f1-5d8c-4b6f-9a6e-6a9c2f1f7c11"}],
    ids=["not controlled", "another kind", "nobody we know"],
)  # fmt: skip
async def test_what_is_not_a_domains_of_ours_stays(platform: Estate, owner: dict[str, Any]) -> None:
    key = platform.apply("acme", "bot", NAME)
    await platform.until(key, READY)
    place = _make(platform, key, **owner)
    assert await platform.naming.steps["sweep_routes"]() == LATER
    assert place in platform.server.objects


async def test_a_cluster_without_the_other_kind_has_none_and_a_list_that_fails_says_nothing(platform: Estate) -> None:
    sweep = platform.naming.steps["sweep_routes"]
    platform.server.script("list", kinds.HTTP_ROUTE.plural, Answer(404), Answer(500))
    assert await sweep() == LATER
    with pytest.raises(MoorageError):
        await sweep()
