"""A database with nothing but keys in mind."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from moorage.store.database import Database
from tests.integration.keys.stage import Stage


@pytest.fixture
async def stage(anyio_backend: str, database_url: str) -> AsyncIterator[Stage]:
    database = await Database.connect(database_url)
    admin = await asyncpg.connect(database_url)
    yield Stage(database, admin)
    await admin.close()
    await database.close()
