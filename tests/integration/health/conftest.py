"""A ledger whose clock the test sets."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.money.world import World, new_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A ledger with a fake clock; every invariant must hold when the test is over."""
    async with new_world(database_url) as made:
        yield made
        assert await made.broken() == []
