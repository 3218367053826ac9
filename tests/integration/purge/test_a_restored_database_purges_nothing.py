"""After a restore of the database nothing goes: the doors refuse by themselves, and trust pushes every deadline."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from moorage.model import clock
from moorage.model.errors import LostLeadership
from moorage.model.purges import Outcome
from moorage.store.database import VERIFY_ROLE, Database
from moorage.store.leader import Leadership
from moorage.store.lineage import Lineage
from tests.integration.purge.world import DAY_S, END_S, TOMBSTONE_S, House

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

WEEK = timedelta(days=7)


@pytest.fixture
async def proof(database_url: str) -> AsyncIterator[Database]:
    """With the rights of the checks, which alone may trust."""
    database = await Database.connect(database_url, size_max=2, role=VERIFY_ROLE)
    yield database
    await database.close()


async def _due(house: House) -> tuple[str, str]:
    """An agent under its tombstone and a snapshot under its own, both of whose time has come."""
    await house.world.sql.execute("UPDATE moorage.leader SET expires_at = '-infinity'")
    house.world.epoch = await Leadership(house.world.database, "one").take() or 0
    (uid,) = await house.starved()
    await house.entombed(uid)
    gone = await house.world.agent("gone", state="Deleted")
    snapshot = await house.snapshot(gone, keep_until_s=END_S)
    await house.rows.entomb_snapshots(epoch=house.world.epoch, limit=10)
    await house.world.at(END_S + 3 * TOMBSTONE_S)
    return uid, snapshot


async def test_every_door_refuses_the_epoch_of_a_history_in_doubt(house: House) -> None:
    uid, snapshot = await _due(house)
    fence = (await house.record(uid)).fence
    await Lineage(house.world.database).doubt(reason="drill", actor="test")
    for door in (
        house.rows.purge_agent(epoch=house.world.epoch, uid=uid, fence=fence),
        house.rows.purge_snapshot(epoch=house.world.epoch, snapshot_id=snapshot),
        house.rows.entomb_snapshots(epoch=house.world.epoch, limit=10),
        house.rows.take_notices(epoch=house.world.epoch, limit=10),
    ):
        with pytest.raises(LostLeadership):
            await door


async def test_the_gate_refuses_whoever_names_the_newest_epoch_while_history_is_in_doubt(house: House) -> None:
    uid, snapshot = await _due(house)
    fence = (await house.record(uid)).fence
    await Lineage(house.world.database).doubt(reason="drill", actor="test")
    epoch = await house.world.sql.fetchval("SELECT epoch FROM moorage.leader")
    assert await house.rows.purge_agent(epoch=epoch, uid=uid, fence=fence) is Outcome.HISTORY_IN_DOUBT
    assert await house.rows.purge_snapshot(epoch=epoch, snapshot_id=snapshot) is Outcome.HISTORY_IN_DOUBT
    assert (await house.rows.gate()).doubt is not None
    assert await house.keys(uid) == [True]
    assert await house.steps() == []


async def test_trust_pushes_every_deadline_by_a_week_and_lifts_every_tombstone(house: House, proof: Database) -> None:
    uid, snapshot = await _due(house)
    await Lineage(house.world.database).doubt(reason="drill", actor="test")
    assert await Lineage(proof).trust(reason="drill", actor="somebody")
    now = clock.from_epoch(END_S + 3 * TOMBSTONE_S)
    record = await house.record(uid)
    assert (record.state, record.grace.ends_at, record.grace.told_at) == ("Archived", now + WEEK, None)
    row = await house.world.sql.fetchrow("SELECT * FROM moorage.snapshot WHERE id = $1", uuid.UUID(snapshot))
    assert (row["keep_until"], row["purge_after"]) == (now + WEEK, None)

    house.world.epoch = await Leadership(house.world.database, "one").take() or 0
    await house.look(uid)
    assert (await house.record(uid)).grace.ends_at == now + WEEK, "no look brings it nearer again"
    await house.world.at(END_S + 3 * TOMBSTONE_S + 7 * DAY_S - 1)
    await house.tell()
    await house.look(uid)
    await house.purges.remove_snapshots(epoch=house.world.epoch)
    assert await house.state(uid) == "Archived"
    assert await house.rows.due_snapshots(10) == []
