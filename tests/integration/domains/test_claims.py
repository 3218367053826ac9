"""A host name has one holder: whoever asks first, and for names of a tenant's own whoever proves it."""

import pytest

from moorage.model.domain_record import Standing
from tests.integration.domains.registry import Registry

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_a_name_is_held_by_the_first_who_asks(registry: Registry) -> None:
    for name in ("acme", "other"):
        await registry.tenant(name)
    first, second = [await registry.domain(name, "bot.agents.example") for name in ("acme", "other")]
    assert [await registry.claim(uid) for uid in (first, second, first)] == [
        Standing.HELD,
        Standing.TAKEN,
        Standing.HELD,
    ]
    assert (await registry.record(second)).standing is Standing.TAKEN
    assert (await registry.record(first)).agent is not None


async def test_an_unproven_claim_gives_way_to_a_proof(registry: Registry) -> None:
    for name in ("acme", "other"):
        await registry.tenant(name)
    squatter, owner = [await registry.domain(name, "bank.example", own=True) for name in ("acme", "other")]
    assert await registry.claim(squatter) is Standing.HELD
    assert await registry.claim(owner) is Standing.TAKEN
    await registry.prove(owner)
    assert await registry.claim(owner) is Standing.HELD
    await registry.prove(squatter)
    assert await registry.claim(squatter) is Standing.TAKEN
    assert (await registry.record(owner)).challenge != (await registry.record(squatter)).challenge
