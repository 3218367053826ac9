"""The world of the tests of host names."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.domains.registry import Registry
from tests.integration.money.world import new_world


@pytest.fixture
async def registry(database_url: str) -> AsyncIterator[Registry]:
    """Tenants and their Domains on a database whose clock the test sets."""
    async with new_world(database_url) as world:
        yield Registry(world)
