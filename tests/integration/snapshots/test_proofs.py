"""Snapshots are restored for a test and counted against the store, by the clock and by hand; nothing is deleted."""

import asyncio
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from moorage.cli import main, terminal
from moorage.jobs.prove_snapshots import BETWEEN_TESTS_SECONDS, LOOK_SECONDS, ProveSnapshots
from moorage.model import names
from moorage.model.errors import LostLeadership, Transient, Unavailable
from moorage.model.names import SnapshotId
from moorage.model.snapshots import Failure
from moorage.observability import Metrics
from moorage.services.restore_tests import PER_NIGHT_MIN, RestoreOutcome, RestoreTests
from moorage.services.scratch import Scratch
from moorage.store.catalogue import Catalogue, Catalogued
from tests import store_server
from tests.integration.snapshots.world import EPOCH, World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.store]

GIBIBYTE = 1 << 30


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def rehearsals(tmp_path: Path) -> Path:
    folder = tmp_path / "rehearsals"
    folder.mkdir()
    return folder


@pytest.fixture
def prove(world: World, metrics: Metrics, rehearsals: Path) -> ProveSnapshots:
    catalogue = Catalogue(world.database)
    tests = RestoreTests(catalogue, world.store, world.keyring, Scratch(rehearsals, GIBIBYTE))
    return ProveSnapshots(catalogue, world.store, tests, metrics, lambda: EPOCH)


async def snapshots(world: World, count: int) -> list[SnapshotId]:
    """Ids of as many snapshots, oldest first."""
    volume = world.volume()
    (volume / "memory").write_text("the answer is 42")
    (volume / "closed").mkdir(mode=0o500)
    return [(await world.snapshot(volume)).snapshot_id for _ in range(count)]


async def tested(world: World) -> dict[str, str | None]:
    rows = await world.admin.fetch("SELECT id::text, test_failure FROM moorage.snapshot WHERE tested_at IS NOT NULL")
    return dict(tuple(row) for row in rows)


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


async def test_each_night_restores_the_longest_untested_and_then_rests(
    world: World, prove: ProveSnapshots, metrics: Metrics, rehearsals: Path
) -> None:
    ids = await snapshots(world, 3)
    for number in (1, 2, 3):
        assert await prove.restore() == BETWEEN_TESTS_SECONDS
        assert await tested(world) == dict.fromkeys(ids[:number])
        assert os.listdir(rehearsals) == []  # noqa: PTH208 - as names
    assert await prove.restore() == LOOK_SECONDS
    await world.admin.execute(
        "UPDATE moorage.snapshot SET tested_at = tested_at - interval '25 hours' WHERE id <> $1", ids[0]
    )
    await prove.restore()
    rows = await world.admin.fetch("SELECT id::text FROM moorage.snapshot ORDER BY tested_at DESC LIMIT 1")
    assert rows[0][0] == ids[1]
    assert sample(metrics, "moorage_snapshot_restore_test_failures_total") == 0


async def test_a_night_takes_five_or_a_hundredth_of_all(world: World, prove: ProveSnapshots) -> None:
    (first,) = await snapshots(world, 1)
    columns = await world.admin.fetchval(
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute"
        " WHERE attrelid = 'moorage.snapshot'::regclass AND attnum > 0 AND attgenerated = ''"
    )
    for count, due in ((PER_NIGHT_MIN, True), (600, False)):
        await world.admin.execute("DELETE FROM moorage.snapshot WHERE id <> $1", first)
        await world.admin.execute(
            f"INSERT INTO moorage.snapshot ({columns}) SELECT {columns} FROM (SELECT (jsonb_populate_record(s,"
            " jsonb_build_object('id', gen_random_uuid(), 'object_key', gen_random_uuid(),"
            " 'tested_at', CASE WHEN n <= 6 THEN clock_timestamp() END))).*"
            " FROM moorage.snapshot s, generate_series(1, $1::int) n) made",
            count,
        )
        await world.admin.execute("UPDATE moorage.snapshot SET tested_at = NULL WHERE id = $1", first)
        state = await Catalogue(world.database).test_state()
        assert state.tested == min(count, 6)
        tests = RestoreTests(Catalogue(world.database), world.store, world.keyring, Scratch(None, GIBIBYTE))
        assert (await tests.due() == []) is due  # five of six are enough, six of 601 are not


async def test_a_snapshot_that_does_not_come_back_is_told_and_stays(
    world: World, prove: ProveSnapshots, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    (only,) = await snapshots(world, 1)
    (stored,) = world.gateway.objects(world.bucket)
    content = stored.read_bytes()
    stored.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    await prove.restore()
    assert await tested(world) == {only: Failure.OBJECT_DAMAGED.value}
    assert sample(metrics, "moorage_snapshot_restore_test_failures_total") == 1
    assert [record.__dict__["snapshot"] for record in caplog.records] == [names.snapshot_name(only)]
    assert world.gateway.objects(world.bucket) == [stored]
    assert await world.admin.fetchval("SELECT count(*) FROM moorage.snapshot") == 1


async def test_an_archive_that_holds_less_than_the_catalogue_says_is_a_failure(
    world: World, prove: ProveSnapshots
) -> None:
    (only,) = await snapshots(world, 1)
    await world.admin.execute("UPDATE moorage.snapshot SET file_count = file_count + 1")
    await prove.restore()
    assert await tested(world) == {only: Failure.COUNT_MISMATCH.value}


async def test_a_store_that_is_away_tells_nothing_about_a_snapshot(world: World, prove: ProveSnapshots) -> None:
    await snapshots(world, 1)
    world.gateway.stop()
    with pytest.raises(Unavailable):
        await prove.count()
    assert await Catalogue(world.database).last_census() is None
    assert await tested(world) == {}


async def test_a_snapshot_larger_than_the_scratch_folder_may_get_is_never_fetched(
    world: World, rehearsals: Path
) -> None:
    await snapshots(world, 1)
    small = RestoreTests(Catalogue(world.database), world.store, world.keyring, Scratch(rehearsals, 4096))
    assert await small.sample(5) == []


async def test_a_disk_without_room_is_no_failed_restore(world: World, rehearsals: Path) -> None:
    await snapshots(world, 1)
    await world.admin.execute("UPDATE moorage.snapshot SET plain_bytes = 1::bigint << 60")
    boundless = RestoreTests(Catalogue(world.database), world.store, world.keyring, Scratch(rehearsals, 1 << 62))
    assert await boundless.sample(1) == []
    (wanted,) = await Catalogue(world.database).untested(bytes_max=1 << 62, limit=1)
    with pytest.raises(Unavailable, match="room"):
        await boundless.test(wanted)


class Slow(RestoreTests):
    """One of the snapshots takes too long, the first time."""

    too_long = ""

    async def test(self, snapshot: Catalogued) -> RestoreOutcome | None:
        if snapshot.id == self.too_long:
            self.too_long = ""
            raise Transient("the mover took too long")
        return await super().test(snapshot)


async def test_a_snapshot_that_takes_too_long_keeps_no_other_from_its_test(
    world: World, metrics: Metrics, rehearsals: Path
) -> None:
    first, second = await snapshots(world, 2)
    catalogue = Catalogue(world.database)
    tests = Slow(catalogue, world.store, world.keyring, Scratch(rehearsals, GIBIBYTE))
    tests.too_long = first
    prove = ProveSnapshots(catalogue, world.store, tests, metrics, lambda: EPOCH)
    with pytest.raises(Transient):
        await prove.restore()
    assert await prove.restore() == BETWEEN_TESTS_SECONDS
    assert await tested(world) == {second: None}
    assert await prove.restore() == LOOK_SECONDS
    assert await prove.restore() == BETWEEN_TESTS_SECONDS
    assert await tested(world) == {first: None, second: None}


async def test_a_snapshot_purged_while_it_was_tested_is_no_failure(world: World, prove: ProveSnapshots) -> None:
    await snapshots(world, 1)
    tests = RestoreTests(Catalogue(world.database), world.store, world.keyring, Scratch(None, GIBIBYTE))
    (wanted,) = await tests.sample(1)
    await world.store.delete(wanted.object_key)
    await world.admin.execute("UPDATE moorage.agent SET snapshot_id = NULL")
    await world.admin.execute("DELETE FROM moorage.snapshot")
    assert await tests.test(wanted) is None


async def test_nothing_counts_when_another_process_leads(world: World, prove: ProveSnapshots) -> None:
    await snapshots(world, 1)
    await world.admin.execute("UPDATE moorage.leader SET epoch = epoch + 1")
    for work in (prove.restore, prove.count):
        with pytest.raises(LostLeadership):
            await work()
    assert await tested(world) == {}


async def test_the_census_finds_what_is_missing_on_either_side(
    world: World, prove: ProveSnapshots, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    whole, gone, short = await snapshots(world, 3)
    keys = dict(tuple(row) for row in await world.admin.fetch("SELECT id::text, object_key FROM moorage.snapshot"))
    await world.store.delete(keys[gone])
    await world.admin.execute("UPDATE moorage.snapshot SET object_bytes = object_bytes + 1 WHERE id = $1", short)
    stranger = f"s/{world.tenant_uid}/{uuid.uuid4()}/{uuid.uuid4()}"
    for key in (stranger, "s/odd", "ledger/witness.json"):
        await world.store.write(key, b"x")
    assert await prove.count() == LOOK_SECONDS
    assert sample(metrics, "moorage_snapshot_orphans", side="catalogue") == 2
    assert sample(metrics, "moorage_snapshot_orphans", side="store") == 2
    named = {record.__dict__.get("snapshot") for record in caplog.records if record.levelname == "ERROR"}
    assert named == {names.snapshot_name(lost) for lost in (gone, short)}
    assert await world.store.head(stranger) is not None
    assert await world.store.head(keys[whole]) is not None
    assert await world.admin.fetchval("SELECT count(*) FROM moorage.snapshot") == 3


async def test_an_upload_under_way_and_one_that_waits_to_be_swept_are_no_strangers(
    world: World, prove: ProveSnapshots, metrics: Metrics
) -> None:
    attempt_id = await world.begin()
    volume = world.volume()
    assert (await world.mover("capture", attempt_id, volume)).code == 0
    await world.snapshots.commit(epoch=EPOCH, attempt_id=attempt_id)
    assert len(world.gateway.objects(world.bucket)) == 1
    await prove.count()
    assert sample(metrics, "moorage_snapshot_orphans", side="store") == 0
    await world.admin.execute("UPDATE moorage.attempt SET state = 'Failed'")
    await world.admin.execute("DELETE FROM moorage.store_census")
    await prove.count()
    assert sample(metrics, "moorage_snapshot_orphans", side="store") == 0
    await world.admin.execute("UPDATE moorage.attempt SET upload_id = NULL")
    await world.admin.execute("DELETE FROM moorage.store_census")
    await prove.count()
    assert sample(metrics, "moorage_snapshot_orphans", side="store") == 1


async def test_the_census_is_taken_once_a_week_and_its_finding_outlives_the_process(
    world: World, prove: ProveSnapshots, rehearsals: Path
) -> None:
    await snapshots(world, 1)
    await world.store.write("s/odd", b"x")
    await prove.count()
    await world.store.delete("s/odd")
    later = Metrics()
    catalogue = Catalogue(world.database)
    tests = RestoreTests(catalogue, world.store, world.keyring, Scratch(rehearsals, GIBIBYTE))
    next_life = ProveSnapshots(catalogue, world.store, tests, later, lambda: EPOCH)
    await next_life.count()
    assert sample(later, "moorage_snapshot_orphans", side="store") == 1
    await world.admin.execute("UPDATE moorage.store_census SET at = at - interval '7 days 1 second'")
    await next_life.count()
    assert sample(later, "moorage_snapshot_orphans", side="store") == 0


Moorage = Callable[..., Result]


@pytest.fixture
async def moorage(world: World, tmp_path: Path, rehearsals: Path, database_url: str) -> Moorage:
    """The command line with the operator's settings."""
    await world.keyring.require()
    (tmp_path / "secret").write_text(store_server.SECRET_KEY)
    (tmp_path / "root").write_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    settings = {
        "MOORAGE_DATABASE_URL": database_url,
        "MOORAGE_STORE_ENDPOINT": world.gateway.endpoint,
        "MOORAGE_STORE_ACCESS_KEY": store_server.ACCESS_KEY,
        "MOORAGE_STORE_SECRET_KEY_FILE": str(tmp_path / "secret"),
        "MOORAGE_STORE_BUCKET": world.bucket,
        "MOORAGE_ROOT_KEY_FILE": str(tmp_path / "root"),
        "MOORAGE_SCRATCH_FOLDER": str(rehearsals),
    }

    def run(*arguments: str, **changes: str) -> Result:
        return CliRunner().invoke(main, ["snapshot", *arguments], env=settings | changes)

    return run


async def by_hand(moorage: Moorage, *arguments: str, **changes: str) -> Result:
    return await asyncio.to_thread(lambda: moorage(*arguments, **changes))


async def test_a_check_by_hand_says_what_it_found_and_changes_nothing(world: World, moorage: Moorage) -> None:
    good, bad = await snapshots(world, 2)
    done = await by_hand(moorage, "check")
    assert (done.exit_code, done.output.splitlines()[0]) == (
        0,
        "2 snapshots, 0 of them not in the store as they should be.",
    )
    key = await world.admin.fetchval("SELECT object_key FROM moorage.snapshot WHERE id = $1", bad)
    await world.store.delete(key)
    done = await by_hand(moorage, "check", "--restore", "5", "--census", "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 1
    assert answer["restored"] == [
        {"snapshot": names.snapshot_name(good), "failure": None},
        {"snapshot": names.snapshot_name(bad), "failure": "ObjectMissing"},
    ]
    assert answer["census"]["lacking"] == [names.snapshot_name(bad)]
    assert await tested(world) == {}


async def test_a_check_that_could_not_run_is_neither_yes_nor_no(world: World, moorage: Moorage) -> None:
    await snapshots(world, 1)
    world.gateway.stop()
    assert (await by_hand(moorage, "check")).exit_code == 2
    assert (await by_hand(moorage, "check", MOORAGE_STORE_ENDPOINT="")).exit_code == 2


async def test_key_and_object_open_a_snapshot_with_nothing_else(world: World, moorage: Moorage, tmp_path: Path) -> None:
    (only,) = await snapshots(world, 1)
    name, key, output = names.snapshot_name(only), tmp_path / "my.key", tmp_path / "my.tar"
    done = await by_hand(moorage, "key", name, "-o", str(key))
    assert done.exit_code == 0, done.output
    assert key.stat().st_mode & 0o777 == 0o600
    given = await world.admin.fetch("SELECT snapshot_id::text, actor FROM moorage.key_export")
    assert [tuple(row) for row in given] == [(only, terminal.actor())]
    (stored,) = world.gateway.objects(world.bucket)
    nothing_else = {"PATH": "/usr/bin:/bin"}
    arguments = ["snapshot", "extract", "--object", str(stored), "--key", str(key), "-o", str(output)]
    taken = await asyncio.to_thread(lambda: CliRunner(env=nothing_else).invoke(main, arguments))
    assert taken.exit_code == 0, taken.output
    assert b"the answer is 42" in output.read_bytes()
    assert "exists" in (await by_hand(moorage, "key", name, "-o", str(key))).output


async def test_a_key_is_given_for_a_living_snapshot_under_the_right_root_key_only(
    world: World, moorage: Moorage, tmp_path: Path
) -> None:
    (only,) = await snapshots(world, 1)
    name, file = names.snapshot_name(only), tmp_path / "k"
    assert (await by_hand(moorage, "key", only, "-o", str(file))).exit_code == 2
    unknown = await by_hand(moorage, "key", "snp_" + "0" * 32, "-o", str(file))
    assert (unknown.exit_code, "There is no snapshot" in unknown.output) == (1, True)
    (tmp_path / "other").write_text("A" * 43 + "=")
    wrong = await by_hand(moorage, "key", name, "-o", str(file), MOORAGE_ROOT_KEY_FILE=str(tmp_path / "other"))
    assert (wrong.exit_code, "is not set up here" in wrong.output) == (1, True)
    assert not file.exists()
