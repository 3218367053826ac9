"""Answers visitors of agents that are away: a friendly 503 for a host name that is held here, 421 for any other."""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Protocol

from starlette.types import Receive, Scope, Send

from moorage.model.errors import MoorageError
from moorage.store.visits import Visit
from moorage.web.waiting_page import DOCUMENTS, POLICY, Mood, mood_of

ROUTE = SimpleNamespace(path="waiting")  # as it is counted
HOSTNAME = re.compile(r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
HOSTNAME_LENGTH_MAX = 253
# Visitors come in crowds. What was seen a moment ago is good enough for the next one.
FRESH_SECONDS = 2.0
REMEMBERED_MAX = 10_000
# The database belongs to agents first.
LOOKS_AT_ONCE = 2
LOOK_SECONDS_MAX = 2.0
MISDIRECTED = b"This name is not served here.\n"
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-robots-tag", b"noindex"),
)


class Visited(Protocol):
    """What the page needs of the store."""

    async def of(self, hostname: str) -> Visit | None:
        """How the agent behind a name stands."""


class Waiting:
    """The application; it reads no body, sets no cookie, and believes no header but Host."""

    def __init__(self, visits: Visited, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._visits = visits
        self._clock = clock
        self._turn = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._seen: OrderedDict[str, tuple[float, Mood | None]] = OrderedDict()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        scope["route"] = ROUTE
        hostname = hostname_of([value for name, value in scope["headers"] if name == b"host"])
        mood = None if hostname is None else await self._mood(hostname)
        if mood is None:
            headers, status, body = [(b"content-type", b"text/plain; charset=utf-8")], 421, MISDIRECTED
        else:
            status, body = 503, DOCUMENTS[mood]
            headers = [
                (b"content-type", b"text/html; charset=utf-8"),
                (b"retry-after", str(mood.value.retry_seconds).encode()),
            ]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": [*HEADERS, *headers]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _mood(self, hostname: str) -> Mood | None:
        seen = self._seen.get(hostname)
        if seen is not None and self._clock() - seen[0] < FRESH_SECONDS:
            return seen[1]
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX), self._turn:
                visit = await self._visits.of(hostname)
        except (MoorageError, TimeoutError):
            return Mood.UNKNOWN  # a name that cannot be looked up may well be one of ours
        mood = None if visit is None else mood_of(visit.agent)
        self._seen[hostname] = (self._clock(), mood)
        self._seen.move_to_end(hostname)
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
        return mood


def hostname_of(values: list[bytes]) -> str | None:
    """The canonical host name of a request; None when it names none, or more than one."""
    if len(values) != 1 or len(values[0]) > HOSTNAME_LENGTH_MAX + len(".:65535"):
        return None
    name, colon, port = values[0].decode("latin-1").lower().partition(":")
    name = name.removesuffix(".")
    if (colon and not port.isdecimal()) or len(name) > HOSTNAME_LENGTH_MAX:
        return None
    return name if HOSTNAME.fullmatch(name) else None
