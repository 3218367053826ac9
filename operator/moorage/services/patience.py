"""When a provider that failed us is asked again, and what to say until then."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from moorage.model.errors import NotAsked, Permanent, Transient, Unavailable
from moorage.model.reasons import Reason

REFUSED_SECONDS = 60.0  # a person must act; the token is read again
FIRST_SECONDS, MOST_SECONDS = 2.0, 300.0

T = TypeVar("T")


class ProviderFailed(Exception):
    """The provider did not do as it was asked; when it is asked again is written down."""


class Patience:
    """The seconds until the next try; a provider that says when is believed."""

    def __init__(self) -> None:
        self.problem: Reason | None = None
        self._until = 0.0
        self._failures = 0

    def wait_seconds(self, now: float) -> float:
        """Seconds to wait; 0 when it may be tried."""
        return max(0.0, self._until - now)

    async def asked(self, answer: Awaitable[T], clock: Callable[[], float], *, lost: Callable[[], None]) -> T:
        """The provider's answer; raises ProviderFailed. `lost` hears of a wish that may have been fulfilled."""
        try:
            found = await answer
        except (Permanent, Transient) as error:
            if isinstance(error, Unavailable):
                lost()
            self._failed(error, clock())
            raise ProviderFailed from error
        self.problem = None
        self._failures = 0
        return found

    def _failed(self, error: Permanent | Transient, now: float) -> None:
        if isinstance(error, Permanent):
            self.problem = error.reason
            self._until = now + REFUSED_SECONDS
            return
        self.problem = Reason.PROVIDER_UNREACHABLE
        self._failures += not isinstance(error, NotAsked)
        said = None if isinstance(error, Unavailable) else error.retry_after_seconds
        self._until = now + (said or min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(self._failures - 1, 8)))
