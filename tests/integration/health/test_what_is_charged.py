"""The column *charged* of docs/reasons.md is what the ledger does: one story per reason, played on real SQL."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from moorage.model.observation import PodPhase
from moorage.model.reasons import Reason
from tests import factories
from tests.factories import exit_of
from tests.integration.health.stage import Stage, at, open_stage
from tests.integration.money.world import World
from tests.tidy import tree

pytestmark = pytest.mark.anyio

Story = Callable[[Stage], Awaitable[None]]

# A pod that is bound to a node where its container has not started yet, and one that has ended for good.
BOUND = {"node": "node-a", "phase": PodPhase.PENDING, "ready": False, "started_at": None, "container_id": None}
OVER = {"phase": PodPhase.FAILED, "ready": False}
SILENT = {"node_ready": False, "node_lost": True, "ready": False}
CRASHING = {"ready": False, "waiting_reason": "CrashLoopBackOff", "restarts": 3}

YES, NO, END = "yes", "no", "until its end"


def runs(kind: str = "Ready", **changes: Any) -> tuple[str, Story]:
    """A pod runs from the first second, then this is seen of it."""

    async def story(stage: Stage) -> None:
        await stage.starts()
        await stage.shows(**changes)

    return kind, story


def never_runs(**changes: Any) -> tuple[str, Story]:
    """A pod is made, and its container does not start."""

    async def story(stage: Stage) -> None:
        await stage.look()
        await stage.shows(**BOUND | changes)

    return "Ready", story


def ends(how: Any, kind: str = "Healthy") -> tuple[str, Story]:
    """A pod runs, and ends by itself after four seconds."""

    async def story(stage: Stage) -> None:
        await stage.starts()
        await stage.passed(4)
        pod = await stage.shows(**OVER, ended_at=at(4), last_exit=replace(how, at=None))
        await stage.vanishes(pod.name)

    return kind, story


def is_edited(**spec: Any) -> tuple[str, Story]:
    """An agent that never ran is given a spec that cannot be used."""

    async def story(stage: Stage) -> None:
        await stage.edit(**spec)

    return "Ready", story


def is_refused(reason: Reason) -> tuple[str, Story]:
    """The API server does not take its pod."""

    async def story(stage: Stage) -> None:
        stage.paper.refusal = reason
        await stage.look()

    return "Ready", story


async def _falls_silent(stage: Stage) -> None:
    await stage.starts()
    await stage.passed(4)
    await stage.shows(**SILENT)


async def _is_replaced(stage: Stage) -> None:
    await stage.starts()
    await stage.passed(4)
    pod = await stage.shows(spec_hash="another")
    await stage.look()
    stage.paper.ended = ((pod.uid, at(4)),)


async def _is_stopped(stage: Stage) -> None:
    await stage.starts()
    await stage.passed(4)
    await stage.edit(desiredState="Suspended")
    assert stage.said("Suspended") == "Draining"
    pod = next(iter(stage.paper.pods.values()))
    stage.paper.ended = ((pod.uid, at(4)),)


async def _rests(stage: Stage) -> None:
    await stage.starts()
    await stage.edit(desiredState="Suspended")
    stage.paper.ended = ((next(iter(stage.paper.pods.values())).uid, at(0)),)
    await stage.vanishes(next(iter(stage.paper.pods)))


STORIES: dict[Reason, tuple[str, str, Story]] = {
    Reason.POD_READY: (YES, *runs()),
    Reason.POD_STARTING: (NO, *never_runs()),
    Reason.POD_NOT_READY: (YES, *runs(ready=False)),
    Reason.POD_REPLACED: ("until the old one has ended", "Ready", _is_replaced),
    Reason.NODE_UNREACHABLE: ("to the node's last proof", "Ready", _falls_silent),
    Reason.HEALTHY: (YES, *runs("Healthy")),
    Reason.RESTARTED: (YES, *runs("Healthy", restarts=1, last_exit=exit_of(at=None))),
    Reason.CRASH_LOOP: ("once it has started; not between two pods", *runs(**CRASHING)),
    Reason.OUT_OF_MEMORY: (
        YES, *runs("Healthy", **CRASHING, last_exit=exit_of(factories.ExitReason.OOM_KILLED, at=None)),
    ),
    Reason.EVICTED: (END, *ends(exit_of(factories.ExitReason.EVICTED))),
    Reason.EPHEMERAL_STORAGE_FULL: (END, *ends(exit_of(factories.ExitReason.EPHEMERAL_STORAGE_FULL))),
    Reason.IMAGE_NOT_ALLOWED: (NO, *is_edited(image="elsewhere.example.com/bot@sha256:0")),
    Reason.IMAGE_PULL_FAILED: (NO, *never_runs(waiting_reason="ImagePullBackOff")),
    Reason.RUNTIME_UNKNOWN: (NO, *is_edited(runtime="parrot")),
    Reason.SIZE_UNKNOWN: (NO, *is_edited(size="vast")),
    Reason.UNSCHEDULABLE: (NO, *never_runs(node=None, unschedulable=True)),
    Reason.QUOTA_EXCEEDED: (NO, *is_refused(Reason.QUOTA_EXCEEDED)),
    Reason.SECRET_NOT_FOUND: (NO, *never_runs(waiting_reason="CreateContainerConfigError")),
    Reason.SPEC_INVALID: (NO, *is_refused(Reason.SPEC_INVALID)),
    Reason.NAME_TAKEN: (NO, *is_refused(Reason.NAME_TAKEN)),
    Reason.DRAINING: ("until its end, as far as there is credit", "Suspended", _is_stopped),
    Reason.USER_REQUESTED: (NO, "Suspended", _rests),
}  # fmt: skip

# Ten seconds later, with the node proven, this many have been paid.
PAID = {YES: 10, NO: 0, "once it has started; not between two pods": 10}
# It ended, or its node fell silent, after four.
PAID_TO_THE_END = 4


@pytest.mark.parametrize("reason", STORIES, ids=lambda reason: reason.value)
async def test_an_agent_pays_what_its_reason_says(world: World, reason: Reason) -> None:
    charged, kind, story = STORIES[reason]
    async with open_stage(world) as stage:
        await story(stage)
        assert stage.said(kind) == reason.value
        silent = reason is Reason.NODE_UNREACHABLE
        for name in [name for name, pod in stage.paper.pods.items() if pod.deleting]:
            await stage.vanishes(name)
        await stage.passed(10, proven=PAID_TO_THE_END if silent else None)
        assert await stage.paid_seconds() == PAID.get(charged, PAID_TO_THE_END)


async def test_nothing_is_paid_between_two_pods_of_a_crash_loop(world: World) -> None:
    async with open_stage(world) as stage:
        await ends(exit_of())[1](stage)
        assert stage.said("Ready") == "CrashLoop"
        await stage.passed(10)
        assert await stage.paid_seconds() == PAID_TO_THE_END


def test_the_document_says_the_same_as_the_stories() -> None:
    rows = tree.first_column(tree.document("reasons.md"))
    documented = {name: cells[2] for name, cells in rows.items() if len(cells) == 4}
    told = {reason.value: charged for reason, (charged, _, _) in STORIES.items()}
    assert {name: documented[name] for name in told} == told
    # What has no story of its own never has a pod, speaks of an agent that may run or not, or is told elsewhere.
    apart = {name: charged for name, charged in documented.items() if name not in told}
    elsewhere = {"VolumeOverfull": "yes, and its storage by what it holds"}
    assert {name: charged for name, charged in apart.items() if charged not in (NO, "as Ready says")} == elsewhere
