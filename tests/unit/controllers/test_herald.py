"""The herald tells in turns and within bounds, and whatever goes wrong, nobody else notices."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from moorage.controllers import herald
from moorage.controllers.herald import Herald
from moorage.kube import kinds
from moorage.kube.events import About
from moorage.model.errors import MoorageError, Permanent, Unavailable
from moorage.model.metadata import Metadata
from moorage.model.reasons import Reason
from moorage.observability import Metrics
from tests.simulation import virtual_time


@dataclass
class Writer:
    """Keeps what it is told; fails when asked to."""

    told: list[tuple[str, str, str, int]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    async def write(self, about: About, *, times: int = 1) -> bool:
        if self.errors:
            raise self.errors.pop(0)
        again = any(entry[:3] == (about.metadata.namespace, about.metadata.name, about.reason) for entry in self.told)
        self.told.append((about.metadata.namespace, about.metadata.name, about.reason.value, times))
        return not again


class Stage:
    """A herald at work."""

    def __init__(self) -> None:
        self.writer, self.metrics = Writer(), Metrics()
        self.herald = Herald(self.writer, self.metrics)

    def say(self, namespace: str, name: str, reason: Reason, before: Reason = Reason.POD_STARTING) -> None:
        """An agent's status was written."""
        metadata = Metadata(name=name, namespace=namespace, uid=f"{namespace}/{name}")
        self.herald.written(kinds.AGENT, metadata, _status(before), _status(reason))

    def count(self, result: str) -> float:
        return self.metrics.registry.get_sample_value("moorage_events_total", {"result": result}) or 0


def _status(reason: Reason) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": "False", "reason": reason.value}]}


async def _working(stage: Stage, seconds: float) -> None:
    work = asyncio.create_task(stage.herald.run())
    await virtual_time.passed(seconds)
    assert not work.done()
    work.cancel()


def test_namespaces_take_turns() -> None:
    async def scene() -> None:
        stage = Stage()
        for number in range(5):
            stage.say("loud", f"agent-{number}", Reason.CRASH_LOOP)
        stage.say("quiet", "agent", Reason.POD_READY)
        await _working(stage, 1.0)
        assert [entry[0] for entry in stage.writer.told[:3]] == ["loud", "quiet", "loud"]
        assert len(stage.writer.told) == 6

    virtual_time.run(scene())


def test_what_flaps_is_told_once_with_its_count() -> None:
    async def scene() -> None:
        stage = Stage()
        for _ in range(7):
            stage.say("a", "agent", Reason.POD_READY)
        await _working(stage, 1.0)
        assert stage.writer.told == [("a", "agent", "PodReady", 7)]
        stage.say("a", "agent", Reason.POD_READY)
        await _working(stage, 1.0)
        assert (stage.count("Written"), stage.count("Repeated")) == (1, 1)

    virtual_time.run(scene())


def test_a_tenant_with_too_much_news_takes_no_room_from_others() -> None:
    async def scene() -> None:
        stage = Stage()
        for number in range(5_000):
            stage.say("loud", f"agent-{number}", Reason.CRASH_LOOP)
        stage.say("quiet", "agent", Reason.POD_READY)
        await _working(stage, 3 * herald.PAUSE_SECONDS)
        assert ("quiet", "agent", "PodReady", 1) in stage.writer.told
        assert stage.count("Dropped") == 5_000 - herald.WAITING_PER_NAMESPACE_MAX

    virtual_time.run(scene())


def test_no_more_than_twenty_a_second_are_told() -> None:
    async def scene() -> None:
        stage = Stage()
        for number in range(200):
            stage.say(f"tenant-{number}", "agent", Reason.ZERO_BALANCE)
        await _working(stage, 1.0)
        assert len(stage.writer.told) <= 1 / herald.PAUSE_SECONDS + 1
        await _working(stage, 10.0)
        assert len(stage.writer.told) == 200

    virtual_time.run(scene())


def test_a_failure_is_counted_and_the_next_is_told() -> None:
    async def scene() -> None:
        stage = Stage()
        failures: list[MoorageError | Exception] = [
            Unavailable("away"), Permanent(Reason.SPEC_INVALID), RuntimeError("a bug"),
        ]  # fmt: skip
        stage.writer.errors = list(failures)
        for number in range(4):
            stage.say("a", f"agent-{number}", Reason.POD_READY)
        await _working(stage, 1.0)
        assert stage.writer.told == [("a", "agent-3", "PodReady", 1)]
        assert stage.count("Failed") == len(failures)

    virtual_time.run(scene())
