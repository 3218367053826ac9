"""Tenants who want the same names: the real lifecycle over the real claims; DNS and provider obey at once."""

import uuid
from dataclasses import dataclass, field

from moorage.lifecycle import domain as lifecycle
from moorage.lifecycle import domain_effects as do
from moorage.model.domain_record import DomainRecord, DomainState, Standing
from moorage.model.domain_seen import DomainSeen, ProofAnswer, Sight, Thing
from moorage.store.invariants import domains as invariants
from tests.integration.domains.registry import QUARANTINE, Registry
from tests.integration.money.world import START_S

FRESH_SECONDS = 3600
STILL_PASSES = 3  # route and name are taken away in steps of which none says that there is more to do


@dataclass(eq=False)
class Lodging:
    """One Domain, and what a reconcile of it has decided and not done yet."""

    uid: str
    tenant: str
    hostname: str
    own: bool
    deleting: bool = False
    finished: bool = False
    routed: bool = False
    planned: tuple[DomainRecord, lifecycle.Decision] | None = None


@dataclass
class Town:
    """Everybody's Domains; judges after every act whether a name is anybody's who must not have it."""

    registry: Registry
    now_s: int = START_S
    lodgings: list[Lodging] = field(default_factory=list)
    texts: set[tuple[str, str]] = field(default_factory=set)  # what the DNS shows: a host name and a text
    served: dict[str, Lodging] = field(default_factory=dict)  # what exists outside
    shown_s: dict[tuple[str, str], int] = field(default_factory=dict)  # when a host name showed a tenant's text last
    waits: dict[str, tuple[str, int]] = field(default_factory=dict)  # quarantine: whose it was, and up to when

    async def move_in(self, tenant: str, hostname: str, *, own: bool) -> Lodging:
        """A new Domain."""
        made = Lodging(await self.registry.domain(tenant, hostname, own=own), tenant, hostname, own)
        self.lodgings.append(made)
        return made

    async def show(self, lodging: Lodging) -> None:
        """The owner of the name puts this Domain's text into the DNS."""
        self.texts.add((lodging.hostname, await self._challenge(lodging)))

    async def withdraw(self, lodging: Lodging) -> None:
        """And takes it out again."""
        self.texts.discard((lodging.hostname, await self._challenge(lodging)))

    async def pass_time(self, seconds: int) -> None:
        """Let the database's clock go on."""
        self.now_s += seconds
        await self.registry.world.at(self.now_s)

    async def unpaid(self, lodging: Lodging, *, unpaid: bool) -> None:
        """Its month could not be paid; or it can be again."""
        await self.registry.world.sql.execute(
            "UPDATE moorage.domain SET unpaid_since = CASE WHEN $2 THEN moorage.moment() END,"
            " release_at = CASE WHEN $2 THEN moorage.moment() END WHERE uid = $1",
            *(uuid.UUID(lodging.uid), unpaid),
        )

    async def agent(self, tenant: str, state: str) -> None:
        """The agent that the names lead to is suspended, resumed or deleted."""
        await self.registry.world.sql.execute(
            "UPDATE moorage.agent SET state = $2 WHERE namespace = $1", f"mn-{tenant}", state
        )

    async def leave(self, tenant: str) -> None:
        """The tenant is removed, and with it its Domains."""
        await self.registry.world.sql.execute(
            "UPDATE moorage.tenant SET removed_at = moorage.moment() WHERE name = $1", tenant
        )
        for lodging in self.lodgings:
            lodging.deleting |= lodging.tenant == tenant

    async def look(self, lodging: Lodging) -> None:
        """The first half of a reconcile: read, and decide."""
        record = await self.registry.domains.load(lodging.uid)
        if record is not None:
            desired = lifecycle.Desired(deleting=lodging.deleting, problem=None)
            lodging.planned = record, lifecycle.transition(record, desired, self._seen(lodging))

    async def act(self, lodging: Lodging) -> None:
        """The second half, perhaps much later: save, and do what was decided."""
        if lodging.planned is None:
            return
        (before, decision), lodging.planned = lodging.planned, None
        after = decision.record
        if after != before and not await self.registry.domains.save(epoch=1, before=before, after=after):
            return
        if after.state is DomainState.ACTIVE and before.state is not DomainState.ACTIVE and lodging.own:
            shown_s = self.shown_s.get((lodging.hostname, lodging.tenant))
            assert shown_s is not None, "active without a proof"
            assert self.now_s - shown_s <= FRESH_SECONDS, "active by an old proof"
        for effect in decision.effects:
            await self._do(effect, lodging, before)
        await self.judge()

    async def settle(self) -> None:
        """Reconcile everybody until it stands still, and once more."""
        for lodging in [each for each in self.lodgings if not each.finished] * 2:
            still = 0
            while still < STILL_PASSES and not lodging.finished:
                await self.look(lodging)
                still = 0 if lodging.planned is not None and lodging.planned[1].again else still + 1
                await self.act(lodging)

    async def judge(self) -> None:
        """No name is anybody's who must not have it."""
        for check in invariants.INVARIANTS:
            assert await self.registry.world.sql.fetch(check.sql) == [], check.sentence
        for hostname, lodging in self.served.items():
            holder = await self.registry.world.sql.fetchval(
                "SELECT domain_uid::text FROM moorage.claim WHERE hostname = $1", hostname
            )
            assert holder == lodging.uid, "it exists outside, and is another's"

    async def _do(self, effect: do.Effect, lodging: Lodging, before: DomainRecord) -> None:
        name = lodging.hostname
        match effect:
            case do.Claim():
                if await self.registry.claim(lodging.uid) is Standing.HELD:
                    tenant, until_s = self.waits.get(name, (lodging.tenant, 0))
                    assert tenant == lodging.tenant or until_s <= self.now_s, "held in another's quarantine"
            case do.LookForProof():
                shown = (name, before.challenge) in self.texts
                await self.registry.prove(lodging.uid, ProofAnswer.SHOWN if shown else ProofAnswer.MISSING)
                if shown:
                    self.shown_s[name, lodging.tenant] = self.now_s
            case do.KeepName():
                assert self.served.setdefault(name, lodging) is lodging, "two lead to one name"
            case do.ApplyRoute():
                lodging.routed = True
            case do.RemoveRoute():
                lodging.routed = False
            case do.RemoveName():
                assert not lodging.routed, "a route without a record"
                assert self.served.pop(name, lodging) is lodging
            case do.Release():
                assert self.served.get(name) is not lodging, "given up, and still there"
                await self.registry.release(lodging.uid)
                if before.state is DomainState.RELEASING:
                    self.waits[name] = lodging.tenant, self.now_s + int(QUARANTINE.total_seconds())
            case do.Finish():
                await self.registry.domains.finish(epoch=1, uid=lodging.uid)
                lodging.finished = True

    def _seen(self, lodging: Lodging) -> DomainSeen:
        return DomainSeen(
            record=_thing(there=self.served.get(lodging.hostname) is lodging),
            certificate=_thing(there=True),
            route=_thing(there=lodging.routed),
            agent_ready=True,
            agent_port=8080,
        )

    async def _challenge(self, lodging: Lodging) -> str:
        text: str = await self.registry.world.sql.fetchval(
            "SELECT challenge FROM moorage.domain WHERE uid = $1", uuid.UUID(lodging.uid)
        )
        return text


def _thing(*, there: bool) -> Thing:
    return Thing(sight=Sight.THERE if there else Sight.ABSENT)
