"""The applier: writes only differences, only what is ours, and never brings anything back."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.kube.failures import Conflict, Missing
from moorage.kube.kinds import Kind
from moorage.kube.observe import World
from moorage.model.agent import Agent
from moorage.model.errors import Permanent, Unavailable
from moorage.model.metadata import Metadata
from moorage.model.names import FINALIZER, Key
from moorage.model.reasons import Reason
from tests.fakes.apiserver import Answer, ApiServer
from tests.simulation import virtual_time

OWNER = {"apiVersion": "moorage.dev/v1alpha1", "kind": "Agent", "name": "a", "uid": "agent-1", "controller": True}
LABELS = {"moorage.dev/managed": "true"}


def child(kind: Kind, name: str, **parts: Any) -> dict[str, Any]:
    """A manifest of an agent's child."""
    metadata = {"name": name, "namespace": "mn-a", "labels": LABELS, "ownerReferences": [OWNER]}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **parts}


FILES = child(kinds.CONFIG_MAP, "files-a", data={"a.txt": "1"})
POD = child(kinds.POD, "a-1", spec={"containers": [{"name": "agent", "image": "x"}]})
CORE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "mn-a", "labels": {**LABELS, "moorage.dev/tenant-uid": "uid-a"}},
}
AGENT = {"metadata": {"name": "a", "namespace": "mn-a"}, "spec": {"size": "small"}}


@dataclass
class Stage:
    """Everything a scene needs."""

    server: ApiServer
    client: Client
    world: World
    applier: Applier
    rings: list[tuple[Key, bool]]

    def writes(self) -> list[str]:
        """Verbs of all writes so far; forgets them."""
        verbs = [verb for verb, _ in self.server.requests if verb not in ("list", "watch", "get")]
        self.server.requests.clear()
        return verbs

    def agent(self) -> Metadata:
        """The agent's metadata as a watch would show it."""
        return self.read().metadata

    def read(self) -> Agent:
        """The agent as a watch would show it."""
        return msgspec.convert(self.server.objects["agents", "mn-a", "a"], Agent)


def staged(scene: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a scene on a server whose watches are open."""

    async def play() -> None:
        server, rings = ApiServer(), []
        async with server.serving() as client:
            world = World(
                client, lambda key, urgent: rings.append((key, urgent)), clock=asyncio.get_running_loop().time
            )
            running = asyncio.create_task(world.run())
            await world.listed()
            await virtual_time.passed(5.0)
            server.requests.clear()
            await scene(Stage(server, client, world, Applier(client, world, now=moment), rings))
            assert not running.done()
            running.cancel()

    virtual_time.run(play())


def moment() -> datetime:
    """Now, on virtual time."""
    return datetime.fromtimestamp(asyncio.get_running_loop().time(), UTC)


@pytest.mark.parametrize(
    ("manifest", "verb"),
    [
        pytest.param(FILES, "apply", id="config map"),
        pytest.param(POD, "post", id="pod"),
        pytest.param(CORE, "apply", id="core namespace"),
    ],
)
def test_child_is_written_once_and_its_echo_rings_nothing(manifest: dict[str, Any], verb: str) -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.applier.apply(manifest)
        assert not await stage.applier.apply(manifest), "an answer counts as seen before the watch shows it"
        await virtual_time.passed(5.0)
        assert not await stage.applier.apply(manifest)
        assert stage.writes() == [verb]
        assert stage.rings == []

    staged(scene)


def test_echo_that_comes_before_the_answer_rings_nothing() -> None:
    async def scene(stage: Stage) -> None:
        with stage.world.writing(FILES):
            raw = await stage.client.apply(kinds.path_of(FILES), FILES)
            await virtual_time.passed(5.0)
            stage.world.store(kinds.CONFIG_MAP, raw)
        assert stage.rings == []

    staged(scene)


def test_object_that_vanishes_during_a_write_rings_after_it() -> None:
    async def scene(stage: Stage) -> None:
        with stage.world.writing(FILES):
            raw = await stage.client.apply(kinds.path_of(FILES), FILES)
            await virtual_time.passed(5.0)
            stage.server.remove(kinds.CONFIG_MAP, "mn-a", "files-a")
            await virtual_time.passed(5.0)
            stage.world.store(kinds.CONFIG_MAP, raw)
        assert stage.rings == [(Key("Agent", "mn-a", "a"), True)]
        assert stage.world.live(FILES) is None

    staged(scene)


def test_object_without_our_label_is_not_kept_because_nothing_would_tell_that_it_is_gone() -> None:
    async def scene(stage: Stage) -> None:
        bare = {**FILES, "metadata": {name: value for name, value in FILES["metadata"].items() if name != "labels"}}
        stage.world.store(kinds.CONFIG_MAP, await stage.client.apply(kinds.path_of(bare), bare))
        assert stage.world.live(bare) is None

    staged(scene)


def test_foreign_change_during_a_write_rings_after_it() -> None:
    async def scene(stage: Stage) -> None:
        with stage.world.writing(FILES):
            raw = await stage.client.apply(kinds.path_of(FILES), FILES)
            stage.server.put(kinds.CONFIG_MAP, {**FILES, "data": {"a.txt": "by hand"}})
            await virtual_time.passed(5.0)
            stage.world.store(kinds.CONFIG_MAP, raw)
            assert stage.rings == []
        assert stage.rings == [(Key("Agent", "mn-a", "a"), False)]

    staged(scene)


def test_echo_of_a_write_whose_answer_was_lost_rings() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.script("apply", "configmaps", Answer(lost=True))
        with pytest.raises(Unavailable):
            await stage.applier.apply(FILES)
        await virtual_time.passed(5.0)
        assert stage.rings == [(Key("Agent", "mn-a", "a"), False)]
        assert not await stage.applier.apply(FILES)

    staged(scene)


def test_write_whose_answer_was_lost_is_recognised_before_any_watch_shows_it() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.mute_watches()
        stage.server.script("apply", "configmaps", Answer(lost=True))
        with pytest.raises(Unavailable):
            await stage.applier.apply(FILES)
        assert not await stage.applier.apply(FILES)
        assert not await stage.applier.apply(FILES)

    staged(scene)


def test_drift_is_repaired() -> None:
    async def scene(stage: Stage) -> None:
        await stage.applier.apply(FILES)
        stage.server.put(kinds.CONFIG_MAP, {**FILES, "data": {"a.txt": "by hand"}})
        await virtual_time.passed(5.0)
        assert stage.rings == [(Key("Agent", "mn-a", "a"), False)]
        assert await stage.applier.apply(FILES)
        assert stage.server.objects["configmaps", "mn-a", "files-a"]["data"] == {"a.txt": "1"}

    staged(scene)


def test_file_that_is_no_longer_wanted_goes() -> None:
    async def scene(stage: Stage) -> None:
        await stage.applier.apply(child(kinds.CONFIG_MAP, "files-a", data={"a.txt": "1", "b.txt": "2"}))
        assert await stage.applier.apply(FILES)
        assert stage.server.objects["configmaps", "mn-a", "files-a"]["data"] == {"a.txt": "1"}

    staged(scene)


def test_pod_is_never_written_twice_whatever_its_manifest_says() -> None:
    async def scene(stage: Stage) -> None:
        await stage.applier.apply(POD)
        assert not await stage.applier.apply({**POD, "spec": {"containers": [{"name": "agent", "image": "y"}]}})

    staged(scene)


def test_value_that_the_server_writes_in_its_own_way_is_not_written_for_ever() -> None:
    async def scene(stage: Stage) -> None:
        quota = child(kinds.RESOURCE_QUOTA, "quota", spec={"hard": {"cpu": "1000m"}})
        stage.server.canonical = lambda obj: {**obj, "spec": {"hard": {"cpu": "1"}}}
        for _ in range(5):
            await stage.applier.apply(quota)
        assert stage.writes() == ["apply"]
        counted = {"spec": {"hard": {"cpu": "1"}}, "status": {"used": {"cpu": "500m"}}}
        stage.server.put(kinds.RESOURCE_QUOTA, {**quota, **counted})
        await virtual_time.passed(5.0)
        await stage.applier.apply(quota)
        assert stage.writes() == []
        stage.server.put(kinds.RESOURCE_QUOTA, {**quota, "spec": {"hard": {"cpu": "2"}}})
        await virtual_time.passed(5.0)
        for _ in range(5):
            await stage.applier.apply(quota)
        assert stage.writes() == ["apply"]

    staged(scene)


FOREIGN = {
    "nobody's": {},
    "another agent's": {"ownerReferences": [{**OWNER, "name": "b", "uid": "agent-2"}], "labels": LABELS},
    "only labelled like ours": {"labels": LABELS},
}


@pytest.mark.parametrize("metadata", FOREIGN.values(), ids=FOREIGN.keys())
def test_name_is_taken_when_the_object_there_is(metadata: dict[str, Any]) -> None:
    async def scene(stage: Stage) -> None:
        there = stage.server.put(
            kinds.CONFIG_MAP, {"metadata": {"name": "files-a", "namespace": "mn-a", **metadata}, "data": {"x": "y"}}
        )
        with pytest.raises(Permanent) as caught:
            await stage.applier.apply(FILES)
        assert caught.value.reason is Reason.NAME_TAKEN
        assert stage.server.objects["configmaps", "mn-a", "files-a"] == there

    staged(scene)


CORE_TAKEN: dict[str, dict[str, str]] = {
    "nobody's": {},
    "another tenant's": {**LABELS, "moorage.dev/tenant-uid": "uid-b"},
    "made in advance, with every label that can be known": {**LABELS, "moorage.dev/tenant": "a"},
    "that of a tenant of this name which is gone": {**LABELS, "moorage.dev/tenant-uid": "uid-of-former-a"},
}


@pytest.mark.parametrize("labels", CORE_TAKEN.values(), ids=CORE_TAKEN.keys())
def test_core_namespace_is_taken_when_it_is(labels: dict[str, str]) -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.CORE_NAMESPACE, {"metadata": {"name": "mn-a", "labels": labels}})
        with pytest.raises(Permanent):
            await stage.applier.apply(CORE)

    staged(scene)


def test_object_of_ours_that_lost_its_label_gets_it_back() -> None:
    async def scene(stage: Stage) -> None:
        await stage.applier.apply(FILES)
        metadata = {name: value for name, value in FILES["metadata"].items() if name != "labels"}
        stage.server.put(kinds.CONFIG_MAP, {**FILES, "metadata": metadata})
        stage.server.close_watches()
        stage.server.compact()  # a list shows what its selector finds
        await virtual_time.passed(5.0)
        assert await stage.applier.apply(FILES)
        assert stage.server.objects["configmaps", "mn-a", "files-a"]["metadata"]["labels"] == LABELS

    staged(scene)


def test_leftover_of_a_former_agent_of_the_same_name_is_waited_for() -> None:
    async def scene(stage: Stage) -> None:
        former = {**FILES["metadata"], "ownerReferences": [{**OWNER, "uid": "agent-0"}]}
        stage.server.put(kinds.CONFIG_MAP, {**FILES, "metadata": former})
        await virtual_time.passed(5.0)
        with pytest.raises(Conflict):
            await stage.applier.apply(FILES)
        assert stage.writes() == []

    staged(scene)


def test_pod_whose_creation_was_not_answered_does_not_look_absent() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.mute_watches()
        stage.server.script("post", "pods", Answer(lost=True))
        with pytest.raises(Unavailable):
            await stage.applier.apply(POD)
        assert stage.world.live(POD) is None
        stage.server.script("get", "pods", Answer(503))
        with pytest.raises(Unavailable):  # who does not know decides nothing
            await stage.applier.make_sure("agent-1")
        await stage.applier.make_sure("agent-1")
        assert stage.world.live(POD) is not None
        stage.server.requests.clear()
        await stage.applier.make_sure("agent-1")
        assert stage.server.requests == []

    staged(scene)


@pytest.mark.parametrize(("deleting", "refused"), [(False, Permanent), (True, Conflict)], ids=["stays", "goes"])
def test_data_of_a_former_agent_of_the_same_name_is_in_the_way_unless_it_goes(
    deleting: bool, refused: type[Exception]
) -> None:
    def claim(uid: str) -> dict[str, Any]:
        labels = {**LABELS, "moorage.dev/agent": "a", "moorage.dev/agent-uid": uid}
        metadata: dict[str, Any] = {"name": "data-a-1", "namespace": "mn-a", "labels": labels}
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {}}

    async def scene(stage: Stage) -> None:
        former = claim("agent-0")
        if deleting:
            former["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        stage.server.put(kinds.PERSISTENT_VOLUME_CLAIM, former)
        await virtual_time.passed(5.0)
        with pytest.raises(refused):
            await stage.applier.apply(claim("agent-1"))
        assert stage.writes() == []

    staged(scene)


def test_object_that_is_being_deleted_is_left_alone() -> None:
    async def scene(stage: Stage) -> None:
        await stage.applier.apply(FILES)
        going = {**FILES["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        stage.server.put(kinds.CONFIG_MAP, {**FILES, "metadata": going, "data": {}})
        await virtual_time.passed(5.0)
        assert not await stage.applier.apply(FILES)

    staged(scene)


def test_object_is_not_brought_back_when_it_went_before_the_watch_said_so() -> None:
    async def scene(stage: Stage) -> None:
        await stage.applier.apply(FILES)
        stage.server.mute_watches()
        stage.server.remove(kinds.CONFIG_MAP, "mn-a", "files-a")
        with pytest.raises(Conflict):
            await stage.applier.apply(child(kinds.CONFIG_MAP, "files-a", data={"a.txt": "2"}))
        assert stage.server.of(kinds.CONFIG_MAP) == {}

    staged(scene)


def test_missing_namespace_is_worth_another_try() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.script("apply", "configmaps", Answer(404))
        with pytest.raises(Missing):
            await stage.applier.apply(FILES)

    staged(scene)


def status(state: str, reason: str = "PodReady") -> dict[str, Any]:
    """A projected status."""
    condition = {"type": "Ready", "status": state, "reason": reason, "message": "…", "observedGeneration": 1}
    return {"podName": "a-1", "conditions": [condition]}


def test_status_is_written_once_until_it_differs() -> None:
    async def scene(stage: Stage) -> None:
        before = stage.server.put(kinds.AGENT, AGENT)
        stale = stage.read()
        assert await stage.applier.apply_status(kinds.AGENT, stale.metadata, status("False"), seen=stale.status)
        assert not await stage.applier.apply_status(kinds.AGENT, stale.metadata, status("False"), seen=stale.status)
        echoed = stage.read()
        assert echoed.metadata.resource_version != before["metadata"]["resourceVersion"]
        assert not await stage.applier.apply_status(kinds.AGENT, echoed.metadata, status("False"), seen=echoed.status)
        assert stage.writes() == ["apply"]
        assert await stage.applier.apply_status(kinds.AGENT, echoed.metadata, status("True"), seen=echoed.status)

    staged(scene)


def test_status_is_told_exactly_when_it_was_written() -> None:
    async def scene(stage: Stage) -> None:
        told: list[tuple[str, Any, Any]] = []
        applier = Applier(
            stage.client,
            stage.world,
            now=moment,
            told=lambda kind, metadata, before, after: told.append((metadata.name, before, after)),
        )
        stage.server.put(kinds.AGENT, AGENT)
        fresh = stage.read()
        for said in ("False", "False", "True"):
            await applier.apply_status(kinds.AGENT, fresh.metadata, status(said), seen=fresh.status)
        assert [name for name, _, _ in told] == ["a", "a"]
        (_, nothing, first), (_, before, after) = told
        assert (nothing, first, after) == ({}, status("False"), status("True"))
        assert before["conditions"][0]["status"] == "False"

    staged(scene)


def test_status_changed_by_somebody_else_is_repaired() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.AGENT, AGENT)
        await stage.applier.apply_status(kinds.AGENT, stage.agent(), status("False"))
        stage.server.put(kinds.AGENT, {**AGENT, "status": {"podName": "by hand"}})
        seen = stage.read()
        assert await stage.applier.apply_status(kinds.AGENT, seen.metadata, status("False"), seen=seen.status)

    staged(scene)


def test_transition_time_survives_a_write_whose_echo_is_still_under_way() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.AGENT, AGENT)
        stale = stage.read()
        await stage.applier.apply_status(kinds.AGENT, stale.metadata, status("False"), seen=stale.status)
        first = stage.read().status["conditions"][0]["lastTransitionTime"]
        await virtual_time.passed(60.0)
        await stage.applier.apply_status(kinds.AGENT, stale.metadata, status("False", "Other"), seen=stale.status)
        assert stage.read().status["conditions"][0]["lastTransitionTime"] == first
        await stage.applier.apply_status(kinds.AGENT, stale.metadata, status("True"), seen=stale.status)
        assert stage.read().status["conditions"][0]["lastTransitionTime"] > first

    staged(scene)


def test_status_does_not_go_to_another_object_of_the_same_name() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.AGENT, AGENT)
        former = stage.agent()
        stage.server.remove(kinds.AGENT, "mn-a", "a")
        assert not await stage.applier.apply_status(kinds.AGENT, former, status("True"))
        stage.server.put(kinds.AGENT, AGENT)
        with pytest.raises(Conflict):
            await stage.applier.apply_status(kinds.AGENT, former, status("True"))
        assert stage.read().status == {}

    staged(scene)


def test_status_after_a_finalizer_is_not_taken_for_outdated() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.AGENT, AGENT)
        stale = stage.agent()
        await stage.applier.set_finalizer(kinds.AGENT, stale)
        assert await stage.applier.apply_status(kinds.AGENT, stale, status("False"))
        assert await stage.applier.apply_status(kinds.AGENT, stale, status("True"))

    staged(scene)


def test_status_of_an_outdated_spec_is_refused() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.AGENT, AGENT)
        stale = stage.agent()
        stage.server.put(kinds.AGENT, {**AGENT, "spec": {"size": "large"}})
        with pytest.raises(Conflict):
            await stage.applier.apply_status(kinds.AGENT, stale, status("True"))

    staged(scene)


def test_finalizer_is_set_once_and_again_when_somebody_took_it_off() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.AGENT, AGENT)
        stale = stage.agent()
        assert await stage.applier.set_finalizer(kinds.AGENT, stale)
        assert not await stage.applier.set_finalizer(kinds.AGENT, stale)
        assert stage.agent().finalizers == [FINALIZER]
        assert not await stage.applier.set_finalizer(kinds.AGENT, stage.agent())
        stage.server.put(kinds.AGENT, AGENT)
        assert await stage.applier.set_finalizer(kinds.AGENT, stage.agent())

    staged(scene)


def test_finalizer_does_not_go_to_another_object_of_the_same_name() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.put(kinds.AGENT, AGENT)
        former = stage.agent()
        stage.server.remove(kinds.AGENT, "mn-a", "a")
        with pytest.raises(Conflict):
            await stage.applier.set_finalizer(kinds.AGENT, former)
        stage.server.put(kinds.AGENT, AGENT)
        with pytest.raises(Conflict):
            await stage.applier.set_finalizer(kinds.AGENT, former)
        assert stage.agent().finalizers == []

    staged(scene)


def test_finalizer_is_cleared_beside_others_and_though_they_moved() -> None:
    async def scene(stage: Stage) -> None:
        metadata = {**AGENT["metadata"], "finalizers": ["x/one", FINALIZER, "x/two"]}
        stage.server.put(kinds.AGENT, {**AGENT, "metadata": metadata})
        stale = stage.agent()
        stage.server.put(kinds.AGENT, {**AGENT, "metadata": {**metadata, "finalizers": [FINALIZER, "x/two"]}})
        assert await stage.applier.clear_finalizer(kinds.AGENT, stale)
        assert stage.agent().finalizers == ["x/two"]
        assert not await stage.applier.clear_finalizer(kinds.AGENT, stage.agent())

    staged(scene)


def test_finalizer_of_another_object_of_the_same_name_stays() -> None:
    async def scene(stage: Stage) -> None:
        held = {**AGENT, "metadata": {**AGENT["metadata"], "finalizers": [FINALIZER]}}
        stage.server.put(kinds.AGENT, held)
        former = stage.agent()
        stage.server.remove(kinds.AGENT, "mn-a", "a")
        assert not await stage.applier.clear_finalizer(kinds.AGENT, former)
        stage.server.put(kinds.AGENT, held)
        assert not await stage.applier.clear_finalizer(kinds.AGENT, former)
        assert stage.agent().finalizers == [FINALIZER]

    staged(scene)


def test_absence_is_asked_of_the_server_itself() -> None:
    async def scene(stage: Stage) -> None:
        stage.server.mute_watches()
        await stage.applier.apply(POD)
        uid = stage.server.objects["pods", "mn-a", "a-1"]["metadata"]["uid"]
        assert await stage.applier.uids(kinds.POD) == {uid}
        stage.server.remove(kinds.POD, "mn-a", "a-1")
        assert await stage.applier.uids(kinds.POD) == set()

    staged(scene)
