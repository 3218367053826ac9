"""The error families every door maps once.

MoorageError
├── Permanent        a wish that cannot be fulfilled: a condition or a 4xx answer, never retried
├── Transient        the world is in the way: retried with a bound
│   ├── NotAsked     we asked nobody, and say when we may
│   └── Unavailable  a service we depend on does not answer (database, API server, object store)
│       └── HistoryInDoubt  the database went back in time: a person decides
└── LostLeadership   another process leads: this one must stop at once
"""

from moorage.model.reasons import Reason


class MoorageError(Exception):
    """Base of all errors that are not bugs."""


class Permanent(MoorageError):
    """Retrying will not help until somebody changes the object; `reason` says why in the closed vocabulary."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or reason.value)
        self.reason = reason


class Transient(MoorageError):
    """May succeed later without anybody's action."""

    def __init__(self, detail: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class NotAsked(Transient):
    """Nothing was sent, since a limit allows no call now. Whoever counts attempts has made none."""

    def __init__(self, detail: str, *, wait_seconds: float) -> None:
        super().__init__(detail, retry_after_seconds=wait_seconds)
        self.wait_seconds = wait_seconds


class Unavailable(Transient):
    """A service we depend on cannot be reached or answers with its own failure."""


class HistoryInDoubt(Unavailable):
    """The database was restored and lost a tail of its history; nobody leads until a person trusts it."""


class LostLeadership(MoorageError):
    """The leader epoch moved on; no further write of this process may count."""
