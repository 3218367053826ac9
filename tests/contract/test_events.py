"""Events as a real API server takes them: one per object and reason, whoever writes and however often."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from moorage.kube import kinds, login
from moorage.kube.client import Client
from moorage.kube.events import CLUSTER_NAMESPACE, About, Events
from moorage.model.messages import MESSAGES
from moorage.model.metadata import Metadata
from moorage.model.names import AgentUid
from moorage.model.reasons import Reason

pytestmark = pytest.mark.cluster

LIMIT_SECONDS = 120.0
Scene = Callable[[Client, Metadata], Awaitable[None]]


def play(kubeconfig: str, scene: Scene) -> None:
    """A scene with a client and an object of its own."""

    async def run() -> None:
        async with asyncio.timeout(LIMIT_SECONDS), Client.connect(login.from_kubeconfig(kubeconfig)) as client:
            uid = AgentUid(str(uuid.uuid4()))
            await scene(client, Metadata(name=f"a{uid[:8]}", namespace="default", uid=uid))

    asyncio.run(run())


async def of(client: Client, metadata: Metadata) -> list[dict[str, Any]]:
    """All Events about the object, as `kubectl describe` finds them."""
    path = f"{kinds.collection_path(kinds.EVENT, CLUSTER_NAMESPACE)}"
    found = (
        await client.read(
            path, f"fieldSelector=regarding.uid%3D{metadata.uid},reportingController%3Dmoorage.dev/operator"
        )
        or b"{}"
    )
    items: list[dict[str, Any]] = msgspec.json.decode(found)["items"]
    return items


def test_an_event_says_the_reason_and_nothing_else(bare_kubeconfig: str) -> None:
    async def scene(client: Client, agent: Metadata) -> None:
        assert await Events(client, "pod-a").write(About(kinds.AGENT, agent, Reason.ZERO_BALANCE, warning=True))
        (event,) = await of(client, agent)
        assert (event["reason"], event["type"]) == ("ZeroBalance", "Warning")
        assert event["note"] == MESSAGES[Reason.ZERO_BALANCE]
        assert (event["reportingController"], event["reportingInstance"]) == ("moorage.dev/operator", "pod-a")
        assert event["regarding"]["kind"] == "Agent"
        assert "series" not in event

    play(bare_kubeconfig, scene)


def test_a_repeated_reason_is_counted_up_by_whoever_leads(bare_kubeconfig: str) -> None:
    async def scene(client: Client, agent: Metadata) -> None:
        about = About(kinds.AGENT, agent, Reason.POD_READY, warning=False)
        assert await Events(client, "pod-a").write(about)
        for leader in ("pod-a", "pod-b", "pod-c"):
            assert not await Events(client, leader).write(about)
        assert not await Events(client, "pod-c").write(about, times=5)
        (event,) = await of(client, agent)
        assert event["series"]["count"] == 9
        assert event["series"]["lastObservedTime"] >= event["eventTime"]

    play(bare_kubeconfig, scene)


def test_each_reason_and_each_object_has_an_event_of_its_own(bare_kubeconfig: str) -> None:
    async def scene(client: Client, agent: Metadata) -> None:
        again = msgspec.structs.replace(agent, uid=str(uuid.uuid4()))  # deleted and made anew under its name
        events = Events(client, "pod-a")
        for metadata, reason in ((agent, Reason.POD_READY), (agent, Reason.CRASH_LOOP), (again, Reason.POD_READY)):
            assert await events.write(About(kinds.AGENT, metadata, reason, warning=False))
        assert {event["reason"] for event in await of(client, agent)} == {"PodReady", "CrashLoop"}
        assert {event["reason"] for event in await of(client, again)} == {"PodReady"}

    play(bare_kubeconfig, scene)


def test_objects_without_a_namespace_have_events_too(bare_kubeconfig: str) -> None:
    async def scene(client: Client, agent: Metadata) -> None:
        wallet = msgspec.structs.replace(agent, namespace="")
        assert await Events(client, "pod-a").write(About(kinds.WALLET, wallet, Reason.LOW_BALANCE, warning=True))
        (event,) = await of(client, wallet)
        assert event["metadata"]["namespace"] == CLUSTER_NAMESPACE
        assert "namespace" not in event["regarding"]

    play(bare_kubeconfig, scene)


def test_names_as_long_as_they_may_be_fit(bare_kubeconfig: str) -> None:
    async def scene(client: Client, agent: Metadata) -> None:
        long = msgspec.structs.replace(agent, name="a" * 199 + "." + "b" * 53)
        assert await Events(client, "x" * 300).write(About(kinds.AGENT, long, Reason.POD_READY, warning=False))
        assert len(await of(client, long)) == 1

    play(bare_kubeconfig, scene)
