"""What people ask for an agent's data, at the database's door: heard once, never lost, never across tenants."""

import uuid
from datetime import timedelta

import pytest

from moorage.model.errors import MoorageError
from moorage.model.names import SnapshotId
from moorage.model.record import AttemptKind, SnapshotPurpose
from moorage.store.agents import Agents, NewAgent
from moorage.store.wishes import Asked, Wishes
from tests.integration.snapshots.world import EPOCH, NAME, NAMESPACE, World, make_agent

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.store]


async def snapshots(world: World, count: int) -> list[str]:
    """So many verified snapshots of the agent, the oldest first."""
    taken = []
    for number in range(count):
        volume = world.volume(f"volume-{number}")
        (volume / "note").write_text(f"{number}")
        taken.append((await world.snapshot(volume)).snapshot_id)
        await world.settle()
    return taken


async def in_state(world: World, state: str) -> None:
    await world.admin.execute(
        "UPDATE moorage.agent SET state = $2, volume_uid = gen_random_uuid() WHERE uid = $1", world.agent_uid, state
    )


async def woken(world: World) -> list[str]:
    return [row["reason"] for row in await world.admin.fetch("SELECT reason FROM moorage.outbox ORDER BY id")]


async def test_a_request_is_in_the_record_and_wakes_the_operator(world: World) -> None:
    await in_state(world, "Running")
    before = await world.record()
    assert await Wishes(world.database).take(NAMESPACE, NAME) is Asked.ASKED
    after = await world.record()
    assert (after.wish, after.fence) == (SnapshotPurpose.DEMAND, before.fence + 1)
    assert "SnapshotAsked" in await woken(world)


async def test_a_decision_that_did_not_know_of_the_request_does_not_wipe_it_out(world: World) -> None:
    await in_state(world, "Running")
    stale = await world.record()
    await Wishes(world.database).take(NAMESPACE, NAME)
    assert not await Agents(world.database).save(epoch=EPOCH, before=stale, after=stale)
    assert (await world.record()).wish is SnapshotPurpose.DEMAND


async def test_who_has_nothing_is_told(world: World) -> None:
    wishes = Wishes(world.database)
    assert await wishes.take(NAMESPACE, "nobody") is Asked.NO_AGENT
    assert await wishes.take(NAMESPACE, NAME) is Asked.NO_DATA
    await snapshots(world, 1)
    await in_state(world, "Suspended")
    assert await wishes.take(NAMESPACE, NAME) is Asked.AT_REST


async def test_only_the_newest_are_kept_and_the_last_always(world: World) -> None:
    taken = await snapshots(world, 4)
    agents = Agents(world.database)
    await agents.keep_newest(epoch=EPOCH, uid=world.agent_uid, count=2)
    await agents.keep_newest(epoch=EPOCH, uid=world.agent_uid, count=2)
    assert [one.id for one in (await world.record()).kept] == [taken[3], taken[2]]
    await world.admin.execute("UPDATE moorage.agent SET snapshot_id = $2 WHERE uid = $1", world.agent_uid, taken[2])
    await agents.keep_newest(epoch=EPOCH, uid=world.agent_uid, count=1)
    assert [one.id for one in (await world.record()).kept] == [taken[2]]


async def test_data_is_chosen_and_what_is_restored_is_that(world: World) -> None:
    first, second = await snapshots(world, 2)
    assert await Wishes(world.database).restore(NAMESPACE, NAME, first) is Asked.CHOSEN
    record = await world.record()
    assert record.restore is not None
    assert (record.restore.id, record.snapshot.id if record.snapshot else None) == (first, second)
    restore = await world.begin(AttemptKind.RESTORE)
    target = world.volume("restored")
    assert (await world.mover("restore", restore, target)).code == 0
    assert (target / "note").read_text() == "0"


async def test_a_new_agent_is_filled_from_a_snapshot_of_its_tenant_also_of_a_deleted_agent(world: World) -> None:
    (source,) = await snapshots(world, 1)
    agents = Agents(world.database)
    await agents.mark_deleted(epoch=EPOCH, uid=world.agent_uid)
    await agents.keep_snapshots(epoch=EPOCH, uid=world.agent_uid, grace=timedelta(days=30))
    clone = str(uuid.uuid4())
    new = NewAgent(uid=clone, namespace=NAMESPACE, name="clone", size="small", restore_from=SnapshotId(source))
    assert await agents.ensure(epoch=EPOCH, new=new)
    record = await agents.load(clone)
    assert record is not None
    assert record.restore is not None
    assert (record.state.value, record.restore.id, record.snapshot, record.kept) == ("Archived", source, None, ())
    world.agent_uid = clone
    restore = await world.begin(AttemptKind.RESTORE)
    target = world.volume("clone")
    ended = await world.mover("restore", restore, target)
    assert ended.code == 0, ended.stderr
    assert (target / "note").read_text() == "0"


@pytest.mark.parametrize("why", ["another tenant's", "nobody's", "given up"])
async def test_a_snapshot_that_is_not_there_for_this_tenant_makes_no_agent_and_is_no_choice(
    world: World, why: str
) -> None:
    (source,) = await snapshots(world, 1)
    if why == "another tenant's":
        await world.admin.execute("UPDATE moorage.tenant SET core_namespace = 'mn-other', name = 'other'")
        await world.admin.execute("UPDATE moorage.agent SET namespace = 'mn-other'")
        await world.admin.execute("UPDATE money.wallet SET name = 'other'")
        await make_agent(world.admin)
    elif why == "nobody's":
        source = SnapshotId(str(uuid.uuid4()))
    else:
        await world.admin.execute("UPDATE moorage.snapshot SET keep_until = clock_timestamp()")
    assert await Wishes(world.database).restore(NAMESPACE, NAME, SnapshotId(source)) is Asked.NO_SNAPSHOT
    new = NewAgent(
        uid=str(uuid.uuid4()), namespace=NAMESPACE, name="clone", size="small", restore_from=SnapshotId(source)
    )
    agents = Agents(world.database)
    assert not await agents.ensure(epoch=EPOCH, new=new)
    assert await agents.load(new.uid) is None
    assert await agents.is_tenant(NAMESPACE)


async def test_there_is_no_choice_for_an_agent_without_storage(world: World) -> None:
    (source,) = await snapshots(world, 1)
    await world.admin.execute("UPDATE moorage.agent SET has_storage = false")
    assert await Wishes(world.database).restore(NAMESPACE, NAME, SnapshotId(source)) is Asked.NO_STORAGE


async def test_the_list_names_each_snapshot_with_its_purpose(world: World) -> None:
    taken = await snapshots(world, 2)
    listed = await Wishes(world.database).listed(NAMESPACE, NAME)
    assert [(one.id, one.purpose, one.last) for one in listed] == [
        (taken[0], "Suspension", False),
        (taken[1], "Suspension", True),
    ]
    assert await Wishes(world.database).listed("mn-other") == []


async def test_a_wish_needs_no_epoch_but_an_old_leader_cannot_prune(world: World) -> None:
    await snapshots(world, 2)
    with pytest.raises(MoorageError):
        await Agents(world.database).keep_newest(epoch=EPOCH + 1, uid=world.agent_uid, count=1)
    assert len((await world.record()).kept) == 2
