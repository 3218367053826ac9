"""What frozen copies take for granted, asked of a real API server; the driver's controller is played by hand."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from moorage.desired import frozen
from moorage.kube import kinds, login, volume_snapshots
from moorage.kube.client import Client
from moorage.model import names
from moorage.model.errors import Unavailable
from tests import factories

pytestmark = pytest.mark.cluster

KINDS = yaml.safe_load((Path(__file__).parent / "volume_snapshots.yaml").read_text())["items"]
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
LIMIT_SECONDS = 120.0
NAMESPACE = "mn-acme"  # the agents' of the factories
ATTEMPT = factories.ATTEMPT_ID
NAME = names.frozen_copy(ATTEMPT)


@pytest.fixture
def played(bare_kubeconfig: str) -> Callable[[Callable[[Client], Awaitable[None]]], None]:
    """Plays a scene on a real server, in a namespace of a tenant."""

    async def play(scene: Callable[[Client], Awaitable[None]]) -> None:
        async with asyncio.timeout(LIMIT_SECONDS), Client.connect(login.from_kubeconfig(bare_kubeconfig)) as client:
            core = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            await client.apply(kinds.path_of(core), core)
            await scene(client)

    return lambda scene: asyncio.run(play(scene))


async def _install(client: Client) -> None:
    for kind in KINDS:
        await client.apply(CRD_PATH + kind["metadata"]["name"], kind)
    for kind in (kinds.VOLUME_SNAPSHOT, kinds.VOLUME_SNAPSHOT_CLASS, kinds.VOLUME_SNAPSHOT_CONTENT):
        while not await _served(client, kind):
            pass
    for name, driver in (("fast", "csi.example.com"), ("slow", "other.example.com")):
        storage = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
        await client.apply(kinds.object_path(kinds.STORAGE_CLASS, "", name), storage | {"provisioner": driver})
    for name, labels in (("frozen", {names.LABEL_SNAPSHOT_CLASS: "true"}), ("unlabelled", {})):
        chosen = _manifest(kinds.VOLUME_SNAPSHOT_CLASS, name, labels=labels)
        chosen |= {"driver": "csi.example.com" if labels else "other.example.com", "deletionPolicy": "Retain"}
        await client.apply(kinds.path_of(chosen), chosen)


async def _served(client: Client, kind: kinds.Kind) -> bool:
    """A kind that was just made is first not there, then not ready."""
    try:
        return await client.read(kinds.collection_path(kind)) is not None
    except Unavailable:
        return False


def _manifest(kind: kinds.Kind, name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name, **metadata}}


def test_a_cluster_without_the_api_freezes_nothing_and_one_with_it_what_is_labelled(played: Any) -> None:
    async def scene(client: Client) -> None:
        if await client.read(CRD_PATH + KINDS[0]["metadata"]["name"]) is None:
            assert await volume_snapshots.classes(client) == {}
        await _install(client)
        assert await volume_snapshots.classes(client) == {"fast": "frozen"}

    played(scene)


def test_a_copy_is_made_read_and_removed_with_its_content(played: Any) -> None:
    async def scene(client: Client) -> None:
        await _install(client)
        agent = factories.agent(storage={"size": "1Gi"})
        wanted = frozen.volume_snapshot(agent, attempt_id=ATTEMPT, volume_name="data-helper-1", snapshot_class="frozen")
        claim = frozen.claim(agent, attempt_id=ATTEMPT, storage_class="fast", size="2Gi")
        for _ in range(2):  # the second finds what the first has made
            await volume_snapshots.make(client, kinds.VOLUME_SNAPSHOT, wanted)
            await volume_snapshots.make(client, kinds.PERSISTENT_VOLUME_CLAIM, claim)
        made = await volume_snapshots.find(client, NAMESPACE, NAME)
        assert made is not None
        assert not made.ready

        content = _manifest(kinds.VOLUME_SNAPSHOT_CONTENT, made.content)
        content["spec"] = {"deletionPolicy": "Retain", "volumeSnapshotRef": {"uid": made.metadata.uid}}
        await client.apply(kinds.path_of(content), content)
        status = {"readyToUse": True, "restoreSize": "2Gi", "boundVolumeSnapshotContentName": made.content}
        shown = _manifest(kinds.VOLUME_SNAPSHOT, NAME, namespace=NAMESPACE) | {"status": status}
        await client.apply_status(kinds.path_of(shown), shown)
        ready = await volume_snapshots.find(client, NAMESPACE, NAME)
        assert ready is not None
        assert (ready.ready, ready.size) == (True, "2Gi")

        while not await volume_snapshots.remove(client, NAMESPACE, NAME):
            pass
        left = await client.get(kinds.path_of(content), dict)
        assert left is not None
        assert left["spec"]["deletionPolicy"] == "Delete"  # so that its controller removes the driver's copy
        await _remove_protected(client)

    played(scene)


async def _remove_protected(client: Client) -> None:
    """The API server protects every claim, and here nobody lifts that but us."""
    assert not await volume_snapshots.remove_claim(client, NAMESPACE, NAME)
    path = kinds.object_path(kinds.PERSISTENT_VOLUME_CLAIM, NAMESPACE, NAME)
    assert await client.json_patch(path, [{"op": "remove", "path": "/metadata/finalizers"}])
    assert await volume_snapshots.remove_claim(client, NAMESPACE, NAME)


def test_the_content_of_somebody_elses_snapshot_is_left_alone(played: Any) -> None:
    async def scene(client: Client) -> None:
        await _install(client)
        agent = factories.agent(storage={"size": "1Gi"})
        wanted = frozen.volume_snapshot(agent, attempt_id=ATTEMPT, volume_name="data-helper-1", snapshot_class="frozen")
        await volume_snapshots.make(client, kinds.VOLUME_SNAPSHOT, wanted)
        content = _manifest(kinds.VOLUME_SNAPSHOT_CONTENT, "foreign")
        content["spec"] = {"deletionPolicy": "Retain", "volumeSnapshotRef": {"uid": str(uuid.uuid4())}}
        await client.apply(kinds.path_of(content), content)
        status = {"readyToUse": True, "boundVolumeSnapshotContentName": "foreign"}
        shown = _manifest(kinds.VOLUME_SNAPSHOT, NAME, namespace=NAMESPACE) | {"status": status}
        await client.apply_status(kinds.path_of(shown), shown)
        while not await volume_snapshots.remove(client, NAMESPACE, NAME):
            pass
        left = await client.get(kinds.path_of(content), dict)
        assert left is not None
        assert left["spec"]["deletionPolicy"] == "Retain"

    played(scene)
