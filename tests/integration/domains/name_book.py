"""Who holds which host name, by the rules as people are told them: what the database must say after every step.

Nothing in here knows how the database does it. Moments are seconds of the test's clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from moorage.model.domain_record import DomainState, Standing

HOUR_S = 3600
SHARE_OF_QUARANTINE = 3  # so many times the names that a tenant may hold may it keep from others altogether


@dataclass
class Asker:
    """One Domain."""

    uid: str
    tenant: str
    hostname: str
    own: bool
    state: DomainState = DomainState.PENDING
    moves: int = 0  # of its state; whoever decided before the last one comes too late
    finished: bool = False
    proven_s: int | None = None
    looked_s: int | None = None
    missing_s: int | None = None

    def forget_proof(self) -> None:
        """It has to be shown anew."""
        self.proven_s = self.looked_s = self.missing_s = None


@dataclass
class Name:
    """One host name that was ever held."""

    tenant: str
    holder: str | None
    proven: bool
    kept_until_s: int = 0  # for the tenant that had it last


@dataclass
class NameBook:
    """All names and all who ask for them."""

    names_max: int
    quarantine_s: int
    now_s: int = 0
    askers: dict[str, Asker] = field(default_factory=dict)
    names: dict[str, Name] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)  # tenants

    def claim(self, uid: str) -> Standing:
        """The answer to a Domain that asks for its name."""
        one, name = self.askers[uid], self.names.get(self.askers[uid].hostname)
        if name is not None and name.holder == uid:
            return Standing.HELD
        if one.finished or one.state is not DomainState.PENDING:
            return Standing.TAKEN  # only what waits for a name gets one
        self._doubt(one)
        if name is not None and name.holder is not None and not self._gives_way(name, one):
            return Standing.TAKEN
        if name is not None and self._is_kept_from(name, one):
            return Standing.QUARANTINED
        if self._has_enough(one):
            return Standing.LIMIT
        kept_s = name.kept_until_s if name is not None and name.tenant == one.tenant else 0
        self.names[one.hostname] = Name(one.tenant, uid, not one.own or one.proven_s is not None, kept_s)
        return Standing.HELD

    def standing(self, uid: str) -> Standing:
        """How a Domain stands to its name before it asks."""
        one, name = self.askers[uid], self.names.get(self.askers[uid].hostname)
        if name is None:
            return Standing.FREE
        if name.holder is not None:
            return Standing.HELD if name.holder == uid else Standing.TAKEN
        return Standing.QUARANTINED if self._is_kept_from(name, one) else Standing.FREE

    def all_names(self) -> dict[str, object]:
        """Everything that is in it of names: whose, held by which Domain, proven, and kept until when."""
        return {host: (one.tenant, one.holder, one.proven, one.kept_until_s) for host, one in self.names.items()}

    def all_askers(self) -> dict[str, object]:
        """And of Domains: state, whether it is no more, its proof, and how it stands to its name."""
        return {
            uid: (one.state, one.finished, one.proven_s, one.looked_s, one.missing_s, self.standing(uid))
            for uid, one in self.askers.items()
        }

    def look(self, uid: str, *, shown: bool) -> None:
        """The resolvers have given a definite answer."""
        one = self.askers[uid]
        if not one.own or one.finished:
            return
        one.looked_s = self.now_s
        if shown:
            one.proven_s = self.now_s if one.proven_s is None else one.proven_s
            one.missing_s = None
        else:
            one.missing_s = self.now_s if one.missing_s is None else one.missing_s
            if one.state is DomainState.PENDING:
                one.proven_s = None
        for name in self._held_by(uid):
            name.proven = one.proven_s is not None

    def release(self, uid: str) -> None:
        """A Domain gives its name up, if it has one that is not in use."""
        state = self.askers[uid].state
        if state is DomainState.ACTIVE:
            return
        for name in self._held_by(uid):
            # What was never used leads nobody astray.
            pause_s = 0 if state is DomainState.PENDING else self.quarantine_s
            name.holder, name.proven = None, False
            name.kept_until_s = max(name.kept_until_s, self.now_s + pause_s)

    def move(self, uid: str, state: DomainState, *, decided_at: int) -> bool:
        """A decision is to be saved that was made after so many moves; whether it is."""
        one = self.askers[uid]
        ready = state is not DomainState.ACTIVE or one.state is state or any(each.proven for each in self._held_by(uid))
        if one.finished or one.moves != decided_at or not ready:
            return False
        one.moves += one.state is not state
        one.state = state
        if state is DomainState.RELEASED:
            one.forget_proof()
        return True

    def _doubt(self, one: Asker) -> None:
        """A proof that was not seen for an hour, or looked for in vain, is none."""
        if one.proven_s is None or one.looked_s is None:
            return
        if one.missing_s is not None or one.looked_s + HOUR_S <= self.now_s:
            one.forget_proof()

    def _held_by(self, uid: str) -> Iterator[Name]:
        return (name for name in self.names.values() if name.holder == uid)

    @staticmethod
    def _gives_way(name: Name, one: Asker) -> bool:
        """Only to a proof, only before it is proven itself, and only to another tenant."""
        return name.tenant != one.tenant and not name.proven and one.proven_s is not None

    def _is_kept_from(self, name: Name, one: Asker) -> bool:
        return name.holder is None and name.tenant != one.tenant and name.kept_until_s > self.now_s

    def _has_enough(self, one: Asker) -> bool:
        others = [name for host, name in self.names.items() if name.tenant == one.tenant and host != one.hostname]
        held = sum(name.holder is not None for name in others)
        kept = sum(name.holder is None and name.kept_until_s > self.now_s for name in others)
        return one.tenant in self.gone or held >= self.names_max or held + kept >= SHARE_OF_QUARANTINE * self.names_max
