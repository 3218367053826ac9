"""What our client, reflector and applier take for granted, asked of a real API server."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from moorage.kube import kinds, login
from moorage.kube.apply import Applier, Finalized
from moorage.kube.client import Client
from moorage.kube.failures import Conflict, Missing, Refused
from moorage.kube.objects import Live
from moorage.kube.observe import World
from moorage.kube.reflector import ObjectKey, Reflector, View
from moorage.model.agent import Agent
from moorage.model.errors import Permanent, Unavailable
from moorage.model.metadata import Metadata
from moorage.model.names import FINALIZER, Key
from moorage.model.reasons import Reason

pytestmark = pytest.mark.cluster

CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
OWNER = {"apiVersion": "moorage.dev/v1alpha1", "kind": "Agent", "name": "a", "controller": True}
LIMIT_SECONDS = 120.0


@dataclass
class Stage:
    """A client, a world whose watches are open, and a core namespace of the test's own."""

    client: Client
    namespace: str
    rings: "asyncio.Queue[tuple[Key, bool]]" = field(default_factory=asyncio.Queue)
    calls: Counter[str] = field(default_factory=Counter)

    def child(self, kind: kinds.Kind, name: str, *, owned: bool = True, **parts: Any) -> dict[str, Any]:
        """A manifest of an agent's child."""
        metadata: dict[str, Any] = {"name": name, "labels": {"moorage.dev/managed": "true"}}
        if kind.namespaced:
            metadata["namespace"] = self.namespace
        if owned:
            metadata["ownerReferences"] = [{**OWNER, "uid": str(uuid.uuid5(uuid.NAMESPACE_OID, self.namespace))}]
        return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **parts}

    def path(self, kind: kinds.Kind, name: str) -> str:
        """The path of an object in the namespace."""
        return kinds.object_path(kind, self.namespace, name)

    def count(self, verb: str, _resource: str, code: int, _seconds: float) -> None:
        """Count a call."""
        self.calls[f"{verb} {code}"] += 1


@pytest.fixture
def played(bare_kubeconfig: str) -> Callable[[Callable[[Stage], Awaitable[None]]], None]:
    """Plays a scene on the real server."""

    async def play(scene: Callable[[Stage], Awaitable[None]]) -> None:
        name = f"mn-contract-{uuid.uuid4().hex[:8]}"
        calls: Counter[str] = Counter()
        async with asyncio.timeout(LIMIT_SECONDS), Client.connect(login.from_kubeconfig(bare_kubeconfig)) as client:
            stage = Stage(client, name, calls=calls)
            client._observed = stage.count
            core = stage.child(kinds.CORE_NAMESPACE, name, owned=False)
            await client.apply(kinds.path_of(core), core)
            try:
                await scene(stage)
            finally:
                live = await client.get(kinds.path_of(core), Live)
                assert live is not None
                await client.delete(kinds.path_of(core), uid=live.metadata.uid)

    return lambda scene: asyncio.run(play(scene))


@asynccontextmanager
async def watching(stage: Stage) -> AsyncIterator[tuple[World, Applier]]:
    """A world that has listed, and its applier."""

    def ring(key: Key, urgent: bool) -> None:
        if key.namespace == stage.namespace:
            stage.rings.put_nowait((key, urgent))

    world = World(stage.client, ring)
    running = asyncio.create_task(world.run())
    try:
        await world.listed()
        yield world, Applier(stage.client, world)
    finally:
        running.cancel()
        await asyncio.wait([running])


def children(stage: Stage) -> list[dict[str, Any]]:
    """One of each kind the operator makes."""
    resources = {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "250m", "memory": "256Mi"}}
    ports = [{"name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP"}]
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}
    container = {"name": "agent", "image": "none", "resources": resources}
    job = {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    return [
        stage.child(kinds.CONFIG_MAP, "files", data={"a.txt": "1"}),
        stage.child(kinds.SERVICE, "service", spec={"selector": {"x": "y"}, "ports": ports}),
        stage.child(kinds.PERSISTENT_VOLUME_CLAIM, "data", spec=claim),
        stage.child(kinds.NETWORK_POLICY, "closed", spec=closed),
        stage.child(kinds.RESOURCE_QUOTA, "quota", spec={"hard": {"count/secrets": "1"}}),
        stage.child(kinds.SERVICE_ACCOUNT, "account", automountServiceAccountToken=False),
        stage.child(kinds.JOB, "mover-1", spec={**job, "suspend": True}),
        stage.child(
            kinds.POD, "pod", spec={"nodeName": "nowhere", "automountServiceAccountToken": False,
                                    "serviceAccountName": "account", "containers": [container]}
        ),
    ]  # fmt: skip


def test_every_kind_is_written_once_and_looks_the_same_afterwards(played: Any) -> None:
    async def scene(stage: Stage) -> None:
        async with watching(stage) as (world, applier):
            stage.calls.clear()
            for manifest in children(stage):
                assert await applier.apply(manifest), manifest["kind"]
                assert not await applier.apply(manifest), manifest["kind"]
            del stage.calls["WATCH 200"]
            assert stage.calls == {"APPLY 201": 6, "POST 201": 2}
            # A second world knows nothing of our writes; it sees what the server made of them.
            async with watching(stage) as (_, second):
                for manifest in children(stage):
                    assert not await second.apply(manifest), manifest["kind"]
            assert world.live(children(stage)[0]) is not None

    played(scene)


def test_apply_that_may_only_create_is_refused_when_the_name_is_in_use(played: Any) -> None:
    async def scene(stage: Stage) -> None:
        async with watching(stage) as (_, applier):
            foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "data": {"x": "y"}}
            await stage.client.create(kinds.collection_path(kinds.CONFIG_MAP, stage.namespace), foreign)
            with pytest.raises(Permanent) as caught:
                await applier.apply(children(stage)[0])
            assert caught.value.reason is Reason.NAME_TAKEN
            untouched = await stage.client.get(stage.path(kinds.CONFIG_MAP, "files"), Live)
            assert untouched is not None
            assert untouched.data == {"x": "y"}
            assert not untouched.metadata.owner_references

    played(scene)


def test_drift_rings_and_is_repaired(played: Any) -> None:
    async def scene(stage: Stage) -> None:
        async with watching(stage) as (world, applier):
            files = children(stage)[0]
            await applier.apply(files)
            path = stage.path(kinds.CONFIG_MAP, "files")
            await stage.client.apply(path, {**files, "data": {"a.txt": "by hand"}}, manager="somebody")
            assert await stage.rings.get() == (Key("Agent", stage.namespace, "a"), False)
            assert await applier.apply(files)
            live = world.live(files)
            assert live is not None
            assert live["data"] == {"a.txt": "1"}
            assert stage.rings.empty()

    played(scene)


def test_pod_is_seen_until_it_is_proven_gone(played: Any) -> None:
    async def scene(stage: Stage) -> None:
        async with watching(stage) as (world, applier):
            manifest = children(stage)[-1]
            await applier.apply(children(stage)[5])
            await applier.apply(manifest)
            uid = manifest["metadata"]["ownerReferences"][0]["uid"]
            seen = world.agent(stage.namespace, "a", uid).pods
            assert isinstance(seen, tuple)
            assert [pod.name for pod in seen] == ["pod"]
            assert seen[0].uid in await applier.uids(kinds.POD)
            path = stage.path(kinds.POD, "pod")
            assert not await stage.client.delete(path, uid=str(uuid.uuid4()))
            assert await stage.client.delete(path, uid=seen[0].uid, grace_period_seconds=0)
            while (await stage.rings.get()) != (Key("Agent", stage.namespace, "a"), True):
                pass
            assert world.agent(stage.namespace, "a", uid).pods == ()
            assert not await stage.client.delete(path, uid=seen[0].uid)
            assert seen[0].uid not in await applier.uids(kinds.POD)

    played(scene)


def test_object_that_went_is_not_brought_back_by_an_apply_that_names_its_uid(played: Any) -> None:
    async def scene(stage: Stage) -> None:
        files = children(stage)[0]
        path = kinds.path_of(files)
        former = {**files, "metadata": {**files["metadata"], "uid": str(uuid.uuid4())}}
        with pytest.raises(Conflict):
            await stage.client.apply(path, former)
        await stage.client.apply(path, files)
        with pytest.raises(Conflict):
            await stage.client.apply(path, former)

    played(scene)


def test_refusals_have_their_family(played: Any) -> None:
    async def scene(stage: Stage) -> None:
        elsewhere = stage.child(kinds.CONFIG_MAP, "files", data={})
        elsewhere["metadata"]["namespace"] = "mn-does-not-exist"
        with pytest.raises(Missing):
            await stage.client.apply(kinds.path_of(elsewhere), elsewhere)

        for wrong in ({"dataa": {}}, {"data": {"a": 1}}, {"data": {"not a key": "x"}}):
            manifest = stage.child(kinds.CONFIG_MAP, "files", **wrong)
            with pytest.raises(Refused) as caught:
                await stage.client.apply(kinds.path_of(manifest), manifest)
            assert caught.value.reason is Reason.SPEC_INVALID

        quota = stage.child(kinds.RESOURCE_QUOTA, "quota", spec={"hard": {"count/configmaps": "0"}})
        await stage.client.apply(kinds.path_of(quota), quota)
        await _until_quota_counts(stage)
        manifest = stage.child(kinds.CONFIG_MAP, "one-too-many", data={})
        with pytest.raises(Refused) as caught:
            await stage.client.apply(kinds.path_of(manifest), manifest)
        assert caught.value.reason is Reason.QUOTA_EXCEEDED

    played(scene)


async def _until_quota_counts(stage: Stage) -> None:
    """Give the quota its status where no controller does, as the admission waits for it."""
    path = stage.path(kinds.RESOURCE_QUOTA, "quota")
    hard = {"count/configmaps": "0"}
    body = stage.child(kinds.RESOURCE_QUOTA, "quota", owned=False, status={"hard": hard, "used": hard})
    await stage.client.apply_status(path, body)


@pytest.fixture(scope="module")
def kinds_served(bare_kubeconfig: str) -> None:
    """Our kinds, accepted and served."""

    async def serve() -> None:
        async with asyncio.timeout(LIMIT_SECONDS), Client.connect(login.from_kubeconfig(bare_kubeconfig)) as client:
            for file in CRDS:
                manifest = yaml.safe_load(file.read_text())
                await client.apply(CRD_PATH + manifest["metadata"]["name"], manifest)
            for kind in kinds.OURS.values():
                while not await _served(client, kind):
                    pass  # the server serves a kind a moment after it accepted its definition

    asyncio.run(serve())


async def _served(client: Client, kind: kinds.Kind) -> bool:
    try:
        return await client.read(kinds.collection_path(kind)) is not None
    except Unavailable:
        return False


@pytest.mark.usefixtures("kinds_served")
def test_status_and_finalizer_of_an_agent_are_written_once(played: Any) -> None:
    async def scene(stage: Stage) -> None:
        async with watching(stage) as (_, applier):
            path = stage.path(kinds.AGENT, "helper")
            manifest = {
                "apiVersion": kinds.AGENT.api_version,
                "kind": "Agent",
                "metadata": {"name": "helper", "namespace": stage.namespace},
                "spec": {"size": "small", "runtime": "chatbot"},
            }
            await stage.client.apply(path, manifest, manager="tenant")

            async def read() -> Agent:
                found = await stage.client.get(path, Agent)
                assert found is not None
                return found

            first = await read()
            assert await applier.set_finalizer(kinds.AGENT, first.metadata)
            assert not await applier.set_finalizer(kinds.AGENT, first.metadata)
            assert (await read()).metadata.finalizers == [FINALIZER]

            wanted = {"podName": "helper-1", "conditions": [_ready("False")]}
            assert await applier.apply_status(kinds.AGENT, first.metadata, wanted, seen=first.status)
            echo = await read()
            assert not await applier.apply_status(kinds.AGENT, echo.metadata, wanted, seen=echo.status)
            since = echo.status["conditions"][0]["lastTransitionTime"]
            wanted = {"conditions": [{**_ready("False"), "reason": "PodNotReady"}]}
            assert await applier.apply_status(kinds.AGENT, echo.metadata, wanted, seen=echo.status)
            last = await read()
            assert last.status["conditions"][0]["lastTransitionTime"] == since
            assert "podName" not in last.status

            with pytest.raises(Conflict):  # a status from before the object changed, or from an object before it
                await applier.apply_status(kinds.AGENT, _of_yesterday(first.metadata), wanted)
            assert await stage.client.delete(path, uid=last.metadata.uid)
            going = await stage.client.get(path, Finalized)
            assert going is not None
            assert await applier.clear_finalizer(kinds.AGENT, going.metadata)
            assert await stage.client.read(path) is None
            assert not await applier.apply_status(kinds.AGENT, going.metadata, wanted)
            with pytest.raises(Conflict):
                await applier.set_finalizer(kinds.AGENT, _of_yesterday(first.metadata))

    played(scene)


def _of_yesterday(metadata: Metadata) -> Metadata:
    """The metadata of a former object of the same name."""
    uid = str(uuid.uuid4())
    return Metadata(metadata.name, uid=uid, namespace=metadata.namespace, resource_version=metadata.resource_version)


def _ready(status: str) -> dict[str, Any]:
    return {"type": "Ready", "status": status, "reason": "PodStarting", "message": "…", "observedGeneration": 1}


class Cutting:
    """A source whose watches end after every event, and which can be made to forget where it was."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.list = client.list
        self.since: list[str] = []

    async def stream(
        self, path: str, query: Mapping[str, str], *, silence_seconds: float
    ) -> AsyncIterator[list[bytes]]:
        """One batch of a real watch."""
        self.since.append(query["resourceVersion"])
        async for lines in self._client.stream(path, query, silence_seconds=silence_seconds):
            yield lines
            return


def test_watch_resumes_by_version_without_missing_anything(played: Any) -> None:
    async def scene(stage: Stage) -> None:
        seen: asyncio.Queue[str] = asyncio.Queue()
        source = Cutting(stage.client)

        def changed(key: ObjectKey, old: Live | None, new: Live | None) -> None:
            seen.put_nowait(f"{'-' if new is None else '~' if old else '+'}{key.name}")

        view = View(kind=kinds.CONFIG_MAP, type=Live, namespace=stage.namespace,
                    label_selector="moorage.dev/managed=true")  # fmt: skip
        reflector = Reflector(source, view, changed, rng=Random(1))
        running = asyncio.create_task(reflector.run())
        await reflector.listed.wait()
        for number in range(5):
            manifest = stage.child(kinds.CONFIG_MAP, f"f{number}", data={})
            await stage.client.apply(kinds.path_of(manifest), manifest)
            await stage.client.apply(kinds.path_of(manifest), {**manifest, "data": {"a": "b"}})
        for number in range(5):
            live = reflector.store.get(ObjectKey(stage.namespace, f"f{number}"))
            path = stage.path(kinds.CONFIG_MAP, f"f{number}")
            uid = live.metadata.uid if live else (await stage.client.get(path, Live)).metadata.uid  # type: ignore[union-attr]  # it exists
            assert await stage.client.delete(path, uid=uid)
        events = [await seen.get() for _ in range(15)]
        assert Counter(events) == Counter(f"{sign}f{number}" for sign in "+~-" for number in range(5))
        assert reflector.store == {}
        assert len(source.since) > 3
        running.cancel()
        await asyncio.wait([running])

    played(scene)
