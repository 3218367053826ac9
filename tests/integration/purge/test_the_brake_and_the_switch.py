"""A clock that jumps, or a mistake of ours, costs at most what may go in an hour; then a person has to look."""

import asyncio
import logging

import pytest

from moorage.model.purges import Outcome
from moorage.store.database import Database
from moorage.store.purges import PurgeRows
from tests.integration.purge.world import DAY_S, EMPTY_S, House

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

LIMIT = 50
TOMBSTONED_S = 16 * 60


async def _deleted_agents(house: House, snapshots: int, *, keep_until_s: int) -> str:
    """An agent that was deleted, with many snapshots that are kept until then."""
    await house.world.wallet("acme")
    uid = await house.world.agent("gone", state="Deleted")
    for _ in range(snapshots):
        await house.snapshot(uid, keep_until_s=keep_until_s)
    return uid


async def _removed(house: House) -> int:
    return len(await house.world.sql.fetch("SELECT 1 FROM moorage.snapshot WHERE purged_at IS NOT NULL"))


async def _turn(house: House, now_s: int) -> None:
    """What the leader's job does in the minutes after a moment."""
    for late_s in (0, TOMBSTONED_S, TOMBSTONED_S + 60):
        await house.world.at(now_s + late_s)
        await house.purges.remove_snapshots(epoch=1)


async def test_a_clock_that_jumps_40_days_ahead_costs_no_more_than_the_limit(house: House) -> None:
    await _deleted_agents(house, 3 * LIMIT, keep_until_s=EMPTY_S + 30 * DAY_S)
    await _turn(house, EMPTY_S)
    assert await _removed(house) == 0
    await _turn(house, EMPTY_S + 40 * DAY_S)
    assert await _removed(house) == LIMIT
    assert (await house.rows.gate()).engaged_at is not None
    await _turn(house, EMPTY_S + 41 * DAY_S)
    assert await _removed(house) == LIMIT, "time alone releases no brake"


async def test_a_clock_that_jumps_costs_no_agent_its_data_within_a_day_and_then_no_more_than_the_limit(
    house: House,
) -> None:
    uids = [uid for number in range(LIMIT + 5) for uid in await house.starved(f"w{number}")]
    for uid in uids:
        await house.look(uid)
    jumped_s = EMPTY_S + 40 * DAY_S
    for late_s in (0, DAY_S - 1):  # all three notices are sent at once, and are to be read
        await house.world.at(jumped_s + late_s)
        await house.tell()
        for uid in uids[:3]:
            await house.look(uid)
            assert await house.state(uid) == "Archived"
    while await house.purges.tell(epoch=1):
        pass
    for late_s in (2 * DAY_S, 2 * DAY_S + TOMBSTONED_S):
        await house.world.at(jumped_s + late_s)
        asked = [await house.look(uid) for uid in uids]
    assert [asked.count(outcome) for outcome in (Outcome.STARTED, Outcome.BRAKE_ENGAGED)] == [LIMIT, 5]


async def test_after_the_clock_is_right_again_the_brake_can_be_released(house: House) -> None:
    uid = await _deleted_agents(house, LIMIT + 1, keep_until_s=EMPTY_S)
    await _turn(house, EMPTY_S + 40 * DAY_S)
    await house.world.at(EMPTY_S)
    assert await house.rows.release(reason="the clock was wrong", actor="ada")
    for _ in range(3):
        await house.snapshot(uid, keep_until_s=EMPTY_S)
    await _turn(house, EMPTY_S + DAY_S)
    assert await _removed(house) == LIMIT + 3, "what was done in the future counts against nobody"
    assert await house.rows.release(reason="again", actor="ada") is False


async def test_each_release_lets_as_much_go_as_the_first_time_and_no_more(house: House) -> None:
    await _deleted_agents(house, 3 * LIMIT, keep_until_s=EMPTY_S)
    await house.world.at(EMPTY_S)
    await house.rows.entomb_snapshots(epoch=1, limit=1_000)
    await _turn(house, EMPTY_S)
    for released in (1, 2, 3):
        assert await _removed(house) == released * LIMIT
        await house.rows.release(reason="known", actor="ada")
        await house.purges.remove_snapshots(epoch=1)
    lines = await house.rows.audit(1000)
    assert [line.step for line in lines].count("BrakeEngaged") == 2
    assert {(line.actor, line.reason) for line in lines if line.step == "BrakeReleased"} == {("ada", "known")}


async def test_what_is_due_in_its_time_never_engages_the_brake(house: House) -> None:
    uid = await _deleted_agents(house, 0, keep_until_s=EMPTY_S)
    for hour in range(4):
        for _ in range(LIMIT - 1):
            await house.snapshot(uid, keep_until_s=EMPTY_S + hour * 3600)
    for hour in range(4):
        await _turn(house, EMPTY_S + hour * 3600 + 60 * hour)
    assert await _removed(house) == 4 * (LIMIT - 1)
    assert (await house.rows.gate()).engaged_at is None


async def test_two_percent_of_many_may_go_where_that_is_more_than_fifty(house: House) -> None:
    uid = await _deleted_agents(house, 60, keep_until_s=EMPTY_S)
    await house.world.sql.execute(
        "INSERT INTO moorage.snapshot (id, agent_uid, tenant_uid, attempt_id, object_key, wrapped_key, taken_at,"
        " object_bytes, plain_bytes, file_count, sha256, verified_at, purpose)"
        " SELECT gen_random_uuid(), agent_uid, tenant_uid, attempt_id, object_key || '/' || g, wrapped_key, taken_at,"
        " 1, 1, 1, sha256, verified_at, purpose"
        " FROM (SELECT * FROM moorage.snapshot LIMIT 1) s, generate_series(1, 3000) g"
    )
    assert uid
    await _turn(house, EMPTY_S)
    assert await _removed(house) == 60
    assert (await house.rows.gate()).engaged_at is None


async def test_agents_and_snapshots_share_one_brake(house: House) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    gone = await house.world.agent("gone", state="Deleted")
    for _ in range(LIMIT):
        await house.snapshot(gone, keep_until_s=EMPTY_S)
    now_s = int((await house.rows.gate()).now.timestamp())
    await _turn(house, now_s)
    assert await house.look(uid) is Outcome.BRAKE_ENGAGED
    assert await house.keys(uid) == [True]


async def test_the_engaged_brake_is_said_once_and_shown_for_as_long_as_it_lasts(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await _deleted_agents(house, LIMIT + 1, keep_until_s=EMPTY_S)
    await _turn(house, EMPTY_S)
    purges = house.purges
    with caplog.at_level(logging.ERROR):
        await purges.show()
        await purges.show()
    assert len([line for line in caplog.records if "purges are stopped" in line.message]) == 1
    assert house.metrics.registry.get_sample_value("moorage_purge_brake_engaged") == 1
    await house.rows.release(reason="known", actor="ada")
    await purges.show()
    assert house.metrics.registry.get_sample_value("moorage_purge_brake_engaged") == 0


async def test_the_switch_stops_everything_until_it_is_put_back(house: House) -> None:
    await _deleted_agents(house, 2, keep_until_s=EMPTY_S)
    assert await house.rows.stop(reason="drill", actor="ada")
    assert await house.rows.stop(reason="drill", actor="bob") is False
    await _turn(house, EMPTY_S)
    assert await _removed(house) == 0
    assert await house.rows.allow(reason="over", actor="ada")
    assert await house.rows.allow(reason="over", actor="ada") is False
    await house.purges.remove_snapshots(epoch=1)
    assert await _removed(house) == 2


async def test_new_snapshots_that_replace_old_ones_are_no_accident(house: House) -> None:
    await house.world.wallet("acme", micros=1_000_000)
    uids = [await house.world.agent(f"a{number}") for number in range(2 * LIMIT)]
    for uid in uids:
        await house.rest(uid)
        old = await house.snapshot(uid, keep_until_s=EMPTY_S)
        assert old
    await house.world.sql.execute(
        "UPDATE moorage.snapshot SET verified_at = to_timestamp($1) WHERE keep_until IS NULL", float(EMPTY_S)
    )
    await _turn(house, EMPTY_S)
    assert await _removed(house) == 2 * LIMIT
    assert (await house.rows.gate()).engaged_at is None


async def test_many_sessions_at_once_destroy_no_more_than_the_limit(house: House, database_url: str) -> None:
    await _deleted_agents(house, LIMIT + 20, keep_until_s=EMPTY_S)
    await house.world.at(EMPTY_S)
    await house.rows.entomb_snapshots(epoch=1, limit=1_000)
    await house.world.at(EMPTY_S + TOMBSTONED_S)
    due = await house.rows.due_snapshots(1_000)
    sessions = [await Database.connect(database_url, size_max=1) for _ in range(6)]
    try:
        asked = await asyncio.gather(
            *(
                PurgeRows(sessions[number % len(sessions)]).purge_snapshot(epoch=1, snapshot_id=snapshot_id)
                for number, snapshot_id in enumerate(due)
            )
        )
    finally:
        for session in sessions:
            await session.close()
    assert [asked.count(outcome) for outcome in (Outcome.STARTED, Outcome.BRAKE_ENGAGED)] == [LIMIT, 20]
    assert (await house.steps()).count("BrakeEngaged") == 1
