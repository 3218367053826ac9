"""Migrations: once each, in order, never edited, never by two at once."""

import asyncio
import itertools
from collections.abc import Callable

import pytest

from dev.postgres import Postgres
from moorage.model.errors import MoorageError
from moorage.store import schema
from moorage.store.migrate import FUNCTIONS, Migration, MigrationRefused, functions, migrate, migrations

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
FIRST = Migration("0001_pre_a.sql", "CREATE TABLE a (x int); CREATE TABLE b (x int)")
SECOND = Migration("0002_pre_b.sql", "ALTER TABLE a ADD y int")

_numbers = itertools.count(1)


@pytest.fixture
def empty(postgres: Postgres) -> Callable[[], str]:
    """Makes a database without any table."""

    def make() -> str:
        name = f"empty_{next(_numbers)}"
        postgres.psql(f"CREATE DATABASE {name}", database="postgres")
        return postgres.url(name)

    return make


async def test_who_waits_for_the_schema_goes_on_when_somebody_else_has_migrated(empty: Callable[[], str]) -> None:
    url = empty()
    waits = asyncio.create_task(schema.wait_current(url, seconds_max=60))
    await migrate(url, files=migrations()[:1], code=Migration(FUNCTIONS, "SELECT 1"))
    with pytest.raises(MoorageError, match="migrate"):
        await schema.wait_current(url, seconds_max=0)
    assert not waits.done(), "half a schema is none"
    await migrate(url)
    await waits


async def test_who_waits_for_the_schema_gives_up_with_a_sentence(empty: Callable[[], str]) -> None:
    with pytest.raises(MoorageError):
        await schema.wait_current(empty(), seconds_max=0)


async def test_a_second_run_applies_nothing(empty: Callable[[], str]) -> None:
    url = empty()
    assert await migrate(url) == [*(migration.name for migration in migrations()), FUNCTIONS]
    assert await migrate(url) == []


async def test_a_new_file_is_applied_after_the_old_ones(empty: Callable[[], str]) -> None:
    url = empty()
    assert await migrate(url, files=[FIRST]) == [FIRST.name]
    assert await migrate(url, files=[FIRST, SECOND]) == [SECOND.name]


async def test_two_at_once_apply_everything_once(empty: Callable[[], str]) -> None:
    url = empty()
    applied = await asyncio.gather(*(migrate(url) for _ in range(3)))
    assert sorted(map(len, applied)) == [0, 0, len(migrations()) + 1]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        pytest.param([Migration(FIRST.name, FIRST.sql + ";"), SECOND], "was edited", id="an edited file"),
        pytest.param([SECOND], "does not know", id="a file that is gone"),
        pytest.param([FIRST, SECOND, Migration("0001_pre_z.sql", "SELECT 1")], "numbered before", id="a late number"),
    ],
)
async def test_files_that_do_not_fit_the_database_are_refused(
    empty: Callable[[], str], files: list[Migration], sentence: str
) -> None:
    url = empty()
    await migrate(url, files=[FIRST, SECOND])
    with pytest.raises(MigrationRefused, match=sentence):
        await migrate(url, files=files)


async def test_a_file_that_fails_leaves_nothing_half_done(empty: Callable[[], str], postgres: Postgres) -> None:
    url = empty()
    broken = Migration("0002_pre_broken.sql", "CREATE TABLE c (x int); SELECT 1/0")
    with pytest.raises(MigrationRefused, match=r"0002_pre_broken\.sql failed"):
        await migrate(url, files=[FIRST, broken])
    assert postgres.psql("SELECT to_regclass('a'), to_regclass('c')", database=url.rsplit("/", 1)[1]) == "a|"
    assert await migrate(url, files=[FIRST, SECOND]) == [SECOND.name]


async def test_an_edited_function_replaces_all_of_them(empty: Callable[[], str], postgres: Postgres) -> None:
    url = empty()
    await migrate(url)
    now = functions()
    extra = "CREATE FUNCTION money.extra() RETURNS int LANGUAGE sql AS 'SELECT 1';"
    assert await migrate(url, files=migrations(), code=Migration(FUNCTIONS, now.sql + extra)) == [FUNCTIONS]
    database = url.rsplit("/", 1)[1]
    assert postgres.psql("SELECT money.extra()", database=database) == "1"
    assert await migrate(url) == [FUNCTIONS]
    found = postgres.psql("SELECT to_regproc('money.extra'), to_regproc('money.now_s')", database=database)
    assert found == "|money.now_s"


def test_every_file_says_when_it_runs() -> None:
    for number, migration in enumerate(migrations(), start=1):
        assert migration.name.startswith((f"{number:04d}_pre_", f"{number:04d}_post_"))
