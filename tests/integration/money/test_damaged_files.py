"""A database whose files are damaged gives no answer about the books: neither yes nor no."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner

from dev.postgres import Postgres
from moorage.cli import main
from moorage.store import invariants, ledger_verify
from moorage.store.database import VERIFY_ROLE, Database
from moorage.store.invariants.invariant import Invariant
from moorage.store.migrate import migrate
from tests.integration.money.world import new_world

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

PAGE_BYTES = 8192


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server of its own, in a folder that its unprivileged user can enter."""
    with tempfile.TemporaryDirectory(prefix="moorage-damaged-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = Postgres(folder, durable=False)
        made.start()
        yield made
        made.stop()


async def test_what_a_session_stumbles_over_is_told_whatever_another_one_is_doing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Invariant("I-0", "It takes its time.", "SELECT NULL::bigint, pg_sleep(60)::text")
    fails = Invariant("I-1", "It cannot be asked.", "SELECT NULL::bigint, (1 / 0)::text")
    monkeypatch.setattr(invariants, "ALL", (waits, fails))
    database = await Database.connect(database_url, size_max=2, role=VERIFY_ROLE)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await ledger_verify.verify(database)
    await database.close()


async def _books(url: str) -> None:
    await migrate(url)
    async with new_world(url) as world:
        await world.wallet("acme", micros=1_000_000)


def test_one_flipped_byte_in_a_file_is_noticed_and_is_not_a_verdict(server: Postgres) -> None:
    asyncio.run(_books(server.url()))
    runner, place = CliRunner(), {"MOORAGE_DATABASE_URL": server.url()}
    assert runner.invoke(main, ["ledger", "verify"], env=place).exit_code == 0
    assert server.psql("SHOW data_checksums") == "on"
    file = server.data / server.psql("SELECT pg_relation_filepath('money.entry')")
    server.stop()  # which also writes everything to the files
    page = bytearray(file.read_bytes())
    page[PAGE_BYTES - 40] ^= 1  # inside the row, which lies at the end of its page
    file.write_bytes(page)
    server.start()
    done = runner.invoke(main, ["ledger", "verify"], env=place)
    assert done.exit_code == 2
    assert done.output == "Error: the database's own files are damaged; restore a backup, and see docs/ledger.md.\n"
