"""The doorbell of Agents: what is listed or vanished rings; what does not fit rings nothing and harms nobody."""

import asyncio
import builtins
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from moorage.controllers.agent_bell import AgentBell
from moorage.controllers.objects import Objects
from moorage.kube.agents import AgentObject
from moorage.model.names import ANNOTATION_SNAPSHOT_REQUESTED, Key


def agent(name: str, *, annotations: Mapping[str, str] | None = None, **spec: Any) -> AgentObject:
    named = {
        "name": name,
        "namespace": "mn-acme",
        "uid": name,
        "resourceVersion": str(5 + len(annotations or {})),
        "generation": 1,
    }
    raw = {
        "metadata": {**named, "annotations": annotations or {}},
        "spec": {"size": "small", "image": "localhost/x", **spec},
    }
    return msgspec.convert(raw | {"spec": msgspec.Raw(msgspec.json.encode(raw["spec"]))}, AgentObject)


class Source:
    """Answers each list with the next page; every watch ends in silence until there is a page left."""

    def __init__(self, *pages: list[AgentObject]) -> None:
        self.pages = list(pages)
        self.done = asyncio.Event()

    async def list(self, *_: Any, **__: Any) -> tuple[Any, str]:
        return self.pages.pop(0), "7"

    async def stream(
        self, path: str, query: Mapping[str, str], *, silence_seconds: float
    ) -> AsyncIterator[builtins.list[bytes]]:
        if self.pages:
            expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
            yield [msgspec.json.encode(expired)]
        self.done.set()
        await asyncio.Event().wait()


def rung(*pages: list[AgentObject]) -> tuple[list[tuple[str, bool]], Objects]:
    bells: list[tuple[str, bool]] = []
    objects = Objects()

    async def scenario() -> None:
        source = Source(*pages)
        bell = AgentBell(source, objects, lambda key, urgent: bells.append((key.name, urgent)))
        watching = asyncio.create_task(bell.run())
        async with asyncio.timeout(60):
            await source.done.wait()
        watching.cancel()

    asyncio.run(scenario())
    return bells, objects


def test_a_listed_agent_rings_and_is_kept() -> None:
    bells, objects = rung([agent("one")])
    assert bells == [("one", False)]
    kept = objects.agent(Key("Agent", "mn-acme", "one"))
    assert kept is not None
    assert kept.spec.image == "localhost/x"


def test_an_agent_that_vanished_in_a_gap_rings_urgently_and_is_forgotten() -> None:
    bells, objects = rung([agent("one"), agent("two")], [agent("one")])
    assert bells == [("one", False), ("two", False), ("two", True)]
    assert objects.agent(Key("Agent", "mn-acme", "two")) is None


def test_an_agent_that_does_not_fit_spoils_nothing() -> None:
    bells, _ = rung([agent("bad", size=7), agent("good")])
    assert bells == [("good", False)]


def test_a_request_rings_and_other_annotations_do_not() -> None:
    asked = {ANNOTATION_SNAPSHOT_REQUESTED: "now", "note": "x"}
    bells, objects = rung([agent("one")], [agent("one", annotations={"note": "x"})], [agent("one", annotations=asked)])
    assert bells == [("one", False)] * 2
    kept = objects.agent(Key("Agent", "mn-acme", "one"))
    assert kept is not None
    assert kept.metadata.annotations == {ANNOTATION_SNAPSHOT_REQUESTED: "now"}
