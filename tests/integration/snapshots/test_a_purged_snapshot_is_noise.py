"""A purged snapshot cannot be read any more, even by whoever kept its object, the database and the root key."""

import json
from typing import Any

import pytest

from moorage.model.purges import Outcome
from moorage.model.sealing import KeyUnreadable
from moorage.observability import Metrics
from moorage.providers.recorded_notices import RecordedNotices
from moorage.services.purges import Purges
from moorage.services.snapshots import open_data_key
from moorage.store.attempt_row import AttemptRow
from moorage.store.catalogue import Catalogue
from moorage.store.purges import PurgeRows
from tests.integration.snapshots.world import EPOCH, World

pytestmark = [pytest.mark.postgres, pytest.mark.store, pytest.mark.anyio]


@pytest.fixture
async def taken(world: World) -> AttemptRow:
    """A verified snapshot of an agent that was deleted long ago."""
    volume = world.volume()
    (volume / "diary.txt").write_text("a secret")
    taken = await world.snapshot(volume)
    await world.admin.execute("UPDATE moorage.agent SET state = 'Deleted'")
    await world.admin.execute("UPDATE moorage.snapshot SET keep_until = now() - interval '1 day'")
    return taken


def _purges(world: World) -> Purges:
    rows = PurgeRows(world.database)
    return Purges(rows=rows, store=world.store, notices=RecordedNotices(), metrics=Metrics())


async def _tombstone_is_over(world: World) -> None:
    assert await PurgeRows(world.database).entomb_snapshots(epoch=EPOCH, limit=10) == 1
    await world.admin.execute("UPDATE moorage.snapshot SET purge_after = now()")


async def test_no_copy_of_the_key_is_left_in_the_database_and_then_the_object_goes(
    world: World, taken: AttemptRow
) -> None:
    await open_data_key(world.keyring, taken)
    await _tombstone_is_over(world)
    assert await PurgeRows(world.database).purge_snapshot(epoch=EPOCH, snapshot_id=taken.snapshot_id) is Outcome.STARTED
    assert len(world.gateway.objects(world.bucket)) == 1, "the key goes first"
    with pytest.raises(Exception, match="data key") as caught:
        await open_data_key(world.keyring, await world.row(taken.id))
    assert isinstance(caught.value.__cause__, KeyUnreadable)
    assert await Catalogue(world.database).find(taken.snapshot_id) is None
    assert await world.snapshots.exists(taken.snapshot_id) is False
    assert taken.wrapped_key not in await _everything(world)

    assert await _purges(world).remove_objects(epoch=EPOCH) == 0
    assert world.gateway.objects(world.bucket) == []


async def test_a_store_that_is_away_is_asked_again_when_it_is_back(world: World, taken: AttemptRow) -> None:
    await _tombstone_is_over(world)
    world.gateway.stop()
    purges = _purges(world)
    assert await purges.remove_snapshots(epoch=EPOCH) == 1, "destroying a key needs no store"
    assert await purges.remove_objects(epoch=EPOCH) == 1
    world.gateway.start()
    assert len(world.gateway.objects(world.bucket)) == 1
    assert await purges.remove_objects(epoch=EPOCH) == 0
    assert world.gateway.objects(world.bucket) == []
    steps = [done.step for done in reversed(await PurgeRows(world.database).audit(10))]
    assert steps == ["Started", "KeyDestroyed", "ObjectRefused", "ObjectRemoved"]
    assert taken.failure is None


async def _everything(world: World) -> bytes:
    """Every byte string of every row that speaks of snapshots."""
    found: list[Any] = []
    for table in ("snapshot", "attempt", "purge_audit", "agent", "outbox"):
        for row in await world.admin.fetch(f"SELECT * FROM moorage.{table}"):
            found += list(row.values())
    texts = [item for item in found if isinstance(item, bytes)]
    texts += [json.dumps(item, default=str).encode() for item in found if not isinstance(item, bytes)]
    return b"|".join(texts)
