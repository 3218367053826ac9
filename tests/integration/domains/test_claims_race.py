"""However many ask for a name at once, one has it; however many names one tenant asks for, it gets its share."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from moorage.model.domain_record import Standing
from moorage.store.database import Database
from moorage.store.domains import Domains
from tests.integration.domains.registry import Registry

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

CROWD, CONNECTIONS = 100, 50
NAME = "bot.agents.example"


@pytest.fixture
async def crowd(registry: Registry) -> AsyncIterator[Domains]:
    """Claims over many connections at once."""
    database = await Database.connect(registry.world.url, size_max=CONNECTIONS)
    yield Domains(database)
    await database.close()


async def claims(crowd: Domains, uids: list[str], *, names_max: int = 20) -> list[Standing]:
    return await asyncio.gather(*(crowd.claim(epoch=1, uid=uid, names_max=names_max) for uid in uids))


async def test_of_a_hundred_who_ask_at_once_one_has_the_name(registry: Registry, crowd: Domains) -> None:
    tenants = [f"t{number}" for number in range(CROWD)]
    for tenant in tenants:
        await registry.tenant(tenant)
    uids = [await registry.domain(tenant, NAME) for tenant in tenants]
    found = await claims(crowd, uids)
    assert Counter(found) == {Standing.HELD: 1, Standing.TAKEN: CROWD - 1}
    winner = uids[found.index(Standing.HELD)]
    # The winner gives up while all others ask: nobody slips in between.
    await registry.becomes(winner, "Releasing")
    rest = [uid for uid in uids if uid != winner]
    _, late = await asyncio.gather(registry.release(winner), claims(crowd, rest))
    assert set(late) <= {Standing.TAKEN, Standing.QUARANTINED}
    assert await registry.world.broken() == []


async def test_of_many_who_prove_at_once_one_has_the_name(registry: Registry, crowd: Domains) -> None:
    tenants = [f"t{number}" for number in range(10)]
    for tenant in tenants:
        await registry.tenant(tenant)
    uids = [await registry.domain(tenant, "bank.example", own=True) for tenant in tenants]
    assert await registry.claim(uids[0]) is Standing.HELD
    await asyncio.gather(*(registry.prove(uid) for uid in uids[1:]))
    found = await claims(crowd, uids[1:] * 3)
    assert found.count(Standing.HELD) == 3  # one of them, each time it asks
    await registry.prove(uids[0])
    assert await registry.claim(uids[0]) is Standing.TAKEN
    assert await registry.world.broken() == []


async def test_a_tenant_that_asks_for_many_names_at_once_gets_no_more_than_its_share(
    registry: Registry, crowd: Domains
) -> None:
    await registry.tenant("acme")
    uids = [await registry.domain("acme", f"n{number}.agents.example") for number in range(30)]
    assert Counter(await claims(crowd, uids, names_max=7)) == {Standing.HELD: 7, Standing.LIMIT: 23}
