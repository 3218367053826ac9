"""An agent that nobody pays for keeps its data for the grace, is announced three times, and is then gone for good."""

import uuid
from datetime import timedelta

import pytest

from moorage.model import clock
from moorage.model.names import SnapshotId
from moorage.model.purges import Outcome, Stage
from moorage.model.rates import Meter
from moorage.store.wishes import Asked, Wishes
from tests.integration.purge.world import DAY_S, EMPTY_S, END_S, TOMBSTONE_S, House

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


async def test_the_data_of_an_empty_wallet_goes_after_grace_notices_and_tombstone(house: House) -> None:
    (uid,) = await house.starved()
    await house.look(uid)
    assert (await house.record(uid)).grace.ends_at == clock.from_epoch(END_S)
    for days, stage in ((7, Stage.SEVEN_DAYS), (3, Stage.THREE_DAYS), (1, Stage.ONE_DAY)):
        await house.world.at(END_S - days * DAY_S - 1)
        await house.tell()
        assert stage not in {notice.stage for notice in house.notices.accepted}
        await house.world.at(END_S - days * DAY_S)
        await house.tell()
        assert house.notices.accepted[-1].stage is stage
    assert len(house.notices.accepted) == 3

    await house.world.at(END_S - 1)
    await house.look(uid)
    assert await house.state(uid) == "Archived"
    await house.world.at(END_S)
    assert await house.look(uid) is None
    assert await house.state(uid) == "PurgePending"
    await house.world.at(END_S + TOMBSTONE_S - 1)
    assert await house.look(uid) is None
    assert await house.keys(uid) == [True]

    await house.world.at(END_S + TOMBSTONE_S)
    assert await house.look(uid) is Outcome.STARTED
    assert await house.state(uid) == "Purged"
    assert await house.keys(uid) == [False]
    assert await house.world.sql.fetchval("SELECT count(*) FROM moorage.attempt WHERE wrapped_key IS NOT NULL") == 0
    assert len(house.bucket.objects) == 1, "the object goes after its key"
    await house.purges.remove_objects(epoch=1)
    assert house.bucket.objects == set()
    assert len(house.bucket.aborted) == 1
    assert await house.steps() == ["Started", "KeyDestroyed", "ObjectRemoved"]


async def test_a_purged_agent_stays_purged_whatever_is_paid_and_its_meters_end(house: House) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    assert [stored.meter for stored in (await house.record(uid)).stored] == [Meter.SNAPSHOT]
    await house.look(uid)
    await house.look(uid)
    assert (await house.record(uid)).stored == ()
    granted = await house.world.grant(50_000_000)
    assert (granted.balance_micros > 49_000_000, granted.resumed) == (True, 0)
    await house.look(uid)
    record = await house.record(uid)
    assert (record.state, record.snapshot) == ("Purged", None)
    assert record.grace.purged_at == clock.from_epoch(END_S + TOMBSTONE_S)


async def test_a_volume_that_is_left_is_deleted_by_its_uid_and_written_down_once(house: House) -> None:
    (uid,) = await house.starved(state="Suspended")
    (volume,) = house.volumes[uid]
    await house.entombed(uid)
    assert house.volumes[uid] == (volume,), "it is kept up to the last moment"
    await house.look(uid)
    assert await house.state(uid) == "Purged"
    await house.look(uid)
    assert house.volumes[uid] == ()
    house.volumes[uid] = (volume,)  # a cache that is behind: it is asked away again, and written down once
    await house.look(uid)
    assert await house.steps() == ["Started", "KeyDestroyed", "VolumeRemoved"]


async def test_a_longer_grace_moves_the_end_and_asks_for_new_notices_a_shorter_one_does_nothing(house: House) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    await house.look(uid, grace=timedelta(days=60))
    record = await house.record(uid)
    assert (record.state, record.grace.told_at) == ("Archived", None)
    assert record.grace.ends_at == clock.from_epoch(EMPTY_S + 60 * DAY_S)
    await house.look(uid, grace=timedelta(days=1))
    assert (await house.record(uid)).grace.ends_at == clock.from_epoch(EMPTY_S + 60 * DAY_S)


async def test_an_agent_that_the_user_paused_goes_only_when_its_wallet_is_empty_too(house: House) -> None:
    await house.world.wallet("rich", micros=1_000_000)
    paused = await house.world.agent("paused", wallet="rich")
    await house.rest(paused)
    await house.world.sql.execute("UPDATE moorage.agent SET user_paused = true WHERE uid = $1", uuid.UUID(paused))
    await house.look(paused)
    assert (await house.record(paused)).grace.ends_at is None

    uids = await house.starved(agents=2)
    await house.world.sql.execute("UPDATE moorage.agent SET user_paused = true WHERE uid = $1", uuid.UUID(uids[0]))
    await house.look(uids[0])
    assert (await house.record(uids[0])).grace.ends_at is not None


async def test_a_wallet_with_credit_that_does_not_suffice_to_resume_loses_no_data(house: House) -> None:
    (uid,) = await house.starved()
    await house.announced(uid)
    granted = await house.world.grant(100)  # ten seconds; six hundred are needed
    assert granted.missing_micros > 0
    assert (await house.record(uid)).grace.ends_at is None, "any credit ends the grace, in its own transaction"
    await house.look(uid)
    assert (await house.record(uid)).grace.ends_at is None


async def test_a_purged_agent_gives_and_takes_no_data_any_more(house: House) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    await house.look(uid)
    other = await house.world.agent("other")
    snapshot = await house.rest(other)
    wishes = Wishes(house.world.database)
    assert await wishes.take("mn-acme", "acme-0") is Asked.PURGED
    assert await wishes.restore("mn-acme", "acme-0", SnapshotId(snapshot)) is Asked.PURGED
    assert (await house.record(uid)).restore is None
    row = await house.world.sql.fetchrow("SELECT * FROM moorage.snapshot WHERE agent_uid = $1", uuid.UUID(uid))
    assert row["keep_until"] <= row["purged_at"], "whoever asks for snapshots that are kept does not find it"
