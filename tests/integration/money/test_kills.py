"""Clients killed at any moment and a server cut off in between: what was answered is there, and nothing twice.

`make soak` does the same for an hour.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from dev.postgres import Postgres
from moorage.store.migrate import migrate
from tests.integration.money import kills
from tests.integration.money.kill_client import Client, Diary

pytestmark = pytest.mark.postgres

SEED = os.environ.get("MOORAGE_TEST_SEED", "20261121")
KILLS, KILLS_PER_CRASH = 200, 50


@pytest.fixture
def durable() -> Iterator[Postgres]:
    """A server that keeps what it acknowledged, since that is the question."""
    with tempfile.TemporaryDirectory(prefix="moorage-pg-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder))
        try:
            server.start()
            asyncio.run(migrate(server.url()))
            yield server
        finally:
            server.stop()


def test_clients_and_servers_that_are_killed_lose_and_double_nothing(durable: Postgres, tmp_path: Path) -> None:
    print(f"seed {SEED}")  # noqa: T201  # pytest shows it with a failure
    account = kills.run(durable, durable.url(), tmp_path, kills.Plan(SEED, KILLS, KILLS_PER_CRASH))
    assert account.wrong == []
    assert (account.kills, account.crashes) == (KILLS, KILLS // KILLS_PER_CRASH)
    assert account.inside_a_call > KILLS // 10, "most clients died before their first call"
    print(account)  # noqa: T201


def test_a_line_that_a_kill_cut_off_was_never_written(tmp_path: Path) -> None:
    client = Client("a", "", (), {}, tmp_path)
    client.diary.write_text(json.dumps(asdict(Diary(step=3))) + "\n" + '{"step": 4, "cou')
    assert client.last().step == 3
    assert client.diary.read_text().endswith("}\n")
