"""With its own account the operator sees all it watches, and writes in core namespaces once it has bound itself."""

import asyncio

import pytest

from moorage.kube import routes
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.kube.failures import Forbidden
from moorage.kube.observe import World
from moorage.kube.tls_secrets import TlsSecrets
from moorage.model.offer import DomainOffer
from tests.contract.guard import scene
from tests.contract.guard.cluster import OPERATOR, Guarded, Manifest, path_of, tenant

pytestmark = pytest.mark.cluster

LIMIT_SECONDS = 120.0
TRIES_MAX = 200
CORE = "mn-fresh"
OFFER = DomainOffer(zone="agents.example", target="203.0.113.80")


async def _applied(applier: Applier, manifest: Manifest) -> int:
    """Apply it, as often as it takes until the right that was just granted is known; returns how often it was not."""
    for tried in range(TRIES_MAX):
        try:
            assert await applier.apply(manifest)
        except Forbidden:
            continue
        return tried
    raise AssertionError(f"the right to write {path_of(manifest)} never came")


def test_a_tenant_and_an_agent_come_up_with_the_operators_own_rights(guarded: Guarded) -> None:
    core, work, *rest = tenant(CORE)
    assert (core["kind"], work["kind"]) == ("Namespace", "RoleBinding")
    secret, route = scene.led()
    agents = [*scene.children(), route]
    for manifest in (*agents, secret):
        manifest["metadata"]["namespace"] = CORE

    async def play() -> None:
        async with asyncio.timeout(LIMIT_SECONDS), Client.connect(guarded.credentials(OPERATOR)) as client:
            world = World(client, lambda *_: None, more=routes.watched(OFFER))
            running = asyncio.create_task(world.run())
            await world.listed()
            applier = Applier(client, world)
            assert await applier.apply(core)
            for manifest in (*rest, *agents):
                with pytest.raises(Forbidden):
                    await applier.apply(manifest)
            for manifest in (work, *rest, *agents):
                await _applied(applier, manifest)
            for manifest in (core, work, *rest, *agents):
                assert not await applier.apply(manifest), f"{manifest['kind']} is written once"
            secrets = TlsSecrets(client)
            await secrets.write(secret, fingerprint="any")
            assert await secrets.remove(CORE, secret["metadata"]["name"])
            assert not await secrets.remove(CORE, secret["metadata"]["name"])
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(play())


def test_a_core_namespace_of_before_heals_itself(guarded: Guarded) -> None:
    """An upgrade from a release that had no such binding: everything is there but the right to change it."""
    core, work, *rest = tenant("mn-before")
    for manifest in (core, *rest):
        guarded.make(manifest, OPERATOR.within("moorage:break-glass", "system:masters"))
    assert guarded.ask(OPERATOR, "DELETE", "/api/v1/namespaces/mn-before/pods/x")[0] == 403

    async def play() -> None:
        async with asyncio.timeout(LIMIT_SECONDS), Client.connect(guarded.credentials(OPERATOR)) as client:
            world = World(client, lambda *_: None, more=routes.watched(OFFER))
            running = asyncio.create_task(world.run())
            await world.listed()
            applier = Applier(client, world)
            written = [manifest["kind"] for manifest in (core, work, *rest) if await applier.apply(manifest)]
            assert written == ["RoleBinding"]
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(play())
    guarded.until(
        lambda: guarded.ask(OPERATOR, "DELETE", "/api/v1/namespaces/mn-before/pods/x")[0] == 404, "the right is known"
    )
