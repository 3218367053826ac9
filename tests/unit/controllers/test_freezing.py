"""A copy that is decided about rings for its agent at once; one that is not made yet waits for the next look."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from moorage.controllers.actuator import Actuator
from moorage.controllers.leading import Epoch
from moorage.lifecycle import effects as do
from moorage.model.names import Key
from moorage.observability import Metrics
from tests import factories

VOLUME = factories.volume_view(storage_class="fast")


class Copies:
    """Says what it is told, and remembers what was asked."""

    def __init__(self, *, decided: bool) -> None:
        self.decided = decided
        self.asked: list[tuple[object, ...]] = []

    async def freeze(self, *, epoch: int, agent: object, attempt_id: str, volume: object) -> bool:
        """One step."""
        self.asked.append((epoch, attempt_id, volume))
        return self.decided

    async def give_up(self, *, epoch: int, attempt_id: str) -> None:
        """No copy."""
        self.asked.append((epoch, attempt_id))


def _act(copies: Copies, effect: do.Effect) -> list[tuple[Key, bool]]:
    epoch, rung = Epoch(), list[tuple[Key, bool]]()
    epoch.lead(7)
    unused: Any = dict.fromkeys(("client", "applier", "agents", "ledger", "meters", "snapshots", "purges"))
    actuator = Actuator(
        **unused,
        copies=copies,  # type: ignore[arg-type]  # as much of it as is asked here
        platform=factories.platform(),
        epoch=epoch,
        snapshot_grace=timedelta(days=1),
        ring=lambda key, urgent: rung.append((key, urgent)),
        metrics=Metrics(),
    )
    asyncio.run(actuator.act(effect, factories.agent(), factories.agent_record(attempt=factories.attempt())))
    return rung


@pytest.mark.parametrize(("decided", "rung"), [(True, [(Key("Agent", "mn-acme", "helper"), True)]), (False, [])])
def test_an_agent_is_looked_at_when_its_copy_is_decided(decided: bool, rung: list[tuple[Key, bool]]) -> None:
    copies = Copies(decided=decided)
    assert _act(copies, do.FreezeVolume(factories.ATTEMPT_ID, VOLUME)) == rung
    assert copies.asked == [(7, factories.ATTEMPT_ID, VOLUME)]


def test_a_copy_is_given_up_when_that_is_decided() -> None:
    copies = Copies(decided=True)
    assert _act(copies, do.GiveUpCopy(factories.ATTEMPT_ID)) == []
    assert copies.asked == [(7, factories.ATTEMPT_ID)]
