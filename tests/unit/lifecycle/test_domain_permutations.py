"""Whatever happens to a host name, in whatever order: nothing leads to who does not hold it, and nothing is left over.

Two Domains of two tenants want one name of their own. All orders of eight events are played against a small model of
the world, and after each event both are reconciled until they rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from moorage.lifecycle import domain as lifecycle
from moorage.lifecycle import domain_effects as do
from moorage.model.domain_record import AgentFacts, DomainRecord, DomainState, Paid, Standing
from moorage.model.domain_seen import DomainSeen, Sight, Thing
from moorage.model.names import TenantUid
from moorage.model.record import AgentState
from tests import factories

STEPS_MAX = 40
QUARANTINE = timedelta(days=30)
EVENTS = (
    "prove", "agent deleted", "domain deleted", "tenant suspended", "resumed", "unpaid", "proof lost",
    "claimed by another",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One tenant's Domain, and what exists outside for it."""

    record: DomainRecord | None  # None: not asked for yet, or let go
    deleting: bool = False
    shows_proof: bool = False
    name: bool = False
    certificate: bool = False
    route: bool = False
    away: bool = True
    begun: bool = False


@dataclass(frozen=True)
class World:
    """Both sides, who holds the name, and the clock."""

    sides: tuple[Side, Side]
    holder: int | None
    holder_proven: bool
    quarantine: tuple[int, datetime] | None
    now: datetime


def _start() -> World:
    first = Side(record=_record(0), begun=True)
    return World(sides=(first, Side(record=None)), holder=None, holder_proven=False, quarantine=None, now=factories.NOW)


def _record(number: int) -> DomainRecord:
    return DomainRecord(
        uid=f"domain-{number}", tenant_uid=TenantUid(f"tenant-{number}"), namespace=f"mn-{number}", name="d",
        agent_name="helper", hostname="bank.example", own=True, state=DomainState.PENDING, state_since=factories.NOW,
        fence=0, now=factories.NOW, standing=Standing.FREE, challenge=f"text-{number}", proven_at=None, looked_at=None,
        missing_since=None, record_id=None, provider_hostname_id=None, certificate=None,
        paid=Paid(until=factories.NOW + timedelta(days=400), unpaid_since=None, release_at=None),
        agent=AgentFacts(uid=f"agent-{number}", state=AgentState.RUNNING),
    )  # fmt: skip


def _with(world: World, number: int, side: Side, **changes: object) -> World:
    sides = (side, world.sides[1]) if number == 0 else (world.sides[0], side)
    return replace(world, sides=sides, **changes)  # type: ignore[arg-type]  # checked by the dataclass


def _standing(world: World, number: int) -> Standing:
    if world.holder is not None:
        return Standing.HELD if world.holder == number else Standing.TAKEN
    if world.quarantine is not None and world.quarantine[0] != number and world.quarantine[1] > world.now:
        return Standing.QUARANTINED
    return Standing.FREE


def _happen(world: World, event: str) -> World:
    """Something happens to the first tenant, or the other one comes; then a while passes."""
    first, other = world.sides
    record = first.record
    match event:
        case "prove":
            world = _with(world, 0, replace(first, shows_proof=True))
        case "agent deleted" if record is not None:
            world = _with(world, 0, replace(first, record=replace(record, agent=None)))
        case "domain deleted":
            world = _with(world, 0, replace(first, deleting=True))
        case "tenant suspended" | "resumed" if record is not None and record.agent is not None:
            state = AgentState.SUSPENDED if event == "tenant suspended" else AgentState.RUNNING
            world = _with(world, 0, replace(first, record=replace(record, agent=replace(record.agent, state=state))))
        case "unpaid" if record is not None:
            paid = Paid(until=world.now, unpaid_since=world.now, release_at=world.now)
            world = _with(world, 0, replace(first, record=replace(record, paid=paid)))
        case "proof lost":
            missing = None if record is None else replace(record, missing_since=world.now - lifecycle.LOST_AFTER)
            lost = missing if record is not None and record.proven_at is not None else record
            world = _with(world, 0, replace(first, shows_proof=False, record=lost))
        case "claimed by another":
            world = _with(world, 1, replace(other, record=_record(1), shows_proof=True, begun=True))
    return replace(world, now=world.now + timedelta(hours=7))


def _rest(world: World) -> World:
    for _ in range(STEPS_MAX):
        after = _pass(_pass(world, 0), 1)
        if after == world:
            return world
        world = after
    raise AssertionError("they never rest")


def _pass(world: World, number: int) -> World:
    side = world.sides[number]
    if side.record is None:
        return world
    record = replace(side.record, standing=_standing(world, number), now=world.now)
    decision = lifecycle.transition(record, lifecycle.Desired(deleting=side.deleting, problem=None), _seen(side))
    after = decision.record
    if after.state is DomainState.RELEASED and record.state is not DomainState.RELEASED:
        after = replace(after, proven_at=None, looked_at=None, missing_since=None)
    world = _with(world, number, replace(side, record=after))
    for effect in decision.effects:
        world = _act(world, number, effect)
    return world


def _seen(side: Side) -> DomainSeen:
    def thing(there: bool) -> Thing:
        return Thing(sight=Sight.THERE if there else Sight.ABSENT)

    return DomainSeen(
        record=thing(side.name), certificate=thing(side.certificate), route=thing(side.route), agent_ready=True,
        agent_port=8080,
    )  # fmt: skip


def _act(world: World, number: int, effect: do.Effect) -> World:  # noqa: PLR0912  # one case per effect
    side = world.sides[number]
    record = side.record
    assert record is not None
    match effect:
        case do.Claim():
            free = _standing(world, number) is Standing.FREE
            taken_over = world.holder not in (None, number) and not world.holder_proven and record.proven_at is not None
            if free or taken_over:
                world = replace(world, holder=number, holder_proven=record.proven_at is not None, quarantine=None)
        case do.LookForProof():
            seen = replace(record, looked_at=world.now)
            if side.shows_proof:
                seen = replace(seen, proven_at=record.proven_at or world.now, missing_since=None)
                # The claim hears of it in the same moment.
                world = replace(world, holder_proven=world.holder_proven or world.holder == number)
            else:
                seen = replace(seen, missing_since=record.missing_since or world.now)
            side = replace(side, record=seen)
        case do.KeepName():
            side = replace(side, name=True)
        case do.KeepCertificate():
            side = replace(side, certificate=True)
        case do.ApplyRoute(away):
            assert side.certificate, "a route without a certificate"
            side = replace(side, route=True, away=away)
        case do.RemoveRoute():
            side = replace(side, route=False)
        case do.RemoveName():
            assert not side.route, "a route that leads from a name that is gone"
            side = replace(side, name=False)
        case do.RevokeCertificate():
            side = replace(side, certificate=False)
        case do.Release():
            assert not side.name, "a name that leads here and belongs to nobody"
            world = replace(world, holder=None, holder_proven=False, quarantine=(number, world.now + QUARANTINE))
        case do.Finish():
            assert not side.name
            assert not side.route
            side = replace(side, record=None)
    return _with(world, number, side)


def _check(world: World) -> None:
    for number, side in enumerate(world.sides):
        if side.name or side.route:
            assert world.holder == number, "something leads to who does not hold the name"
            assert side.record is not None
            assert side.record.proven_at is not None
            lost_at = side.record.missing_since
            assert lost_at is None or world.now - lost_at < lifecycle.LOST_AFTER, "a proof that was lost long ago"
        if side.route:
            agent = side.record.agent if side.record is not None else None
            running = agent is not None and agent.state is AgentState.RUNNING
            assert side.away is not running
        if side.deleting:
            assert side.record is None, "a deletion that does not end"
            assert world.holder != number
    if world.quarantine is not None and world.holder is not None:
        assert world.quarantine[1] <= world.now or world.quarantine[0] == world.holder


def _walk(world: World, left: frozenset[str]) -> Iterator[World]:
    if not left:
        yield world
    for event in left:
        after = _rest(_happen(world, event))
        _check(after)
        yield from _walk(after, left - {event})


@pytest.mark.parametrize("first", EVENTS)
def test_every_order_of_events_ends_safe(first: str) -> None:
    world = _rest(_happen(_rest(_start()), first))
    _check(world)
    ends = sum(1 for _ in _walk(world, frozenset(EVENTS) - {first}))
    assert ends == 5_040
