"""What a visitor is told follows the claim: only who holds a name, and has proven it, is spoken of."""

from datetime import timedelta

import pytest

from moorage.model.domain_seen import ProofAnswer
from moorage.model.record import AgentState
from moorage.store.visits import Visit, Visits
from tests.integration.domains.registry import Registry

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
HOSTNAME, OWN = "shop.agents.example", "shop.example.net"


async def test_a_name_is_spoken_of_while_it_is_held(registry: Registry) -> None:
    await registry.tenant("acme")
    visits = Visits(registry.world.database)
    uid = await registry.domain("acme", HOSTNAME)
    assert await visits.of(HOSTNAME) is None, "asked for is not held"
    await registry.claim(uid)
    assert await visits.of(HOSTNAME) == Visit(agent=AgentState.RUNNING)
    await registry.domains.release(epoch=registry.world.epoch, uid=uid, quarantine=timedelta(days=30))
    assert await visits.of(HOSTNAME) is None


async def test_a_name_of_a_tenants_own_is_nobodys_before_it_is_proven(registry: Registry) -> None:
    await registry.tenant("acme")
    visits = Visits(registry.world.database)
    uid = await registry.domain("acme", OWN, own=True)
    await registry.claim(uid)
    assert await visits.of(OWN) is None
    await registry.prove(uid, ProofAnswer.SHOWN)
    await registry.claim(uid)
    assert await visits.of(OWN) == Visit(agent=AgentState.RUNNING)
    await registry.release(uid)
    await registry.domains.finish(epoch=registry.world.epoch, uid=uid)
    assert await visits.of(OWN) is None
