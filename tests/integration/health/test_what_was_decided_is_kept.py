"""What a transition decided is what the next one reads: every field it may change comes back from the database."""

from dataclasses import replace
from datetime import timedelta

import pytest

from moorage.model.record import AgentState
from moorage.store.agents import Agents
from tests.factories import exit_of
from tests.integration.money.world import World

pytestmark = pytest.mark.anyio


async def test_the_pause_after_an_end_survives_the_operator(world: World) -> None:
    await world.wallet()
    agents, uid = Agents(world.database), await world.agent("helper")
    before = await agents.load(uid)
    assert before is not None
    assert (before.endings, before.start_at, before.last_exit) == (0, None, None)

    start_at = before.now + timedelta(seconds=20)
    after = replace(before, incarnation=2, endings=2, start_at=start_at, last_exit=exit_of())
    assert await agents.save(epoch=world.epoch, before=before, after=after)
    read = await agents.load(uid)
    assert read is not None
    assert replace(read, now=after.now) == after


async def test_what_was_left_behind_survives_the_operator(world: World) -> None:
    await world.wallet()
    agents, uid = Agents(world.database), await world.agent("helper")
    before = await agents.load(uid)
    assert before is not None
    after = replace(
        before, incarnation=2, fenced_incarnation=1, volume_generation=2, left_generation=1,
        left_until=before.now + timedelta(hours=24), silent_since=before.now,
    )  # fmt: skip
    assert await agents.save(epoch=world.epoch, before=before, after=after)
    read = await agents.load(uid)
    assert read is not None
    assert replace(read, now=after.now) == after


async def test_a_crossed_record_forgets_nothing_of_the_pause(world: World) -> None:
    await world.wallet()
    agents, uid = Agents(world.database), await world.agent("helper")
    before = await agents.load(uid)
    assert before is not None
    assert await agents.save(epoch=world.epoch, before=before, after=replace(before, state=AgentState.DRAINING))
    # The one who decided on the older record must look again, and has written nothing.
    assert not await agents.save(epoch=world.epoch, before=before, after=replace(before, endings=1))
    read = await agents.load(uid)
    assert read is not None
    assert read.endings == 0
