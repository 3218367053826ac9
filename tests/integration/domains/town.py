"""Tenants who want the same names: the real lifecycle over the real claims; DNS and provider obey at once."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from moorage.lifecycle import domain as lifecycle
from moorage.lifecycle import domain_effects as do
from moorage.model.domain_record import DomainRecord, DomainState
from moorage.model.domain_seen import DomainSeen, ProofAnswer, Sight, Thing
from moorage.store.invariants import domains as invariants
from tests.integration.domains.name_book import Asker, NameBook
from tests.integration.domains.registry import QUARANTINE, Registry
from tests.integration.money.world import START_S

FRESH_SECONDS = 3600
HELD_BY_ITS_HOLDER = [check for check in invariants.INVARIANTS if check.id == "I-27"]  # nobody pays for months here
# What the database says of names that were ever held, and of those who ask for them; moments in seconds.
NAMES = """
SELECT c.hostname, t.name AS tenant, c.domain_uid::text AS holder, c.proven_at IS NOT NULL AS proven,
       coalesce(extract(epoch FROM c.quarantine_until), 0)::bigint AS kept
FROM moorage.claim c JOIN moorage.tenant t ON t.uid = c.tenant_uid WHERE t.name = ANY ($1)
"""
ASKERS = """
SELECT d.uid::text, d.state, d.deleted_at IS NOT NULL AS finished, extract(epoch FROM d.proven_at)::bigint AS proven,
       extract(epoch FROM d.looked_at)::bigint AS looked, extract(epoch FROM d.missing_since)::bigint AS missing,
       moorage.claim_standing(d.uid) AS standing
FROM moorage.domain d JOIN moorage.tenant t ON t.uid = d.tenant_uid WHERE t.name = ANY ($1)
"""
STILL_PASSES = 3  # route and name are taken away in steps of which none says that there is more to do


Plan = tuple[DomainRecord, lifecycle.Decision]


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
    planned: Plan | None = None
    old: Plan | None = None  # one that was carried out, and moved its state


@dataclass
class Town:
    """Everybody's Domains; judges after every act whether a name is anybody's who must not have it."""

    registry: Registry
    names_max: int = 20
    now_s: int = START_S
    lodgings: list[Lodging] = field(default_factory=list)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)  # what the DNS shows where, and for which tenant
    served: dict[str, Lodging] = field(default_factory=dict)  # what exists outside
    shown_s: dict[tuple[str, str], int] = field(default_factory=dict)  # when a host name showed a tenant's text last
    unjudged: bool = False  # whether anything was written since the last judgement
    challenges: dict[str, tuple[str, str]] = field(default_factory=dict)  # whose text, for which name

    def __post_init__(self) -> None:
        self.book = NameBook(self.names_max, int(QUARANTINE.total_seconds()), self.now_s)

    async def move_in(self, tenant: str, hostname: str, *, own: bool) -> Lodging:
        """A new Domain."""
        made = Lodging(await self.registry.domain(tenant, hostname, own=own), tenant, hostname, own)
        self.lodgings.append(made)
        self.book.askers[made.uid] = Asker(made.uid, tenant, hostname, own)
        whose = self.challenges.setdefault(await self._challenge(made), (tenant, hostname))
        assert whose == (tenant, hostname), "one text proves two claims"
        return made

    async def show(self, lodging: Lodging) -> None:
        """The owner of the name puts this Domain's text into the DNS."""
        self.texts[lodging.hostname, await self._challenge(lodging)] = lodging.tenant

    async def withdraw(self, lodging: Lodging) -> None:
        """And takes it out again."""
        self.texts.pop((lodging.hostname, await self._challenge(lodging)), None)

    async def pass_time(self, seconds: int) -> None:
        """Let the database's clock go on."""
        self.now_s += seconds
        self.book.now_s = self.now_s
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
        self.book.gone.add(tenant)
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
        if after != before:
            lodging.old = before, decision
            if not await self._save(before, after):
                return
        if after.state is DomainState.ACTIVE and before.state is not DomainState.ACTIVE and lodging.own:
            shown_s = self.shown_s.get((lodging.hostname, lodging.tenant))
            assert shown_s is not None, "active without a proof"
            assert self.now_s - shown_s <= FRESH_SECONDS, "active by an old proof"
        for effect in decision.effects:
            await self._do(effect, lodging, before)
        await self.judge()

    async def out_of_turn(self, lodging: Lodging, what: str) -> None:
        """Something is done that nobody has decided now; also for a Domain that is no more."""
        if what == "claim":
            await self._ask(lodging)
        elif what == "release" and self.served.get(lodging.hostname) is not lodging:
            await self._release(lodging)
        elif what == "proof":
            await self._look_for_proof(lodging, await self._challenge(lodging))
        elif what == "save" and lodging.old is not None:  # by somebody who comes too late, and goes no further
            before, decision = lodging.old
            await self._save(before, decision.record)
        await self.judge()

    async def _ask(self, lodging: Lodging) -> None:
        answer = await self.registry.claim(lodging.uid, names_max=self.names_max)
        expected = self.book.claim(lodging.uid)
        self.unjudged = True
        assert answer is expected, f"{answer} where it should be {expected}"

    async def _finish(self, lodging: Lodging) -> None:
        await self.registry.domains.finish(epoch=1, uid=lodging.uid)
        lodging.finished = self.book.askers[lodging.uid].finished = self.unjudged = True

    async def _release(self, lodging: Lodging) -> None:
        await self.registry.release(lodging.uid)
        self.book.release(lodging.uid)
        self.unjudged = True

    async def _save(self, before: DomainRecord, after: DomainRecord) -> bool:
        saved = await self.registry.domains.save(epoch=1, before=before, after=after)
        expected = self.book.move(before.uid, after.state, decided_at=before.fence)
        self.unjudged = True
        assert saved is expected, f"{before.state} became {after.state}: {saved}"
        return saved

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
        if not self.unjudged:
            return
        self.unjudged = False
        for check in HELD_BY_ITS_HOLDER:
            assert await self.registry.world.sql.fetch(check.sql) == [], check.sentence
        await self._compare()
        for hostname, lodging in self.served.items():
            holder = await self.registry.world.sql.fetchval(
                "SELECT domain_uid::text FROM moorage.claim WHERE hostname = $1", hostname
            )
            assert holder == lodging.uid, "it exists outside, and is another's"

    async def _look_for_proof(self, lodging: Lodging, challenge: str) -> None:
        shown_for = self.texts.get((lodging.hostname, challenge))
        assert shown_for in {None, lodging.tenant}, "proven by what another tenant shows"
        await self.registry.prove(lodging.uid, ProofAnswer.MISSING if shown_for is None else ProofAnswer.SHOWN)
        self.book.look(lodging.uid, shown=shown_for is not None)
        self.unjudged = True
        if shown_for is not None:
            self.shown_s[lodging.hostname, lodging.tenant] = self.now_s

    async def _compare(self) -> None:
        """Database and book say the same of every name, and of everybody who asks."""
        fetch, tenants = self.registry.world.sql.fetch, sorted({lodging.tenant for lodging in self.lodgings})
        _agree(self.book.all_names(), {row[0]: tuple(row)[1:] for row in await fetch(NAMES, tenants)})
        _agree(self.book.all_askers(), {row[0]: tuple(row)[1:] for row in await fetch(ASKERS, tenants)})

    async def _do(self, effect: do.Effect, lodging: Lodging, before: DomainRecord) -> None:
        name = lodging.hostname
        match effect:
            case do.Claim():
                await self._ask(lodging)
            case do.LookForProof():
                await self._look_for_proof(lodging, before.challenge)
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
                await self._release(lodging)
            case do.Finish():
                await self._finish(lodging)

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


def _agree(book: Mapping[str, object], database: Mapping[str, object]) -> None:
    for key in book.keys() | database.keys():
        said, found = book.get(key), database.get(key)
        assert said == found, f"{key}: the book says {said}, the database {found}"


def _thing(*, there: bool) -> Thing:
    return Thing(sight=Sight.THERE if there else Sight.ABSENT)
