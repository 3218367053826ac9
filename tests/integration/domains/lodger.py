"""A tenant whose host name is active, and the operator that looks after its months."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg

from moorage.model.domain_record import DomainRecord
from moorage.model.purges import Notice
from moorage.services.domain_months import DomainMonths
from moorage.store.domain_months import DomainMonthRows
from moorage.store.purges import PurgeRows
from tests.integration.domains.registry import Registry

UNPAID_DAYS = 7
LOOKS_MAX = 20
PRICE_MICROS = 2_000_000
NAME = "bot.agents.example"


def moment(text: str) -> datetime:
    """A day, or a moment of it, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class Lodger:
    """Plays the lifecycle of one Domain of the tenant `acme`, and the job of its months."""

    registry: Registry
    uid: str = ""
    told: list[Notice] = field(default_factory=list)

    @property
    def months(self) -> DomainMonths:
        """What is tested."""
        return DomainMonths(rows=DomainMonthRows(self.registry.world.database), unpaid_days=UNPAID_DAYS)

    async def price(self, micros: int = PRICE_MICROS) -> None:
        """What a month costs from now on."""
        await self.registry.world.price("Domain", micros * 1_000_000)

    async def moves_in(self, *, micros: int, at: str = "1970-01-31", tenant: str = "acme") -> None:
        """A tenant with so much credit has a Domain that has just become active, and was looked at."""
        await self.at(at)
        await self.registry.tenant(tenant)
        if micros:
            await self.registry.world.grant(micros, name=tenant)
        await self.makes(tenant)

    async def makes(self, tenant: str = "acme") -> None:
        """A Domain of the name, claimed, active and looked at."""
        self.uid = await self.registry.domain(tenant, NAME)
        await self.registry.claim(self.uid)
        await self.becomes("Active")
        await self.look()

    async def becomes(self, state: str) -> None:
        """The lifecycle has moved it."""
        await self.registry.world.sql.execute(
            "UPDATE moorage.domain SET state = $2, state_since = to_timestamp(money.clock()) WHERE uid = $1",
            uuid.UUID(self.uid),
            state,
        )

    async def goes(self) -> None:
        """The Domain is deleted, and nothing is left of it outside."""
        await self.becomes("Releasing")
        domains = self.registry.domains
        await domains.release(epoch=1, uid=self.uid, quarantine=timedelta(days=30))
        await domains.finish(epoch=1, uid=self.uid)

    async def at(self, when: str | datetime, *, look: bool = True) -> None:
        """Set the clock, and let the operator look."""
        moment_ = when if isinstance(when, datetime) else moment(when)
        await self.registry.world.at(moment_.timestamp())
        if look:
            await self.look()

    async def look(self) -> None:
        """Everything that is due is done, and every notice delivered."""
        for _ in range(LOOKS_MAX):
            if not await self.months.keep_due(epoch=1):
                break
        else:
            raise AssertionError("what is due is never done")
        rows = PurgeRows(self.registry.world.database)
        for notice in await rows.take_notices(epoch=1, limit=100):
            self.told.append(notice)
            await rows.note_delivery(epoch=1, notice=notice, failure=None)

    async def record(self) -> DomainRecord:
        """The record as a decision sees it."""
        return await self.registry.record(self.uid)

    async def paid(self, tenant: str = "acme") -> list[int]:
        """What was paid for months, oldest first, in micro-credits."""
        return [-micros for kind, micros in await self.registry.world.moves(tenant) if kind == "Domain"]

    async def periods(self) -> list["asyncpg.Record"]:
        """Every month there is, oldest first."""
        return list(await self.registry.world.sql.fetch("SELECT * FROM money.domain_month ORDER BY id"))

    async def purse(self, tenant: str = "acme") -> tuple[int, int]:
        """Balance, and what of it is set aside."""
        view = await self.registry.world.see(tenant)
        return view.balance_micros, view.held_micros
