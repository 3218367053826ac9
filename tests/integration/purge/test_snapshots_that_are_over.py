"""Snapshots of deleted agents, and old ones nobody keeps: removed in their time, never while somebody needs them."""

import uuid

import pytest

from moorage.jobs.purge_data import PurgeData
from moorage.model.errors import LostLeadership
from moorage.model.names import SnapshotId
from moorage.model.purges import Outcome
from moorage.model.record import AttemptKind
from moorage.store.attempt_row import NewAttempt
from moorage.store.snapshots import SnapshotRows
from tests.integration.purge.world import EMPTY_S, House

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

AFTER_S = EMPTY_S + 16 * 60


@pytest.fixture
async def agent(house: House) -> str:
    """An agent at rest with one snapshot, whose wallet can pay."""
    await house.world.wallet("acme", micros=1_000_000)
    uid = await house.world.agent("bot")
    await house.rest(uid)
    await house.world.at(EMPTY_S)
    return uid


async def _turn(house: House) -> None:
    await house.world.at(EMPTY_S)
    await house.purges.remove_snapshots(epoch=1)
    await house.world.at(AFTER_S)
    await house.purges.remove_snapshots(epoch=1)
    await house.purges.remove_objects(epoch=1)


async def test_an_old_snapshot_goes_and_the_last_one_stays(house: House, agent: str) -> None:
    await house.snapshot(agent, keep_until_s=EMPTY_S)
    await _turn(house)
    assert sorted(await house.keys(agent)) == [False, True]
    assert len(house.bucket.objects) == 1
    assert {line.cause for line in await house.rows.audit(10) if line.step == "Started"} == {"NotKept"}


async def test_a_deleted_agent_loses_its_snapshots_when_their_time_is_over(house: House, agent: str) -> None:
    await house.world.sql.execute("UPDATE moorage.snapshot SET keep_until = to_timestamp($1)", float(EMPTY_S + 60))
    await house.world.sql.execute("UPDATE moorage.agent SET state = 'Deleted'")
    await _turn(house)
    assert await house.keys(agent) == [True], "its time was not over when the tombstones were put"
    await house.world.at(AFTER_S + 3600)
    await house.purges.remove_snapshots(epoch=1)
    await house.world.at(AFTER_S + 7200)
    await house.purges.remove_snapshots(epoch=1)
    assert await house.keys(agent) == [False]
    assert {line.cause for line in await house.rows.audit(10) if line.step == "Started"} == {"AgentDeleted"}


async def test_the_snapshot_that_an_agent_counts_on_stays_whatever_is_written_beside_it(
    house: House, agent: str
) -> None:
    await house.world.sql.execute("UPDATE moorage.snapshot SET keep_until = to_timestamp($1)", float(EMPTY_S))
    await _turn(house)
    assert await house.keys(agent) == [True]


async def test_what_is_needed_again_loses_its_tombstone(house: House, agent: str) -> None:
    old = await house.snapshot(agent, keep_until_s=EMPTY_S)
    await house.purges.remove_snapshots(epoch=1)
    clone = await house.world.agent("clone")
    await house.world.sql.execute(
        "UPDATE moorage.agent SET snapshot_id = $2 WHERE uid = $1", uuid.UUID(clone), uuid.UUID(old)
    )
    await house.world.at(AFTER_S)
    assert await house.rows.purge_snapshot(epoch=1, snapshot_id=old) is Outcome.SNAPSHOT_IN_USE
    assert await house.rows.due_snapshots(10) == []
    assert await house.keys(agent) == [True, True]


async def test_a_restore_that_begins_first_keeps_its_snapshot_and_one_that_comes_later_is_refused(
    house: House, agent: str
) -> None:
    old = await house.snapshot(agent, keep_until_s=EMPTY_S)
    rows, record = SnapshotRows(house.world.database), await house.record(agent)
    restore = NewAttempt(
        id=str(uuid.uuid4()), agent_uid=record.uid, tenant_uid=record.tenant_uid, snapshot_id=SnapshotId(old),
        kind=AttemptKind.RESTORE, purpose=None, object_key="k", wrapped_key=b"key", volume_name="v",
    )  # fmt: skip
    assert await rows.add(1, restore, node=None, fence=record.fence, replaces=None)
    await _turn(house)
    assert await house.keys(agent) == [True, True]
    await house.world.sql.execute("UPDATE moorage.agent SET attempt_id = NULL")
    await _turn(house)
    assert sorted(await house.keys(agent)) == [False, True]
    late = NewAttempt(
        id=str(uuid.uuid4()), agent_uid=record.uid, tenant_uid=record.tenant_uid, snapshot_id=SnapshotId(old),
        kind=AttemptKind.RESTORE, purpose=None, object_key="k", wrapped_key=b"key", volume_name="v",
    )  # fmt: skip
    assert await rows.add(1, late, node=None, fence=record.fence, replaces=None) is False


async def test_a_snapshot_of_a_wallet_on_hold_is_not_removed(house: House, agent: str) -> None:
    await house.snapshot(agent, keep_until_s=EMPTY_S)
    await house.world.ledger.place_hold(1, cause="Dispute", ref="drill", actor="test")
    await _turn(house)
    assert await house.keys(agent) == [True, True]


async def test_a_store_that_refuses_keeps_the_object_for_later_and_the_audit_says_both(
    house: House, agent: str
) -> None:
    await house.snapshot(agent, keep_until_s=EMPTY_S)
    house.bucket.refuses = True
    await _turn(house)
    await house.purges.remove_objects(epoch=1)
    assert sorted(await house.keys(agent)) == [False, True], "the key needs no store"
    assert len(house.bucket.objects) == 2
    assert await house.steps() == ["Started", "KeyDestroyed", "ObjectRefused"]
    house.bucket.refuses = False
    for _ in range(2):
        await house.purges.remove_objects(epoch=1)
    assert await house.steps() == ["Started", "KeyDestroyed", "ObjectRefused", "ObjectRemoved"]
    assert len(house.bucket.objects) == 1


async def test_each_step_may_be_killed_and_done_again(house: House, agent: str) -> None:
    old = await house.snapshot(agent, keep_until_s=EMPTY_S)
    for _ in range(2):  # killed after the tombstone
        await house.rows.entomb_snapshots(epoch=1, limit=10)
    await house.world.at(AFTER_S)
    answers = [await house.rows.purge_snapshot(epoch=1, snapshot_id=old) for _ in range(2)]  # killed after the key
    assert answers == [Outcome.STARTED, Outcome.CROSSED]
    ((left, key),) = await house.rows.objects_left(10)
    await house.bucket.delete(key)  # killed after the object went, before that was written down
    for _ in range(2):
        await house.purges.remove_objects(epoch=1)
    assert (left, await house.rows.objects_left(10)) == (old, [])
    assert await house.steps() == ["Started", "KeyDestroyed", "ObjectRemoved"]


async def test_the_job_does_all_of_it_in_its_turns_and_keeps_the_metrics_when_it_cannot(
    house: House, agent: str
) -> None:
    await house.snapshot(agent, keep_until_s=EMPTY_S)
    job = PurgeData(house.purges, lambda: house.world.epoch)
    for now_s in (EMPTY_S, AFTER_S):
        await house.world.at(now_s)
        assert await job.tell() == await job.remove() == 60.0
    assert sorted(await house.keys(agent)) == [False, True]
    assert await house.steps() == ["Started", "KeyDestroyed", "ObjectRemoved"]

    await house.rows.stop(reason="drill", actor="ada")
    house.world.epoch = 0
    with pytest.raises(LostLeadership):
        await job.remove()
    assert house.metrics.registry.get_sample_value("moorage_purge_stopped") == 1
