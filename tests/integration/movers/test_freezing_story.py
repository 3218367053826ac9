"""A snapshot on demand beside a CSI driver, through the whole operator: an agent is down for its copy and no longer."""

from collections.abc import AsyncIterator

import pytest

from moorage.model import names
from moorage.model.record import AgentState, AttemptState, SnapshotPurpose
from tests.integration.money.world import START_S, new_world
from tests.integration.movers.freezing import OWN, Story, opened

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
async def story(database_url: str) -> AsyncIterator[Story]:
    """A story on a ledger whose clock the test sets."""
    async with new_world(database_url) as world, opened(world) as made:
        yield made


async def _snapshots(story: Story) -> list[str]:
    rows = await story.stage.world.sql.fetch("SELECT purpose FROM moorage.snapshot")
    return [row["purpose"] for row in rows]


async def test_the_agent_is_down_for_its_copy_and_no_longer(story: Story) -> None:
    await story.ask()
    await story.look()
    assert (story.pods, story.reads) == ([], [])  # the driver has not begun
    for _ in range(2):
        story.driver.step()
        await story.look()
    assert story.pods == ["helper-2"]
    attempt = (await story.stage.record()).attempt
    assert attempt is not None
    assert (attempt.state, story.reads) == (AttemptState.STARTED, [names.frozen_copy(attempt.id)])

    await story.done()
    record = await story.stage.record()
    assert (record.state, record.wish, record.attempt) == (AgentState.RUNNING, None, None)
    assert await _snapshots(story) == [SnapshotPurpose.DEMAND]
    assert (story.pods, story.cluster.jobs) == (["helper-2"], {})
    assert await story.swept()


async def test_a_driver_that_makes_nothing_costs_ten_minutes_and_no_snapshot(story: Story) -> None:
    story.driver.works = False
    await story.ask()
    for second in (0, 300, 599):
        await story.stage.world.at(START_S + second)
        story.driver.step()
        await story.look()
        assert (story.pods, story.reads) == ([], [])
    await story.stage.world.at(START_S + 601)
    await story.look()
    assert (story.pods, story.reads) == ([], [OWN])
    await story.done()
    assert await _snapshots(story) == [SnapshotPurpose.DEMAND]
    assert story.pods == ["helper-2"]
    assert await story.swept()


async def test_a_suspension_in_the_middle_gets_a_snapshot_of_what_was_written_since(story: Story) -> None:
    await story.ask()
    for _ in range(3):
        await story.look()
        story.driver.step()
    await story.look()
    assert story.pods == ["helper-2"]
    copied = (await story.stage.record()).attempt
    await story.stage.world.sql.execute("UPDATE moorage.agent SET user_paused = true, fence = fence + 1")
    await story.look()
    del story.cluster.pods["helper-2"]
    await story.look()
    record = await story.stage.record()
    assert record.attempt is not None
    assert copied is not None
    assert (record.state, record.attempt.id != copied.id) == (AgentState.SNAPSHOTTING, True)
    assert (record.attempt.purpose, story.reads) == (SnapshotPurpose.SUSPENSION, [names.frozen_copy(copied.id), OWN])
    await story.done()
    assert (await story.stage.record()).state is AgentState.SUSPENDED
    assert await _snapshots(story) == [SnapshotPurpose.SUSPENSION]
    assert await story.swept()
