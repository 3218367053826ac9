"""Bugs to plant, each one line of somebody's bad day: the plays must find every one of them.

`python -m tests.simulation --bugs` plants one after the other and says after how many seeds it was found.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

from moorage.controllers.actuator import Actuator
from moorage.kube.apply import Applier
from moorage.kube.observe import World
from moorage.lifecycle import agent as life
from moorage.lifecycle import snapshot as moving
from moorage.lifecycle.decision import FRESH, Decision, enter
from moorage.model.observation import UNKNOWN
from moorage.model.record import AgentState, AttemptKind, AttemptState
from moorage.services.snapshots import Snapshots
from tests.simulation.tables import Tables

Bug = Callable[[], AbstractContextManager[Any]]


def _state(state: AgentState, decide: Callable[..., Decision]) -> AbstractContextManager[Any]:
    return mock.patch.dict(life._STATES, {state: decide})


def _verified_at_once() -> AbstractContextManager[Any]:
    def verifying(record: Any, desired: Any, world: Any) -> Decision:
        return Decision(record=enter(record, AgentState.SUSPENDED, archive_at=record.now, **FRESH), again=True)

    return _state(AgentState.VERIFYING, verifying)


def _archived_unasked() -> AbstractContextManager[Any]:
    async def archive(self: Any, record: Any) -> None:
        await self.agents.archive(epoch=self.epoch.current, before=record)

    return mock.patch.object(Actuator, "_archive", archive)


@contextlib.contextmanager
def _freed_unverified() -> Iterator[None]:
    with _verified_at_once(), _archived_unasked():
        yield


def _beside_a_mover() -> AbstractContextManager[Any]:
    return _state(AgentState.RUNNING, lambda one, wish, world: life._running(one, wish, replace(world, jobs=())))


@contextlib.contextmanager
def _blind() -> Iterator[None]:
    real = World.agent

    def agent(self: World, *place: Any) -> Any:
        seen = real(self, *place)
        return replace(seen, **{name: () for name in ("pods", "volumes", "jobs") if getattr(seen, name) is UNKNOWN})

    async def listed(self: World) -> None:
        """Nobody waits for the caches either."""

    with (
        mock.patch.object(World, "agent", agent),
        mock.patch.object(World, "listed", listed),
        mock.patch.object(World, "refresh", listed),
    ):
        yield


def _believed() -> AbstractContextManager[Any]:
    async def verify(self: Snapshots, epoch: int, attempt: Any) -> None:
        await self._rows.catalogue(epoch, attempt.id, attempt.report.totals)

    return mock.patch.object(Snapshots, "_verify_snapshot", verify)


def _not_called_off() -> AbstractContextManager[Any]:
    def call_off(record: Any, world: Any, state: AgentState) -> Decision:
        return Decision(record=enter(record, state, **FRESH), again=True)

    return mock.patch.object(moving, "_call_off", call_off)


def _closed_late() -> AbstractContextManager[Any]:
    return mock.patch.object(life, "_close", lambda one, world: life.do.CloseRun(one.pod_uid, one.now))


def _drained_early() -> AbstractContextManager[Any]:
    def draining(record: Any, desired: Any, world: Any) -> Decision:
        going = tuple(pod for pod in world.pods if not pod.deleting)
        return life._draining(record, desired, replace(world, pods=going))

    return _state(AgentState.DRAINING, draining)


def _half_restored() -> AbstractContextManager[Any]:
    def restoring(record: Any, desired: Any, world: Any) -> Decision:
        attempt = record.attempt
        if attempt is not None and attempt.kind is AttemptKind.RESTORE and attempt.state is AttemptState.FAILED:
            record = replace(record, attempt=replace(attempt, state=AttemptState.VERIFIED))
        return moving.restoring(record, desired, world)

    return _state(AgentState.RESTORING, restoring)


def _any_epoch() -> AbstractContextManager[Any]:
    return mock.patch.object(Tables, "require_epoch", return_value=None)


def _same_name() -> AbstractContextManager[Any]:
    real = life.transition

    def transition(record: Any, desired: Any, seen: Any) -> Decision:
        after = real(record, desired, seen)
        return replace(after, record=replace(after.record, incarnation=1))

    return mock.patch.object(life, "transition", transition)


def _same_volume() -> AbstractContextManager[Any]:
    return mock.patch.object(moving, "next_generation", lambda record: record.volume_generation)


def _gone_at_once() -> AbstractContextManager[Any]:
    real = life.transition

    def transition(record: Any, desired: Any, seen: Any) -> Decision:
        if desired.deleting and record.state is AgentState.DRAINING and seen.pods == ():
            return Decision(record=enter(record, AgentState.DELETED), again=True)
        return real(record, desired, seen)

    return mock.patch.object(life, "transition", transition)


def _swept_unasked() -> AbstractContextManager[Any]:
    async def abort(self: Snapshots, *, attempt_id: str) -> None:
        attempt = await self._rows.attempt(attempt_id)
        if attempt is not None:
            await self._store.delete(attempt.object_key)

    return mock.patch.object(Snapshots, "abort", abort)


def _unpaid() -> AbstractContextManager[Any]:
    return mock.patch.object(life, "comes_back", lambda one, wish: not (one.user_paused or wish.deleting))


def _lagging_lead() -> AbstractContextManager[Any]:
    async def refresh(self: World) -> None:
        """The cache will do."""

    return mock.patch.object(World, "refresh", refresh)


def _unsure() -> AbstractContextManager[Any]:
    async def make_sure(self: Applier, owner_uid: str) -> None:
        """No answer is taken for no."""

    return mock.patch.object(Applier, "make_sure", make_sure)


BUGS: dict[str, Bug] = {
    "the volume is freed although nothing was read back": _freed_unverified,
    "the volume is freed without asking whether the object is still there": _archived_unasked,
    "a snapshot is believed without being read back": _believed,
    "a pod starts while a mover still runs": _beside_a_mover,
    "a mover starts while the pod still stops": _drained_early,
    "what could not be read counts as absent": _blind,
    "a snapshot is left half way without calling its mover off": _not_called_off,
    "a run ends when it is noticed, not when the pod ended": _closed_late,
    "a failed restore becomes the volume": _half_restored,
    "a failed restore is tried again in the same volume": _same_volume,
    "an old epoch may write": _any_epoch,
    "the name of an incarnation is used again": _same_name,
    "a deleted agent goes without a snapshot": _gone_at_once,
    "a replaced attempt takes its object along, also a restore": _swept_unasked,
    "a wallet at zero stops nobody": _unpaid,
    "a creation that was not answered counts as absent": _unsure,
    "whoever takes the lead trusts its cache": _lagging_lead,
}
