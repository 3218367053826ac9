"""The world of the purge tests."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.money.world import new_world
from tests.integration.purge.world import House


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Agents at rest on a ledger with a fake clock; every invariant must hold when the test is over."""
    async with new_world(database_url) as world:
        yield House(world)
        assert await world.broken() == []
