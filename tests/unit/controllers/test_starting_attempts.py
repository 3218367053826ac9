"""An attempt that the object store does not let begin is given up, so that the agent's condition can say so."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from moorage.controllers.actuator import Actuator
from moorage.controllers.leading import Epoch
from moorage.lifecycle import effects as do
from moorage.model.errors import LostLeadership, MoorageError, Unavailable
from moorage.observability import Metrics
from tests import factories

STARTED = do.StartAttempt(factories.ATTEMPT_ID)


class Snapshots:
    """Starts with what it is told, and remembers what was given up."""

    def __init__(self, outcome: MoorageError | None) -> None:
        self.outcome = outcome
        self.failed: list[tuple[str, str]] = []

    async def start(self, *, epoch: int, attempt_id: str) -> None:
        """Open the upload, or not."""
        if self.outcome is not None:
            raise self.outcome

    async def fail(self, *, epoch: int, attempt_id: str, code: str) -> None:
        """Give it up."""
        self.failed.append((attempt_id, code))


def _start(snapshots: Snapshots) -> Metrics:
    epoch, metrics = Epoch(), Metrics()
    epoch.lead(1)
    unused: Any = dict.fromkeys(("client", "applier", "agents", "ledger", "meters", "purges", "copies"))
    actuator = Actuator(
        **unused,
        snapshots=snapshots,
        platform=factories.platform(),
        epoch=epoch,
        snapshot_grace=timedelta(days=1),
        ring=lambda *_: None,
        metrics=metrics,
    )
    record = factories.agent_record(attempt=factories.attempt())
    asyncio.run(actuator.act(STARTED, factories.agent(), record))
    return metrics


def test_an_attempt_is_given_up_when_the_store_cannot_be_reached() -> None:
    snapshots = Snapshots(Unavailable("the object store cannot be reached"))
    metrics = _start(snapshots)
    assert snapshots.failed == [(factories.ATTEMPT_ID, "StoreUnreachable")]
    labels = {"kind": "Snapshot", "result": "Failed"}
    assert metrics.registry.get_sample_value("moorage_snapshots_total", labels) == 1


def test_nothing_is_given_up_when_the_store_answers() -> None:
    snapshots = Snapshots(None)
    _start(snapshots)
    assert snapshots.failed == []


def test_an_attempt_is_left_to_the_next_leader_when_the_lead_is_lost() -> None:
    snapshots = Snapshots(LostLeadership("another process leads"))
    with pytest.raises(LostLeadership):
        _start(snapshots)
    assert snapshots.failed == []
