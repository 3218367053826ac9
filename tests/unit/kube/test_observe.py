"""The world: what is read of an agent, when the bell rings, and what is remembered of what is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from moorage.kube import kinds
from moorage.kube.observe import World
from moorage.kube.remembered import Endings, Recent
from moorage.model.names import AgentUid, Key, PodUid
from moorage.model.observation import UNKNOWN, JobOutcome, Observation, Unknown
from tests.fakes.apiserver import ApiServer
from tests.simulation import virtual_time

UID = AgentUid("agent-1")
OWNER = {"apiVersion": "moorage.dev/v1alpha1", "kind": "Agent", "name": "a", "uid": UID, "controller": True}
RING = (Key("Agent", "mn-a", "a"), False)
URGENT = (Key("Agent", "mn-a", "a"), True)
STARTED, ENDED = "2026-06-01T10:00:00Z", "2026-06-01T10:05:00Z"
TERMINATED = {"terminated": {"startedAt": STARTED, "finishedAt": ENDED}}


def owned(name: str, *, owner: dict[str, Any] = OWNER, namespace: str = "mn-a", **parts: Any) -> dict[str, Any]:
    """A child of the agent."""
    labels = {"moorage.dev/managed": "true"}
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": [owner]}, **parts}


def pod(name: str = "a-1", *, state: dict[str, Any] | None = None, restarts: int = 0, **status: Any) -> dict[str, Any]:
    """A pod of the agent, on the node."""
    container = {"name": "agent", "restartCount": restarts, "state": state or {}, **status.pop("container", {})}
    return owned(
        name, spec={"nodeName": "node"}, status={"phase": "Running", "containerStatuses": [container], **status}
    )


def at(text: str) -> datetime:
    """A time of the tests."""
    return datetime.fromisoformat(text)


def renewed(seconds: float) -> dict[str, Any]:
    """A node's lease, renewed at this virtual second."""
    moment = datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    return {"metadata": {"name": "node", "namespace": "kube-node-lease"}, "spec": {"renewTime": moment}}


def node(ready: str = "True") -> dict[str, Any]:
    """The node."""
    return {"metadata": {"name": "node"}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


@dataclass
class Stage:
    """Everything a scene needs."""

    server: ApiServer
    world: World
    rings: list[tuple[Key, bool]]

    def seen(self) -> Observation:
        """The agent's world."""
        return self.world.agent("mn-a", "a", UID)

    async def rung(self) -> list[tuple[Key, bool]]:
        """What rang since the last call, once everything under way has arrived."""
        await virtual_time.passed(2.0)
        rings, self.rings[:] = self.rings[:], []
        return rings


def staged(scene: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a scene on a server whose watches are open."""

    async def play() -> None:
        server, rings = ApiServer(), []
        clock = asyncio.get_running_loop().time
        async with server.serving() as client:
            world = World(
                client, lambda *ring: rings.append(ring), clock=clock, now=lambda: datetime.fromtimestamp(clock(), UTC)
            )
            running = asyncio.create_task(world.run())
            await world.listed()
            await virtual_time.passed(5.0)
            await scene(Stage(server, world, rings))
            running.cancel()

    virtual_time.run(play())


def test_everything_is_unknown_before_the_caches_have_listed() -> None:
    async def scene() -> None:
        world = World(ApiServer(), lambda *_: None)  # type: ignore[arg-type]  # never asked
        seen = world.agent("mn-a", "a", UID)
        assert (seen.pods, seen.volumes, seen.jobs) == (UNKNOWN, UNKNOWN, UNKNOWN)
        assert world.has_pods(UID), "what is not known may be there"

    virtual_time.run(scene())


def test_children_are_found_by_the_uid_of_their_owner() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.POD, pod())
        stage.server.put(kinds.PERSISTENT_VOLUME_CLAIM, owned("data-a-1", status={"phase": "Bound"}))
        stage.server.put(kinds.JOB, owned("mover-7", status={"conditions": [{"type": "Complete", "status": "True"}]}))
        stage.server.put(kinds.POD, owned("former", owner={**OWNER, "uid": "agent-0"}))
        stage.server.put(kinds.POD, owned("forged", namespace="mn-b"))
        stage.server.put(kinds.POD, owned("not-controlled", owner={**OWNER, "controller": False}))
        await stage.rung()
        seen = stage.seen()
        assert seen.pods is not UNKNOWN
        assert seen.volumes is not UNKNOWN
        assert seen.jobs is not UNKNOWN
        assert [item.name for item in seen.pods] == ["a-1"]
        assert [(item.name, item.bound) for item in seen.volumes] == [("data-a-1", True)]
        assert [(item.attempt_id, item.outcome) for item in seen.jobs] == [("7", JobOutcome.SUCCEEDED)]
        assert stage.world.has_pods(UID)
        assert not stage.world.has_pods("agent-9")

    staged(scene)


def test_bell_rings_for_what_matters_and_not_for_heartbeats() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.POD, pod())
        assert await stage.rung() == [RING]
        stage.server.put(kinds.POD, pod(conditions=[{"type": "Initialized", "status": "True"}]))
        assert await stage.rung() == []
        stage.server.put(kinds.POD, pod(conditions=[{"type": "Ready", "status": "True"}]))
        assert await stage.rung() == [RING]
        stage.server.remove(kinds.POD, "mn-a", "a-1")
        assert await stage.rung() == [URGENT]

    staged(scene)


def test_bell_rings_for_drift_and_not_for_the_status_of_others() -> None:
    async def scene(stage: Stage) -> None:
        quota = owned("quota", owner={**OWNER, "kind": "Namespace", "name": "t"}, spec={"hard": {"pods": "1"}})
        stage.server.put(kinds.RESOURCE_QUOTA, quota)
        ring = (Key("Namespace", "", "t"), False)
        assert await stage.rung() == [ring]
        stage.server.put(kinds.RESOURCE_QUOTA, {**quota, "status": {"used": {"pods": "1"}}})
        assert await stage.rung() == []
        stage.server.put(kinds.RESOURCE_QUOTA, {**quota, "spec": {"hard": {"pods": "999"}}})
        assert await stage.rung() == [ring]

    staged(scene)


def test_bell_rings_for_a_tenants_core_namespace() -> None:
    async def scene(stage: Stage) -> None:
        core = {"metadata": {"name": "mn-t", "labels": {"moorage.dev/managed": "true"}}}
        stage.server.put(kinds.CORE_NAMESPACE, core)
        stage.server.remove(kinds.CORE_NAMESPACE, "", "mn-t")
        assert await stage.rung() == [(Key("Namespace", "", "t"), False), (Key("Namespace", "", "t"), True)]

    staged(scene)


def test_pods_that_vanished_in_a_gap_ring() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.POD, pod())
        await stage.rung()
        stage.server.close_watches()
        stage.server.remove(kinds.POD, "mn-a", "a-1")
        stage.server.compact()
        assert await stage.rung() == [URGENT]
        assert stage.seen().pods == ()

    staged(scene)


ENDINGS = {
    "it had terminated": ({"state": TERMINATED}, ENDED),
    "it waited to be restarted": ({"container": {"state": {"waiting": {}}, "lastState": TERMINATED}}, ENDED),
    "it was still running": ({"state": {"running": {"startedAt": STARTED}}}, None),
    "it never ran": ({}, None),
}


@pytest.mark.parametrize(("status", "ended"), ENDINGS.values(), ids=ENDINGS.keys())
def test_end_of_a_vanished_pod_is_remembered_when(status: dict[str, Any], ended: str | None) -> None:
    async def scene(stage: Stage) -> None:
        made = stage.server.put(kinds.POD, pod(**status))
        await stage.rung()
        stage.server.remove(kinds.POD, "mn-a", "a-1")
        await stage.rung()
        expected = () if ended is None else ((PodUid(made["metadata"]["uid"]), at(ended)),)
        assert stage.seen().ended == expected

    staged(scene)


def test_end_is_taken_from_the_deletion_itself_when_no_state_before_showed_it() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.POD, pod(state={"running": {"startedAt": STARTED}}))
        await stage.rung()
        place = ("pods", "mn-a", "a-1")
        last = stage.server.objects[place]
        stage.server.objects[place] = {**last, **pod(state=TERMINATED), "metadata": last["metadata"]}
        stage.server.remove(kinds.POD, "mn-a", "a-1")
        await stage.rung()
        assert stage.seen().ended == ((PodUid(last["metadata"]["uid"]), at(ENDED)),)

    staged(scene)


def test_start_is_what_the_kubelet_says_while_nothing_restarted() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.POD, pod(state={"running": {"startedAt": STARTED}}))
        await stage.rung()
        seen = stage.seen().pods
        assert seen is not UNKNOWN
        assert [item.started_at for item in seen] == [at(STARTED)]

    staged(scene)


def test_first_start_is_remembered_though_the_status_forgets_it() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.POD, pod(state={"running": {"startedAt": STARTED}}))
        await stage.rung()
        for restarts in (1, 2, 3):
            again = {"running": {"startedAt": f"2026-06-01T11:0{restarts}:00Z"}}
            before = {"terminated": {"startedAt": f"2026-06-01T11:0{restarts - 1}:00Z", "finishedAt": ENDED}}
            stage.server.put(kinds.POD, pod(state=again, restarts=restarts, container={"lastState": before}))
            await stage.rung()
        seen = stage.seen().pods
        assert seen is not UNKNOWN
        assert [item.started_at for item in seen] == [at(STARTED)]

    staged(scene)


def test_node_is_reachable_while_it_is_ready_and_speaks() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.NODE, node())
        stage.server.put(kinds.LEASE, renewed(asyncio.get_running_loop().time()))
        await stage.rung()
        assert stage.world.node_reachable("node")
        await virtual_time.passed(39.0)
        assert not stage.world.node_reachable("node"), "no renewal for 40 s"
        stage.server.put(kinds.LEASE, renewed(asyncio.get_running_loop().time()))
        await stage.rung()
        assert stage.world.node_reachable("node")
        stage.server.put(kinds.NODE, node("Unknown"))
        await stage.rung()
        assert not stage.world.node_reachable("node")
        assert not stage.world.node_reachable(None)

    staged(scene)


def test_node_is_lost_only_when_the_control_plane_says_so() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.NODE, node())
        stage.server.put(kinds.LEASE, renewed(asyncio.get_running_loop().time()))
        await stage.rung()
        await virtual_time.passed(1000.0)
        assert not stage.world.node_reachable("node")
        assert not stage.world.node_lost("node"), "that we hear nothing may be our own deafness"
        for ready, lost in (("False", False), ("Unknown", True), ("True", False)):
            stage.server.put(kinds.NODE, node(ready))
            await stage.rung()
            assert stage.world.node_lost("node") is lost, ready
        assert stage.world.node_lost("another"), "a node that does not exist any more"
        assert not stage.world.node_lost(None)

    staged(scene)


def test_nothing_is_lost_before_the_nodes_have_been_listed() -> None:
    async def scene() -> None:
        async with ApiServer().serving() as client:
            assert not World(client, lambda *_: None).node_lost("node")

    virtual_time.run(scene())


def test_a_pod_and_a_volume_know_whether_their_node_is_lost() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.NODE, node("Unknown"))
        stage.server.put(kinds.POD, pod())
        made_for = {"volume.kubernetes.io/selected-node": "node"}
        for name, annotations in (("data-a-1", made_for), ("data-a-2", {})):
            stage.server.put(kinds.PERSISTENT_VOLUME_CLAIM, _annotated(owned(name), annotations))
        await stage.rung()
        seen = stage.seen()
        assert not isinstance(seen.pods, Unknown)
        assert not isinstance(seen.volumes, Unknown)
        assert [one.node_lost for one in seen.pods] == [True]
        assert {one.name: one.node_lost for one in seen.volumes} == {"data-a-1": True, "data-a-2": False}

    staged(scene)


def test_node_with_a_wrong_clock_is_reachable_as_soon_as_it_is_heard() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.NODE, node())
        await virtual_time.passed(1000.0)
        stage.server.put(kinds.LEASE, renewed(10.0))
        await stage.rung()
        assert not stage.world.node_reachable("node"), "at first sight only the node's own time says how old it is"
        stage.server.put(kinds.LEASE, renewed(20.0))
        await stage.rung()
        assert stage.world.node_reachable("node")

    staged(scene)


def _annotated(manifest: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def test_agents_ring_when_their_node_comes_or_goes_and_not_at_its_heartbeat() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.NODE, node())
        stage.server.put(kinds.POD, pod())
        await stage.rung()
        stage.server.put(kinds.LEASE, renewed(5.0))
        stage.server.put(kinds.NODE, {**node(), "spec": {"podCIDR": "10.0.0.0/24"}})
        assert await stage.rung() == []
        stage.server.put(kinds.NODE, node("Unknown"))
        assert await stage.rung() == [RING]
        stage.server.put(kinds.NODE, node())
        assert await stage.rung() == [RING]

    staged(scene)


def test_proof_of_a_node_is_the_whole_second_of_its_last_renewal() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.NODE, node())
        assert stage.world.node_proofs() == {}
        stage.server.put(kinds.LEASE, renewed(1234.987654))
        await stage.rung()
        assert stage.world.node_proofs() == {"node": 1234}
        stage.server.put(kinds.NODE, node("False"))
        await stage.rung()
        assert stage.world.node_proofs() == {}

    staged(scene)


def test_silence_of_a_watch_can_be_measured() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.mute_watches()
        before = stage.world.silent_seconds()
        await virtual_time.passed(50.0)
        after = stage.world.silent_seconds()
        assert len(after) == len(stage.world.reflectors) == 12
        assert all(after[kind] >= before[kind] + 49.0 for kind in after)

    staged(scene)


def test_endings_are_bounded() -> None:
    endings = Endings(limit=3)
    for number in range(5):
        endings.add(f"agent-{number % 2}", PodUid(f"pod-{number}"), at(ENDED))
    assert [uid for uid, _ in endings.of("agent-0")] == ["pod-2", "pod-4"]
    assert [uid for uid, _ in endings.of("agent-1")] == ["pod-3"]
    assert endings.of("agent-2") == ()


def test_recent_forgets_what_was_put_longest_ago() -> None:
    recent: Recent[str, int] = Recent(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        recent.put(key, value)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (3, None, 4)
    recent.drop("a")
    assert recent.get("a") is None
