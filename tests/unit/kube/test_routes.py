"""Routes of host names: how the one that is there stands to the one that is wanted, and where the waiting page is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from moorage.desired import domain as desired_domain
from moorage.kube import kinds, routes
from moorage.kube.kinds import Kind
from moorage.kube.observe import World
from moorage.model.domain import AgentRef, Domain, DomainSpec
from moorage.model.domain_seen import NOT_SEEN, Sight, Thing
from moorage.model.metadata import Metadata
from moorage.model.names import Key
from moorage.model.offer import DomainOffer, RouteKind
from moorage.model.reasons import Reason
from tests.fakes.apiserver import ApiServer
from tests.simulation import virtual_time

INGRESS = DomainOffer(zone="agents.example", target="203.0.113.80")
HTTP_ROUTE = DomainOffer(
    zone="agents.example", target="203.0.113.80", route_kind=RouteKind.HTTP_ROUTE, gateway=("edge", "public")
)
SHOP = Domain(
    metadata=Metadata(name="shop", namespace="mn-acme", uid="domain-1"),
    spec=DomainSpec(hostname="shop.agents.example", agent_ref=AgentRef(name="helper")),
)


def wanted(offer: DomainOffer = INGRESS, *, away: bool = False) -> dict[str, Any]:
    """The route of the shop."""
    (made,) = desired_domain.route(SHOP, SHOP.spec.hostname, agent_port=8080, away=away, offer=offer)
    return made


def changed(manifest: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """The same with other metadata."""
    return {**manifest, "metadata": manifest["metadata"] | metadata}


def owner(uid: str, name: str = "shop") -> dict[str, Any]:
    """A controlling Domain."""
    kind = {"apiVersion": "moorage.dev/v1alpha1", "kind": "Domain"}
    return {"ownerReferences": [{**kind, "name": name, "uid": uid, "controller": True}]}


@dataclass
class Stage:
    """Everything a scene needs."""

    server: ApiServer
    world: World
    rings: list[tuple[Key, bool]]

    async def after(self, kind: Kind, manifest: dict[str, Any]) -> list[tuple[Key, bool]]:
        """Put an object; what rang until its news have arrived."""
        self.rings.clear()
        self.server.put(kind, manifest)
        await virtual_time.passed(2.0)
        return list(self.rings)


def staged(offer: DomainOffer, scene: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a scene on a server whose watches are open."""

    async def play() -> None:
        server, rings = ApiServer(), list[tuple[Key, bool]]()
        async with server.serving() as client:
            clock = asyncio.get_running_loop().time
            world = World(client, lambda *ring: rings.append(ring), more=routes.watched(offer), clock=clock)
            running = asyncio.create_task(world.run())
            await world.listed()
            await virtual_time.passed(5.0)
            await scene(Stage(server, world, rings))
            running.cancel()

    virtual_time.run(play())


def test_a_route_is_unknown_until_all_are_listed() -> None:
    async def scene() -> None:
        world = World(ApiServer(), lambda *_: None, more=routes.watched(INGRESS))  # type: ignore[arg-type]  # never asked
        assert world.route_seen(SHOP.metadata, wanted()) == NOT_SEEN

    virtual_time.run(scene())


@pytest.mark.parametrize(("offer", "kind"), [(INGRESS, kinds.INGRESS), (HTTP_ROUTE, kinds.HTTP_ROUTE)])
def test_a_route_is_seen_as_what_it_is(offer: DomainOffer, kind: Kind) -> None:
    async def scene(stage: Stage) -> None:
        def sight(wish: dict[str, Any] | None) -> Sight:
            return stage.world.route_seen(SHOP.metadata, wish).sight

        assert sight(wanted(offer)) is Sight.ABSENT
        assert await stage.after(kind, wanted(offer)) == [(Key("Domain", "mn-acme", "shop"), False)]
        assert sight(wanted(offer)) is Sight.THERE
        assert sight(wanted(offer, away=True)) is Sight.DIFFERENT
        assert sight(None) is Sight.DIFFERENT, "it is there, and should not be"
        await stage.after(kind, changed(wanted(offer), **owner("domain-0")))
        assert sight(wanted(offer)) is Sight.UNDER_WAY, "a former Domain of this name takes it along"
        await stage.after(kind, changed(wanted(offer), **owner("domain-2", "other")))
        foreign = Thing(sight=Sight.FOREIGN, problem=Reason.NAME_TAKEN)
        assert stage.world.route_seen(SHOP.metadata, wanted(offer)) == foreign

    staged(offer, scene)


def test_a_route_that_somebody_bends_rings_its_domain() -> None:
    async def scene(stage: Stage) -> None:
        await stage.after(kinds.INGRESS, wanted())
        bent = wanted()
        bent["spec"]["rules"][0]["host"] = "bank.example"
        assert await stage.after(kinds.INGRESS, bent) == [(Key("Domain", "mn-acme", "shop"), False)]
        assert stage.world.route_seen(SHOP.metadata, wanted()).sight is Sight.DIFFERENT

    staged(INGRESS, scene)


def test_a_new_address_of_the_waiting_page_rings_all_tenants() -> None:
    def service(address: str) -> dict[str, Any]:
        labels = {"moorage.dev/managed": "true"}
        metadata = {"name": "moorage-waiting", "namespace": "moorage-system", "labels": labels}
        return {"metadata": metadata, "spec": {"clusterIP": address}}

    async def scene(stage: Stage) -> None:
        for core in ("mn-acme", "mn-other"):
            labels = {"moorage.dev/managed": "true"}
            await stage.after(kinds.CORE_NAMESPACE, {"metadata": {"name": core, "labels": labels}})
        assert stage.world.waiting_address("moorage-system") is None
        tenants = {(Key("Namespace", "", name), False) for name in ("acme", "other")}
        for address in ("10.123.0.80", "10.123.0.81"):
            assert set(await stage.after(kinds.SERVICE, service(address))) == tenants
            assert stage.world.waiting_address("moorage-system") == address

    staged(INGRESS, scene)


def test_an_installation_without_host_names_watches_nothing_for_them() -> None:
    assert routes.watched(None) == ()
    assert routes.watched(INGRESS) == (kinds.INGRESS, kinds.ENDPOINT_SLICE)
    assert routes.watched(HTTP_ROUTE) == (kinds.HTTP_ROUTE, kinds.ENDPOINT_SLICE)
