"""The custom resource definitions and objects, asked of the API server directly."""

import asyncio

import msgspec

from moorage.kube.client import Client
from moorage.model.errors import Unavailable
from moorage.model.names import GROUP, VERSION

PLURALS = ("wallets", "tenantnamespaces", "agents", "domains")
WAIT_SECONDS = 60


class _Resource(msgspec.Struct, frozen=True):
    name: str


class _Resources(msgspec.Struct, frozen=True):
    resources: list[_Resource] = []


class _Metadata(msgspec.Struct, frozen=True):
    uid: str


class _Object(msgspec.Struct, frozen=True):
    metadata: _Metadata


async def wait_established(client: Client) -> None:
    """Wait until all four kinds are served: kopf would silently never watch one that is missing at its start."""
    for _ in range(WAIT_SECONDS):
        found = await client.get(f"/apis/{GROUP}/{VERSION}", _Resources)
        served = {resource.name for resource in found.resources} if found else set()
        if served.issuperset(PLURALS):
            return
        await asyncio.sleep(1.0)
    raise Unavailable("the custom resource definitions of moorage.dev are not installed; apply the folder crds/")


async def agent_exists(client: Client, uid: str, namespace: str, name: str) -> bool:
    """Whether this very Agent exists, as a live read says."""
    found = await client.get(f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/agents/{name}", _Object)
    return found is not None and found.metadata.uid == uid
