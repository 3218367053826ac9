"""A tenant's manifests on a real API server: all of them are accepted, and look the same afterwards."""

import asyncio
import uuid

import pytest

from moorage.desired import namespace
from moorage.kube import kinds, login
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.kube.observe import World
from moorage.model import namespace as tenants
from moorage.model.network import Pods
from moorage.model.offer import NetworkOffer
from tests import factories

pytestmark = pytest.mark.cluster

LIMIT_SECONDS = 120.0
OWN_RANGES = ("203.1.0.0/16", "10.78.0.0/16", "10.123.0.0/16", "2a01:4f8:1:2::/64", "fd00:78::/56")
INGRESS = Pods(namespace="ingress", labels={"app": "proxy"})
OFFER = factories.platform(network=NetworkOffer(denied=OWN_RANGES, ingress=INGRESS))


@pytest.mark.parametrize("egress", ["PublicHttps", "GatewayOnly", "None"])
def test_what_isolates_a_tenant_is_written_once_and_then_left_alone(bare_kubeconfig: str, egress: str) -> None:
    name = f"policies-{uuid.uuid4().hex[:8]}"
    spec = {"walletRef": {"name": "acme"}, "egress": egress}
    metadata = {"name": name, "uid": str(uuid.uuid4()), "generation": 1}
    manifests = namespace.children(tenants.from_manifest({"metadata": metadata, "spec": spec}), OFFER)

    async def scene(client: Client) -> None:
        world = World(client, lambda _key, _urgent: None)
        running = asyncio.create_task(world.run())
        try:
            await world.listed()
            assert [await Applier(client, world).apply(manifest) for manifest in manifests] == [True] * len(manifests)
            # One that remembers nothing of its own writes sees what the server made of them.
            assert [await Applier(client, world).apply(manifest) for manifest in manifests] == [False] * len(manifests)
        finally:
            running.cancel()
            await asyncio.wait([running])
            live = world.live(manifests[0])
            assert live is not None
            await client.delete(kinds.path_of(manifests[0]), uid=live["metadata"]["uid"])

    async def play() -> None:
        async with asyncio.timeout(LIMIT_SECONDS), Client.connect(login.from_kubeconfig(bare_kubeconfig)) as client:
            await scene(client)

    asyncio.run(play())
