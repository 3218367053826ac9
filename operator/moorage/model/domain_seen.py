"""What the outside world shows of one Domain: a failed or outstanding read is UNKNOWN, never ABSENT."""

from dataclasses import dataclass
from enum import StrEnum

from moorage.model.names import Key
from moorage.model.reasons import Reason


@dataclass(frozen=True, slots=True)
class Owner:
    """The Domain that something outside is kept for, and the key that rings when it changed."""

    uid: str
    key: Key


class Sight(StrEnum):
    """How one thing outside stands to what is wished."""

    UNKNOWN = "Unknown"  # not read yet, or not readable now
    ABSENT = "Absent"
    UNDER_WAY = "UnderWay"  # asked for, and not there yet
    DIFFERENT = "Different"  # ours, but not as wished
    THERE = "There"  # ours, as wished
    FOREIGN = "Foreign"  # somebody else's is in its place: it stays untouched
    REFUSED = "Refused"  # the provider says no, and `problem` says why


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing outside; `problem` is the reason a person should read."""

    sight: Sight
    problem: Reason | None = None
    id: str | None = None  # the provider's


NOT_SEEN = Thing(sight=Sight.UNKNOWN)


class ProofAnswer(StrEnum):
    """What the resolvers say of a challenge."""

    SHOWN = "Shown"
    MISSING = "Missing"  # they answer, and it is not there
    UNKNOWN = "Unknown"  # too few of them answer, or they do not agree


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSeen:
    """Everything that is looked at outside of the database."""

    record: Thing = NOT_SEEN  # in our zone; for a name of the tenant's own: its name at the provider (custom host name)
    certificate: Thing = NOT_SEEN
    route: Thing = NOT_SEEN
    agent_ready: bool | None = None  # None: unknown
    agent_port: int | None = None  # None: the agent serves no HTTP, or is not there
