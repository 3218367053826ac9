"""A purge that dies between any two of its steps is taken up again, and no step that was done is done twice."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest

from moorage.model.names import SnapshotId
from moorage.model.purges import Outcome
from moorage.model.record import AttemptKind
from moorage.store.attempt_row import NewAttempt
from moorage.store.snapshots import SnapshotRows
from tests.integration.purge.world import DAY_S, EMPTY_S, END_S, TOMBSTONE_S, House

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

# Not pg_stat_activity, which a transaction sees as it was at its first look.
WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"


class Killed(Exception):
    """The process ends here."""


async def test_a_transaction_that_does_not_commit_has_destroyed_nothing(house: House) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    fence = (await house.record(uid)).fence

    async def begin_and_die() -> None:
        async with house.world.database.transaction() as connection:
            started = await connection.fetchval("SELECT moorage.purge_agent(1, $1, $2)", uid, fence)
            assert started == "Started"
            raise Killed

    with pytest.raises(Killed):
        await begin_and_die()
    assert (await house.state(uid), await house.keys(uid), await house.steps()) == ("PurgePending", [True], [])
    assert await house.look(uid) is Outcome.STARTED


async def _die(_: str) -> None:
    raise Killed


async def _act_and_die(house: House, key: str) -> None:
    house.bucket.objects.discard(key)
    raise Killed


STEPS: dict[str, Callable[[House], dict[str, Callable[[str], Awaitable[None]]]]] = {
    "before the uploads are aborted": lambda _: {"abort": _die},
    "before the object is deleted": lambda _: {"delete": _die},
    "after the object was deleted": lambda house: {"delete": lambda key: _act_and_die(house, key)},
    "before the store was asked whether it is gone": lambda _: {"head": _die},
}


@pytest.mark.parametrize("name", STEPS, ids=lambda name: name.replace(" ", "_"))
async def test_what_a_dead_process_left_is_removed_by_the_next(house: House, name: str) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    await house.look(uid)
    calls = STEPS[name](house)
    alive = {call: getattr(house.bucket, call) for call in calls}
    for call, dies in calls.items():
        setattr(house.bucket, call, dies)
    with pytest.raises(Killed):
        await house.purges.remove_objects(epoch=1)
    for call, works in alive.items():
        setattr(house.bucket, call, works)
    for _ in range(2):
        await house.purges.remove_objects(epoch=1)
    assert house.bucket.objects == set()
    assert await house.steps() == ["Started", "KeyDestroyed", "ObjectRemoved"]


async def test_what_stands_in_the_way_for_a_year_is_waited_for_for_a_year(house: House) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    await house.world.pay(None, "pi_nobody", payer="stranger")
    for day in range(0, 365, 5):
        await house.world.at(END_S + TOMBSTONE_S + day * DAY_S)
        assert await house.look(uid) is Outcome.PAYMENT_MAY_COME
    assert await house.keys(uid) == [True]
    assert await house.steps() == []


async def test_an_agent_deleted_under_its_tombstone_keeps_its_snapshot_for_the_grace_of_deleted_ones(
    house: House,
) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    await house.look(uid, deleting=True)
    assert await house.state(uid) == "Deleted"
    assert await house.keys(uid) == [True]
    assert await house.steps() == []


@pytest.mark.parametrize("restore_first", [True, False], ids=["restore_first", "purge_first"])
async def test_a_restore_that_begins_exactly_at_the_purge_has_its_key_or_is_refused(
    house: House, restore_first: bool
) -> None:
    await house.world.wallet("acme", micros=1_000_000)
    uid = await house.world.agent("a0")
    await house.rest(uid)
    old = await house.snapshot(uid, keep_until_s=EMPTY_S)
    await house.world.at(EMPTY_S)
    await house.rows.entomb_snapshots(epoch=1, limit=1_000)
    await house.world.at(EMPTY_S + TOMBSTONE_S)
    record = await house.record(uid)
    restore = NewAttempt(
        id=str(uuid.uuid4()), agent_uid=record.uid, tenant_uid=record.tenant_uid, snapshot_id=SnapshotId(old),
        kind=AttemptKind.RESTORE, purpose=None, object_key="k", wrapped_key=b"key", volume_name="v",
    )  # fmt: skip
    begin = SnapshotRows(house.world.database).add(1, restore, node=None, fence=record.fence, replaces=None)
    purge = house.rows.purge_snapshot(epoch=1, snapshot_id=old)
    # Both at the same row, in an order that is ours to choose.
    async with house.world.sql.transaction():
        await house.world.sql.execute("SELECT 1 FROM moorage.snapshot WHERE id = $1 FOR UPDATE", old)
        asked = []
        for waiting, question in enumerate((begin, purge) if restore_first else (purge, begin), start=1):
            asked.append(asyncio.create_task(question))
            async with asyncio.timeout(60):
                while await house.world.sql.fetchval(WAITING) < waiting:
                    assert not asked[-1].done(), "it did not ask for the snapshot's row"
                    await asyncio.sleep(0.005)
    answers = await asyncio.gather(*asked)
    begun, outcome = answers if restore_first else reversed(answers)
    assert (begun, outcome) == ((True, Outcome.SNAPSHOT_IN_USE) if restore_first else (False, Outcome.STARTED))
    assert all(await house.keys(uid)) is restore_first
