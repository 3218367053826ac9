"""Fixtures for all tests: an embedded PostgreSQL, and a fresh migrated database per test."""

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from dev.postgres import Postgres
from moorage.store.migrate import migrate

TEMPLATE = "moorage_template"
_numbers = itertools.count(1)

# The same examples on every machine, and no limit to the time of one: what a run finds lies in the change, not in the
# dice and not in a core that was busy. To throw the dice: pytest --hypothesis-profile=long
NO_CLOCK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("usual", NO_CLOCK, max_examples=50, derandomize=True)
settings.register_profile("long", NO_CLOCK, max_examples=2_000, print_blob=True)
settings.load_profile("usual")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One throw-away server for the whole session, with a migrated template database in it."""
    # The folder is outside pytest's own, which the server's unprivileged user cannot enter.
    with tempfile.TemporaryDirectory(prefix="moorage-pg-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder), listen="127.0.0.1", durable=False)
        try:
            server.start()
            server.psql(f"CREATE DATABASE {TEMPLATE}", database="postgres")
            asyncio.run(migrate(server.url(TEMPLATE)))
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Callable[[], str]:
    """Makes another fresh migrated database and returns its address."""

    def make() -> str:
        name = f"test_{next(_numbers)}"
        # FILE_COPY is the slower strategy for a template this small; WAL_LOG is the default.
        postgres.psql(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}", database="postgres")
        return postgres.url(name)

    return make


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """The address of a fresh migrated database."""
    return new_database()
