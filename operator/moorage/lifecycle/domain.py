"""A Domain's life: `transition(record, desired, seen)` says the next state and what to ask of the world.

Pure and total, as the agent's. Nothing exists outside for a name that is not held and proven; what exists is taken away
in an order that never leaves a record that leads to nobody: the route first, then the name at the provider, then the
certificate, and only then the claim.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from moorage.lifecycle import domain_effects as do
from moorage.model.domain_record import DomainRecord, DomainState, Standing
from moorage.model.domain_seen import DomainSeen, Sight
from moorage.model.reasons import Reason
from moorage.model.record import AgentState

# How often the DNS is asked: a tenant who has just set the record waits for it, one who forgot does not.
EAGER = timedelta(seconds=10)
EAGER_FOR = timedelta(hours=1)
PATIENT = timedelta(minutes=10)
# A proof that was seen is looked at again, and its absence is believed only after days of definite answers.
RECHECK = timedelta(hours=6)
RECHECK_MISSING = timedelta(minutes=30)
LOST_AFTER = timedelta(days=3)
# Nobody rings when another tenant gives a name up.
ASK_AGAIN = timedelta(minutes=5)
LOOK_AGAIN_SECONDS = 2.0

RELEASED = DomainState.RELEASED


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What tenant and platform ask for at this moment."""

    deleting: bool
    problem: Reason | None  # the spec cannot be used: nothing new is set up, what is there stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The record to save, the effects to run in order, and when to look again without news."""

    record: DomainRecord
    effects: tuple[do.Effect, ...] = ()
    wait_seconds: float | None = None
    again: bool = False  # the state moved: look again at once


def transition(record: DomainRecord, desired: Desired, seen: DomainSeen) -> Decision:
    """Decide one step."""
    return _STATES[record.state](record, desired, seen)


def is_away(record: DomainRecord, seen: DomainSeen) -> bool:
    """Whether visitors should see the page instead of the agent."""
    running = record.agent is not None and record.agent.state is AgentState.RUNNING
    return not (running and seen.agent_ready is True and seen.agent_port is not None)


def is_proven(record: DomainRecord) -> bool:
    """Whether the tenant may have the name as far as the DNS has a say in it."""
    if not record.own:
        return True
    return record.proven_at is not None and not is_lost(record)


def is_lost(record: DomainRecord) -> bool:
    """Whether the proof has been gone for too long."""
    return record.missing_since is not None and record.now - record.missing_since >= LOST_AFTER


def is_unpaid(record: DomainRecord) -> bool:
    """Whether the time in which it could have been paid is over."""
    return record.paid.release_at is not None and record.paid.release_at <= record.now


def _pending(record: DomainRecord, desired: Desired, _seen: DomainSeen) -> Decision:
    held = record.standing is Standing.HELD
    if desired.deleting:
        # Nothing was ever set up outside in this state.
        return Decision(record=record, effects=(do.Release(),), again=True) if held else _enter(record, RELEASED)
    if desired.problem is not None:
        return Decision(record=record)
    if held and is_proven(record):
        return _enter(record, DomainState.ACTIVE)
    effects: tuple[do.Effect, ...] = () if held else (do.Claim(),)
    wait = ASK_AGAIN.total_seconds()
    if record.own and record.standing in _PROVABLE:
        wait = _look_due_seconds(record)
        if wait == 0:
            effects, wait = (*effects, do.LookForProof()), EAGER.total_seconds()
    return Decision(record=record, effects=effects, wait_seconds=wait)


# Where a proof would change something: what is held by us, or by somebody who may not have proven it.
_PROVABLE = (Standing.FREE, Standing.HELD, Standing.TAKEN)


def _active(record: DomainRecord, desired: Desired, seen: DomainSeen) -> Decision:
    if desired.deleting or is_unpaid(record) or not is_proven(record) or record.standing is not Standing.HELD:
        return _enter(record, DomainState.RELEASING)
    if record.paid.until is None:
        # The first month before all else: what costs the platform something is not given in advance.
        return Decision(record=record, effects=(do.PayMonth(),), wait_seconds=ASK_AGAIN.total_seconds())
    effects: list[do.Effect] = [] if record.now < record.paid.until else [do.PayMonth()]
    wait = None
    if record.own:
        wait = _seconds_left(record.looked_at, RECHECK if record.missing_since is None else RECHECK_MISSING, record)
        if wait == 0:
            effects.append(do.LookForProof())
            wait = RECHECK_MISSING.total_seconds()
    if desired.problem is None:
        effects += [do.KeepName(), do.KeepCertificate()]
    # One that is of another issuer, or has run out, serves until a better one is there.
    # Where nobody knows how the agent stands, its route is left as it is.
    if seen.certificate.sight in (Sight.THERE, Sight.DIFFERENT) and seen.agent_ready is not None:
        effects.append(do.ApplyRoute(away=is_away(record, seen)))
    return Decision(record=record, effects=tuple(effects), wait_seconds=wait)


def _releasing(record: DomainRecord, _desired: Desired, seen: DomainSeen) -> Decision:
    if seen.route.sight is not Sight.ABSENT:
        return Decision(record=record, effects=(do.RemoveRoute(),), wait_seconds=LOOK_AGAIN_SECONDS)
    outside = record.record_id is not None or record.provider_hostname_id is not None
    if outside or seen.record.sight not in (Sight.ABSENT, Sight.FOREIGN):
        return Decision(record=record, effects=(do.RemoveName(),), wait_seconds=LOOK_AGAIN_SECONDS)
    if record.certificate is not None:
        return Decision(record=record, effects=(do.RevokeCertificate(),), wait_seconds=LOOK_AGAIN_SECONDS)
    if record.standing is Standing.HELD:
        return Decision(record=record, effects=(do.Release(),), again=True)
    return _enter(record, RELEASED)


def _released(record: DomainRecord, desired: Desired, _seen: DomainSeen) -> Decision:
    if desired.deleting:
        return Decision(record=record, effects=(do.Finish(),))
    if is_unpaid(record):
        return Decision(record=record, effects=(do.PayMonth(),), wait_seconds=ASK_AGAIN.total_seconds())
    return _enter(record, DomainState.PENDING)


def _enter(record: DomainRecord, state: DomainState) -> Decision:
    return Decision(record=replace(record, state=state, state_since=record.now), again=True)


def _look_due_seconds(record: DomainRecord) -> float:
    eager = record.now - record.state_since < EAGER_FOR
    return _seconds_left(record.looked_at, EAGER if eager else PATIENT, record)


def _seconds_left(since: datetime | None, pause: timedelta, record: DomainRecord) -> float:
    """Seconds until a pause is over that began then; 0 when it is, or never began."""
    return 0.0 if since is None else max(0.0, (since + pause - record.now).total_seconds())


_STATES: dict[DomainState, Callable[[DomainRecord, Desired, DomainSeen], Decision]] = {
    DomainState.PENDING: _pending,
    DomainState.ACTIVE: _active,
    DomainState.RELEASING: _releasing,
    DomainState.RELEASED: _released,
}
