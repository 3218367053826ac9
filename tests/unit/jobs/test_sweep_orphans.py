"""An Agent that vanished without a goodbye: its pod is paid for until it ended, not until somebody noticed."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from moorage.jobs.sweep_orphans import SweepOrphans
from moorage.model.names import PodUid
from moorage.model.record import AgentState
from tests import factories
from tests.factories import NOW


class Rows:
    """One record, and a book of what is closed."""

    def __init__(self) -> None:
        self.record = factories.agent_record(stored=())
        self.closed: list[tuple[str, int | None]] = []

    async def living(self) -> list[tuple[str, str, str]]:
        """The one that lives."""
        return [(self.record.uid, self.record.namespace, self.record.name)]

    async def load(self, uid: str) -> Any:
        """It."""
        return self.record

    async def keep_snapshots(self, **_: object) -> None:
        """Accepted."""

    async def keep_orphaned_snapshots(self, **_: object) -> None:
        """Accepted."""

    async def mark_deleted(self, **_: object) -> None:
        """Its end."""
        self.record = factories.agent_record(state=AgentState.DELETED)

    async def close_run(self, *, pod_uid: str, ended_s: int | None, **_: object) -> None:
        """Remember the end."""
        self.closed.append((pod_uid, ended_s))


@pytest.mark.parametrize(
    ("ends", "ended_s"),
    [
        pytest.param(((PodUid("pod-1"), NOW - timedelta(seconds=500)),), int(NOW.timestamp()) - 500, id="was told"),
        pytest.param((), None, id="was never told: the proof of its node ends it"),
    ],
)
def test_its_run_ends_with_its_pod(ends: tuple[tuple[PodUid, datetime], ...], ended_s: int | None) -> None:
    rows: Any = Rows()

    async def exists(*_: str) -> bool:
        return False

    sweeper = SweepOrphans(
        rows, rows, rows, exists=exists, has_pods=lambda uid: False, ends=lambda uid: ends, epoch=lambda: 1,
        grace=timedelta(days=1),
    )  # fmt: skip
    asyncio.run(sweeper.sweep())
    assert rows.closed == [("pod-1", ended_s)]
    assert rows.record.state is AgentState.DELETED
