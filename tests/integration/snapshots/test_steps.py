"""Every step of an attempt may be cut off at any point, repeated, or raced, and the end is the same."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moorage.model.errors import LostLeadership, Unavailable
from moorage.model.record import AttemptKind, AttemptState
from moorage.model.snapshots import Failure, VerifyAnswer, VerifyRequest
from moorage.services.readback import Readback
from moorage.services.snapshots import Snapshots
from moorage.store.attempt_row import AttemptRow
from moorage.store.movers import Movers
from tests.integration.snapshots.world import EPOCH, World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.store]


class Killed(BaseException):
    """The process ended here; nothing catches it."""


class DeadlyStore:
    """The real store, for a process that is killed right before or right after one of its calls."""

    def __init__(self, store: Any, call: str, *, after: bool) -> None:
        self._store, self._call, self._after = store, call, after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(self._store, name)
        if name != self._call:
            return real  # type: ignore[no-any-return]

        async def deadly(*args: Any, **kwargs: Any) -> None:
            if self._after:
                await real(*args, **kwargs)
            raise Killed

        return deadly


class DeadlyReadback(Readback):
    """A read-back whose operator is killed while, or right after, the verifier runs."""

    def __init__(self, *, after: bool) -> None:
        super().__init__()
        self._after = after

    async def read(self, request: VerifyRequest, *, object_bytes: int) -> VerifyAnswer:
        if self._after:
            await super().read(request, object_bytes=object_bytes)
        raise Killed


def volume_with_data(world: World) -> Path:
    volume = world.volume()
    (volume / "memory").write_text("the answer is 42")
    return volume


async def drive(world: World, snapshots: Snapshots, attempt_id: str, volume: Path) -> AttemptRow:
    """Go on from wherever the attempt stands, as the lifecycle does, until it has ended."""
    while True:
        row = await world.row(attempt_id)
        match row.state:
            case AttemptState.CREATED:
                await snapshots.start(epoch=EPOCH, attempt_id=attempt_id)
            case AttemptState.STARTED:
                await world.mover("capture", attempt_id, volume)
            case AttemptState.UPLOADED:
                await snapshots.commit(epoch=EPOCH, attempt_id=attempt_id)
            case AttemptState.COMMITTED:
                await snapshots.verify(epoch=EPOCH, attempt_id=attempt_id)
            case _:
                return row


KILLS: dict[str, Callable[[World], Snapshots]] = {
    f"{'after' if after else 'before'} the store's {call}": lambda world, call=call, after=after: Snapshots(  # type: ignore[misc]
        database=world.database, store=DeadlyStore(world.store, call, after=after), keyring=world.keyring
    )
    for call in ("create_multipart", "complete", "presign_get")
    for after in (False, True)
} | {
    f"{'after' if after else 'during'} the read-back": lambda world, after=after: Snapshots(  # type: ignore[misc]
        database=world.database, store=world.store, keyring=world.keyring, readback=DeadlyReadback(after=after)
    )
    for after in (False, True)
}


@pytest.mark.parametrize("dying", list(KILLS.values()), ids=list(KILLS))
async def test_an_attempt_converges_when_the_operator_is_killed(
    world: World, dying: Callable[[World], Snapshots]
) -> None:
    volume = volume_with_data(world)
    attempt_id = await world.snapshots.begin(
        epoch=EPOCH, record=await world.record(), kind=AttemptKind.SNAPSHOT, volume_name="data-bot-1"
    )
    assert attempt_id is not None
    for _ in range(2):  # the second life dies at the same point
        with pytest.raises(Killed):
            await drive(world, dying(world), attempt_id, volume)
    row = await drive(world, world.snapshots, attempt_id, volume)
    assert (row.state, row.failure) == (AttemptState.VERIFIED, None)
    assert len(world.gateway.objects(world.bucket)) == 1
    assert world.gateway.unfinished(world.bucket) == []
    assert await world.admin.fetchval("SELECT count(*) FROM moorage.snapshot") == 1
    facts = (await world.record()).snapshot
    assert facts is not None
    row = await world.row(attempt_id)
    assert row.report is not None
    assert 0 < facts.disk_bytes == row.report.disk_bytes


async def test_steps_that_are_over_can_be_repeated_without_effect(world: World) -> None:
    row = await world.snapshot(volume_with_data(world))
    await world.admin.execute("UPDATE moorage.agent SET attempt_id = $1", row.id)
    before = await world.admin.fetchrow("SELECT * FROM moorage.attempt")
    for step in (world.snapshots.start, world.snapshots.commit, world.snapshots.verify):
        await step(epoch=EPOCH, attempt_id=row.id)
    await world.snapshots.fail(epoch=EPOCH, attempt_id=row.id, code=Failure.CALLED_OFF)
    await world.snapshots.abort(attempt_id=row.id)
    assert await world.admin.fetchrow("SELECT * FROM moorage.attempt") == before
    assert len(world.gateway.objects(world.bucket)) == 1


async def test_two_operators_at_once_catalogue_one_snapshot(world: World) -> None:
    attempt_id = await world.begin()
    await world.mover("capture", attempt_id, volume_with_data(world))
    for step in (world.snapshots.commit, world.snapshots.verify):
        await asyncio.gather(*(step(epoch=EPOCH, attempt_id=attempt_id) for _ in range(4)))
    assert (await world.row(attempt_id)).state is AttemptState.VERIFIED
    assert await world.admin.fetchval("SELECT count(*) FROM moorage.snapshot") == 1


async def test_two_begins_from_one_record_make_one_attempt(world: World) -> None:
    record = await world.record()
    begun = await asyncio.gather(
        *(
            world.snapshots.begin(epoch=EPOCH, record=record, kind=AttemptKind.SNAPSHOT, volume_name="data-bot-1")
            for _ in range(5)
        )
    )
    assert len([attempt_id for attempt_id in begun if attempt_id is not None]) == 1
    assert await world.admin.fetchval("SELECT count(*) FROM moorage.attempt") == 1


async def test_begin_writes_nothing_when_the_fence_was_raised(world: World) -> None:
    record = await world.record()
    await world.admin.execute("UPDATE moorage.agent SET fence = fence + 1")
    begun = await world.snapshots.begin(epoch=EPOCH, record=record, kind=AttemptKind.SNAPSHOT, volume_name="data-bot-1")
    assert begun is None
    assert await world.admin.fetchval("SELECT count(*) FROM moorage.attempt") == 0


async def test_no_step_counts_when_another_process_leads(world: World) -> None:
    attempt_id = await world.begin()
    await world.mover("capture", attempt_id, volume_with_data(world))
    record = await world.record()
    await world.admin.execute("UPDATE moorage.leader SET epoch = epoch + 1")
    with pytest.raises(LostLeadership):
        await world.snapshots.begin(epoch=EPOCH, record=record, kind=AttemptKind.SNAPSHOT, volume_name="v")
    with pytest.raises(LostLeadership):
        await world.snapshots.commit(epoch=EPOCH, attempt_id=attempt_id)
    with pytest.raises(LostLeadership):
        await world.snapshots.fail(epoch=EPOCH, attempt_id=attempt_id, code=Failure.CALLED_OFF)
    await world.snapshots.commit(epoch=EPOCH + 1, attempt_id=attempt_id)
    with pytest.raises(LostLeadership):
        await world.snapshots.verify(epoch=EPOCH, attempt_id=attempt_id)
    assert (await world.row(attempt_id)).state is AttemptState.COMMITTED
    assert await world.admin.fetchval("SELECT count(*) FROM moorage.snapshot") == 0


async def test_no_step_acts_when_the_agent_has_moved_on(world: World) -> None:
    attempt_id = await world.snapshots.begin(
        epoch=EPOCH, record=await world.record(), kind=AttemptKind.SNAPSHOT, volume_name="data-bot-1"
    )
    assert attempt_id is not None
    await world.settle()
    await world.snapshots.start(epoch=EPOCH, attempt_id=attempt_id)
    assert (await world.row(attempt_id)).state is AttemptState.CREATED
    assert world.gateway.unfinished(world.bucket) == []


async def test_an_attempt_does_not_start_before_its_turn(world: World) -> None:
    await Movers(world.database).set_limits(epoch=EPOCH, movers_max=0, per_node_max=1)
    attempt_id = await world.begin()
    assert (await world.row(attempt_id)).state is AttemptState.CREATED
    assert world.gateway.unfinished(world.bucket) == []
    await Movers(world.database).set_limits(epoch=EPOCH, movers_max=1, per_node_max=1)
    await world.snapshots.start(epoch=EPOCH, attempt_id=attempt_id)
    assert (await world.row(attempt_id)).state is AttemptState.STARTED


async def test_a_failed_attempt_leaves_nothing_in_the_store(world: World) -> None:
    attempt_id = await world.begin()
    await world.mover("capture", attempt_id, volume_with_data(world))
    assert world.gateway.unfinished(world.bucket) != []
    await world.snapshots.fail(epoch=EPOCH, attempt_id=attempt_id, code=Failure.CALLED_OFF)
    assert world.gateway.unfinished(world.bucket) == []
    assert await world.snapshots.sweep(epoch=EPOCH) == 0


async def test_what_a_mover_that_failed_left_is_removed_by_the_next_attempt(world: World) -> None:
    volume = volume_with_data(world)
    first = await world.begin()
    (volume / "closed").mkdir(mode=0)
    assert (await world.mover("capture", first, volume)).code == 1
    (volume / "closed").rmdir()
    second = await world.begin()
    row = await drive(world, world.snapshots, second, volume)
    assert row.state is AttemptState.VERIFIED
    assert world.gateway.unfinished(world.bucket) == []
    assert await world.snapshots.sweep(epoch=EPOCH) == 0


async def test_a_failure_while_the_store_is_away_is_swept_later(world: World) -> None:
    attempt_id = await world.begin()
    await world.mover("capture", attempt_id, volume_with_data(world))
    world.gateway.stop()
    await world.snapshots.fail(epoch=EPOCH, attempt_id=attempt_id, code=Failure.CALLED_OFF)
    assert (await world.row(attempt_id)).state is AttemptState.FAILED
    world.gateway.start()
    assert await world.snapshots.sweep(epoch=EPOCH) == 1
    assert await world.snapshots.sweep(epoch=EPOCH) == 0
    assert world.gateway.unfinished(world.bucket) == []


async def test_each_step_waits_for_a_store_that_is_away(world: World) -> None:
    volume = volume_with_data(world)
    attempt_id = await world.snapshots.begin(
        epoch=EPOCH, record=await world.record(), kind=AttemptKind.SNAPSHOT, volume_name="data-bot-1"
    )
    assert attempt_id is not None
    for step in (world.snapshots.start, world.snapshots.commit):
        before = (await world.row(attempt_id)).state
        world.gateway.stop()
        with pytest.raises(Unavailable):
            await step(epoch=EPOCH, attempt_id=attempt_id)
        assert (await world.row(attempt_id)).state is before
        world.gateway.start()
        await step(epoch=EPOCH, attempt_id=attempt_id)
        if before is AttemptState.CREATED:
            assert (await world.mover("capture", attempt_id, volume)).code == 0
    assert (await world.row(attempt_id)).state is AttemptState.COMMITTED


async def test_a_mover_waits_for_a_store_that_comes_back(world: World) -> None:
    attempt_id = await world.begin()
    world.gateway.stop()
    child = await world.start_mover("capture", attempt_id, volume_with_data(world))
    await claimed(world, attempt_id)
    world.gateway.start()
    await child.communicate()
    assert child.returncode == 0
    assert (await world.row(attempt_id)).state is AttemptState.UPLOADED


async def claimed(world: World, attempt_id: str) -> None:
    """Wait until a mover has its assignment."""
    async with asyncio.timeout(120):
        while (await world.row(attempt_id)).mover_pod_uid is None:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)


async def test_a_mover_that_is_told_to_stop_says_so(world: World) -> None:
    attempt_id = await world.begin()
    world.gateway.stop()  # so that it cannot be done before it is told
    child = await world.start_mover("capture", attempt_id, volume_with_data(world))
    await claimed(world, attempt_id)
    child.terminate()
    await child.communicate()
    row = await world.row(attempt_id)
    assert (child.returncode, row.state, row.failure) == (1, AttemptState.FAILED, Failure.INTERRUPTED)


async def committed(world: World) -> str:
    attempt_id = await world.begin()
    await world.mover("capture", attempt_id, volume_with_data(world))
    await world.snapshots.commit(epoch=EPOCH, attempt_id=attempt_id)
    assert (await world.row(attempt_id)).state is AttemptState.COMMITTED
    return attempt_id


MISMATCHES = {
    "another number of files": ("file_count", "7", Failure.COUNT_MISMATCH),
    "another number of bytes": ("plain_bytes", "7", Failure.COUNT_MISMATCH),
    "another size": ("object_bytes", "7", Failure.OBJECT_DAMAGED),
    "another hash": ("sha256", f'"{"ab" * 32}"', Failure.OBJECT_DAMAGED),
}


@pytest.mark.parametrize(("field", "value", "failure"), list(MISMATCHES.values()), ids=list(MISMATCHES))
async def test_verification_fails_when_the_mover_reported(
    world: World, field: str, value: str, failure: Failure
) -> None:
    attempt_id = await committed(world)
    await world.admin.execute(
        "UPDATE moorage.attempt SET report = jsonb_set(report, ARRAY[$1::text], $2::text::jsonb)", field, value
    )
    await world.snapshots.verify(epoch=EPOCH, attempt_id=attempt_id)
    row = await world.row(attempt_id)
    assert (row.state, row.failure) == (AttemptState.FAILED, failure)
    assert await world.admin.fetchval("SELECT count(*) FROM moorage.snapshot") == 0
    assert world.gateway.objects(world.bucket) == []


async def test_verification_fails_when_the_object_vanished(world: World) -> None:
    attempt_id = await committed(world)
    await world.store.delete((await world.row(attempt_id)).object_key)
    await world.snapshots.verify(epoch=EPOCH, attempt_id=attempt_id)
    row = await world.row(attempt_id)
    assert (row.state, row.failure) == (AttemptState.FAILED, Failure.OBJECT_MISSING)


async def test_verification_fails_when_the_object_was_changed(world: World) -> None:
    attempt_id = await committed(world)
    (stored,) = world.gateway.objects(world.bucket)
    stored.write_bytes(stored.read_bytes()[:-1])
    await world.snapshots.verify(epoch=EPOCH, attempt_id=attempt_id)
    row = await world.row(attempt_id)
    assert (row.state, row.failure) == (AttemptState.FAILED, Failure.OBJECT_DAMAGED)


async def test_verification_is_tried_again_when_the_verifier_dies(world: World) -> None:
    attempt_id = await committed(world)
    broken = Snapshots(
        database=world.database, store=world.store, keyring=world.keyring, readback=Readback(["/bin/false"])
    )
    with pytest.raises(Exception, match="without an answer"):
        await broken.verify(epoch=EPOCH, attempt_id=attempt_id)
    await world.snapshots.verify(epoch=EPOCH, attempt_id=attempt_id)
    assert (await world.row(attempt_id)).state is AttemptState.VERIFIED


async def test_commit_fails_the_attempt_when_the_upload_was_lost(world: World) -> None:
    attempt_id = await world.begin()
    await world.mover("capture", attempt_id, volume_with_data(world))
    await world.store.abort((await world.row(attempt_id)).object_key)
    await world.snapshots.commit(epoch=EPOCH, attempt_id=attempt_id)
    row = await world.row(attempt_id)
    assert (row.state, row.failure) == (AttemptState.FAILED, Failure.UPLOAD_LOST)


async def test_a_snapshot_exists_only_while_its_object_is_whole(world: World) -> None:
    taken = await world.snapshot(volume_with_data(world))
    assert await world.snapshots.exists(taken.snapshot_id)
    world.gateway.stop()
    with pytest.raises(Unavailable):
        await world.snapshots.exists(taken.snapshot_id)
    world.gateway.start()
    (stored,) = world.gateway.objects(world.bucket)
    stored.write_bytes(stored.read_bytes()[:-1])
    assert not await world.snapshots.exists(taken.snapshot_id)
    await world.store.delete(taken.object_key)
    assert not await world.snapshots.exists(taken.snapshot_id)
    assert not await world.snapshots.exists("00000000-0000-0000-0000-000000000000")


async def test_a_failed_restore_leaves_the_snapshot_alone(world: World) -> None:
    taken = await world.snapshot(volume_with_data(world))
    attempt_id = await world.begin(AttemptKind.RESTORE)
    await world.snapshots.fail(epoch=EPOCH, attempt_id=attempt_id, code=Failure.CALLED_OFF)
    await world.snapshots.abort(attempt_id=attempt_id)
    await world.snapshots.sweep(epoch=EPOCH)
    assert await world.snapshots.exists(taken.snapshot_id)
    restored = await world.restore(world.volume("restored"))
    assert restored.state is AttemptState.VERIFIED, restored.failure


async def test_a_data_key_that_was_moved_to_another_attempt_does_not_open(world: World) -> None:
    await world.snapshot(volume_with_data(world))
    attempt_id = await world.begin()
    await world.admin.execute(
        "UPDATE moorage.attempt SET wrapped_key = (SELECT wrapped_key FROM moorage.snapshot) WHERE id = $1", attempt_id
    )
    with pytest.raises(Exception, match="does not open"):
        await world.sessions.session(world.identity(attempt_id), attempt_id)


async def test_an_attempt_that_its_agent_has_left_is_ended_and_leaves_nothing_behind(world: World) -> None:
    attempt_id = await world.begin()
    assert await world.snapshots.sweep(epoch=EPOCH) == 0
    assert (await world.row(attempt_id)).state is AttemptState.STARTED, "its agent is on it"
    await world.settle()  # the node was lost: the agent is restored elsewhere
    assert await world.snapshots.sweep(epoch=EPOCH) == 1
    row = await world.row(attempt_id)
    assert (row.state, row.failure, row.upload_id) == (AttemptState.FAILED, Failure.CALLED_OFF, None)
