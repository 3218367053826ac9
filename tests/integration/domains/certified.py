"""A keeper of certificates over a real database and a real authority, with both clocks in the test's hand."""

import datetime
from dataclasses import dataclass, field
from typing import Self

from moorage.model.clock import from_epoch
from moorage.model.domain import Issuer
from moorage.model.domain_record import DomainRecord, Standing
from moorage.model.domain_seen import Owner, Thing
from moorage.model.names import Key
from moorage.model.offer import DomainOffer
from moorage.observability import Metrics
from moorage.providers.ports import CertificateIssuer
from moorage.services.certificates import Certificates
from moorage.services.keyring import Keyring
from moorage.store.certificates import CertificateRows
from tests.fakes.authority import Authority
from tests.fakes.keys import keyring
from tests.integration.domains.registry import Registry
from tests.integration.money.world import START_S

ISSUER = Issuer.ACME
OFFER = DomainOffer(zone="agents.example", target="192.0.2.1", issuers=(ISSUER,))


@dataclass
class Certified:
    """Domains of one tenant and their keeper."""

    registry: Registry
    now_s: float = START_S
    rung: list[Key] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.authority = Authority(lambda: from_epoch(self.now_s))
        self.issuer: CertificateIssuer = self.authority
        self.keyring: Keyring = keyring(self.registry.world.database)
        self.keeper = self.new_keeper()

    @classmethod
    async def of(cls, registry: Registry) -> Self:
        """With a tenant `acme`."""
        await registry.tenant("acme")
        return cls(registry)

    def new_keeper(self) -> Certificates:
        """What a new leader has: no memory of the last."""
        database = self.registry.world.database
        return Certificates(
            rows=CertificateRows(database), domains=self.registry.domains, keyring=self.keyring,
            issuers={ISSUER: self.issuer}, offer=OFFER, ring=lambda key, _: self.rung.append(key),
            epoch=lambda: self.registry.world.epoch, metrics=self.metrics, clock=lambda: self.now_s,
        )  # fmt: skip

    async def active(self, hostname: str = "bot.agents.example", *, own: bool = False) -> str:
        """A Domain that holds its name and has proven it."""
        uid = await self.registry.domain("acme", hostname, own=own)
        if own:
            await self.registry.prove(uid)
        assert await self.registry.claim(uid) is Standing.HELD
        await self.state(uid, "Active")
        return uid

    async def state(self, uid: str, state: str) -> None:
        """Another state, without a decision."""
        await self.registry.world.sql.execute("UPDATE moorage.domain SET state = $2 WHERE uid = $1", uid, state)

    async def wish(self, uid: str, issuer: Issuer = ISSUER) -> Thing:
        """What a reconcile does, and what it sees."""
        record = await self.record(uid)
        self.keeper.wish(Owner(uid, Key("Domain", "mn-acme", record.name)), record, issuer)
        return self.keeper.seen(record, issuer)

    async def look(self, uid: str, issuer: Issuer = ISSUER) -> Thing:
        """A reconcile, the keeper's turn, and what the next reconcile sees."""
        await self.wish(uid, issuer)
        await self.keeper.step()
        return await self.wish(uid, issuer)

    async def record(self, uid: str) -> DomainRecord:
        """The record."""
        return await self.registry.record(uid)

    async def later(self, **by: float) -> None:
        """Both clocks go on."""
        self.now_s += datetime.timedelta(**by).total_seconds()
        await self.registry.world.at(self.now_s)

    def counted(self, result: str) -> float:
        """How often it came to this."""
        value = self.metrics.registry.get_sample_value(
            "moorage_certificates_total", {"issuer": ISSUER.value, "result": result}
        )
        return value or 0.0
