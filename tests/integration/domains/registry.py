"""Tenants who want host names, on a real database."""

import uuid
from dataclasses import replace
from datetime import timedelta

from moorage.model.domain_record import DomainRecord, DomainState, Standing
from moorage.model.domain_seen import ProofAnswer
from moorage.store.domains import Domains, NewDomain
from tests.integration.money.world import World

NAMES_MAX = 20
QUARANTINE = timedelta(days=30)


class Registry:
    """Makes tenants and Domains, and claims in their names."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.domains = Domains(world.database)

    async def tenant(self, name: str) -> None:
        """A tenant with an agent `helper`."""
        await self.world.wallet(name)
        await self.world.agent("helper", wallet=name)

    async def domain(self, tenant: str, hostname: str, *, own: bool = False) -> str:
        """The record of a new Domain; returns its uid."""
        uid = str(uuid.uuid4())
        new = NewDomain(
            uid=uid, namespace=f"mn-{tenant}", name=f"d-{uid[:8]}", hostname=hostname, own=own, agent_name="helper"
        )
        assert await self.domains.ensure(epoch=self.world.epoch, new=new)
        return uid

    async def claim(self, uid: str, *, names_max: int = NAMES_MAX) -> Standing:
        """Ask for the name."""
        return await self.domains.claim(epoch=self.world.epoch, uid=uid, names_max=names_max)

    async def prove(self, uid: str, answer: ProofAnswer = ProofAnswer.SHOWN) -> None:
        """The resolvers have answered."""
        await self.domains.note_proof(epoch=self.world.epoch, uid=uid, answer=answer)

    async def record(self, uid: str) -> DomainRecord:
        """The record as a decision sees it."""
        found = await self.domains.load(uid)
        assert found is not None
        return found

    async def uses(self, uid: str) -> bool:
        """Decide that the name is used from now on; False when the database does not let it be."""
        before = await self.record(uid)
        after = replace(before, state=DomainState.ACTIVE)
        return await self.domains.save(epoch=self.world.epoch, before=before, after=after)

    async def becomes(self, uid: str, state: str) -> None:
        """The lifecycle has moved it there."""
        await self.world.sql.execute("UPDATE moorage.domain SET state = $2 WHERE uid = $1", uuid.UUID(uid), state)

    async def release(self, uid: str) -> None:
        """Give the name up."""
        await self.domains.release(epoch=self.world.epoch, uid=uid, quarantine=QUARANTINE)
