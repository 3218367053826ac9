"""The world of the mover queue's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.movers.world import World, open_world


@pytest.fixture
async def world(anyio_backend: str, database_url: str) -> AsyncIterator[World]:
    """An empty queue with room for one."""
    async with open_world(database_url) as opened:
        yield opened
