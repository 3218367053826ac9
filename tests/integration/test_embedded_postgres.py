"""The embedded server: in any folder, started again after any end, closed to whoever lacks the password."""

from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from dev.postgres import DATABASE, Postgres

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[[], Postgres]]:
    """Describes the server of one folder whose name has a space, inside a folder only its owner may enter."""
    made = []

    def make() -> Postgres:
        made.append(Postgres(tmp_path / "my clone" / "postgres", durable=True))
        return made[-1]

    yield make
    for server in made:
        server.stop()


async def test_a_second_start_finds_data_port_and_password_also_after_a_crash(
    new_server: Callable[[], Postgres],
) -> None:
    first = new_server()
    first.start()
    first.psql("CREATE TABLE kept (x int)")
    first.start()
    first._run("pg_ctl", "-D", str(first.data), "-m", "immediate", "-w", "stop")
    assert not first.running()
    second = new_server()
    second.start()
    assert second.url() == first.url()
    assert second.psql("SELECT count(*) FROM kept") == "0"
    second.stop()
    second.stop()
    assert not second.running()


async def test_a_wrong_password_is_refused(new_server: Callable[[], Postgres]) -> None:
    server = new_server()
    server.start()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(user="moorage", password="guess", host=server.host, port=server.port, database=DATABASE)
    assert (server._folder / "password").stat().st_mode & 0o077 == 0
