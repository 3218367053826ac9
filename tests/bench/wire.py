"""The load's own client: as little work as possible per call and per event, the same for all contestants."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from dev.layout import Layout

IN_FLIGHT = 32
FAILED = 400
TOO_EARLY = 429


class Condition(msgspec.Struct):
    """One condition of an object."""

    type: str
    status: str
    reason: str = ""


class Status(msgspec.Struct):
    """What is read of a status."""

    conditions: list[Condition] = []


class Metadata(msgspec.Struct):
    """What is read of the metadata."""

    name: str
    namespace: str = ""
    version: str = msgspec.field(name="resourceVersion", default="")
    deleted_at: str | None = msgspec.field(name="deletionTimestamp", default=None)


class Thing(msgspec.Struct):
    """Any object."""

    metadata: Metadata
    status: Status = msgspec.field(default_factory=Status)

    def has(self, condition: str) -> bool:
        """Whether a condition was judged, in whatever way."""
        return any(each.type == condition for each in self.status.conditions)

    def holds(self, condition: str) -> bool:
        """Whether a condition is True."""
        return any(each.type == condition and each.status == "True" for each in self.status.conditions)


class Event(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: Thing


Headers = tuple[tuple[str, str], ...]
BREAK_GLASS: Headers = (
    ("Impersonate-User", "bench"),
    ("Impersonate-Group", "system:masters"),
    ("Impersonate-Group", "moorage:break-glass"),
)


def as_user(name: str) -> Headers:
    """Act for a user with the rights that this name has."""
    return (("Impersonate-User", name),)


class Refused(Exception):
    """The API server did not do it."""


class Wire:
    """Calls to the API server, straight from the node's own network."""

    def __init__(self, server: str, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session
        self._events = msgspec.json.Decoder(Event)

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, layout: Layout, token: str, *, who: Headers = ()) -> "AsyncIterator[Wire]":
        """With a token, as the operator comes: a certificate costs the server more per call. Only inside the node.

        As BREAK_GLASS the policies of the platform let through what only its operator may do.
        """
        secure = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        connector = aiohttp.TCPConnector(ssl=secure, limit=0, keepalive_timeout=75)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        headers = [("Authorization", f"Bearer {token}"), *who]
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, headers=headers, read_bufsize=1 << 20
        ) as session:
            yield cls(f"https://{layout.node_ip}:6443", session)

    async def text(self, url: str) -> str:
        """What a path of the API server, or any other address on the node's network, answers."""
        async with self._session.get(url if "://" in url else self._server + url) as answer:
            return await answer.text()

    async def read(self, path: str) -> bytes:
        """What a path of the API server answers, as it comes."""
        async with self._session.get(self._server + path) as answer:
            return await answer.read()

    async def get(self, path: str) -> Any:  # Any: free-form documents
        """A document."""
        return await self.call("GET", path)

    async def call(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:  # Any: free-form documents
        """One call, again when the server asks for that; raises Refused with what it said otherwise."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": content_type}
        while True:
            async with self._session.request(method, self._server + path, data=data, headers=headers) as answer:
                content = await answer.read()
            if answer.status == TOO_EARLY:  # nothing was done: the storage of a new kind is not ready yet
                await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
                continue
            if answer.status >= FAILED:
                raise Refused(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
            return msgspec.json.decode(content)

    async def create_all(self, batches: Iterable[Sequence[tuple[str, Mapping[str, Any]]]]) -> dict[str, float]:
        """POST (path, manifest) after (path, manifest), a fixed number of batches in flight.

        By the name of a batch's last object the moment its first was sent.
        """
        sent: dict[str, float] = {}
        waiting = iter([_encoded(batch) for batch in batches])
        headers = {"Content-Type": "application/json"}

        async def work() -> None:
            for name, requests in waiting:  # shared: each worker takes the next one
                sent[name] = time.perf_counter()
                for path, body in requests:
                    async with self._session.post(self._server + path, data=body, headers=headers) as answer:
                        content = await answer.read()
                        if answer.status >= FAILED:
                            raise Refused(f"POST {path}: {answer.status} {content[:500].decode(errors='replace')}")

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())
        return sent

    async def watch(self, path: str, version: str) -> AsyncIterator[list[Event]]:
        """Events from a version on, in batches as they arrive; a server under load may cut a watch, which goes on."""
        while True:
            url = f"{self._server}{path}?watch=1&resourceVersion={version}"
            async with self._session.get(url) as answer:
                rest = b""
                with contextlib.suppress(aiohttp.ClientPayloadError):  # cut inside a line
                    async for chunk in answer.content.iter_any():
                        *lines, rest = (rest + chunk).split(b"\n")
                        if lines:
                            events = [self._events.decode(line) for line in lines]
                            version = events[-1].object.metadata.version
                            yield events

    async def version(self, path: str) -> str:
        """The version to watch a collection from."""
        return str((await self.get(f"{path}?limit=1"))["metadata"]["resourceVersion"])

    async def first_times(
        self, path: str, version: str, wanted: int, reached: Callable[[Event], bool]
    ) -> dict[str, float]:
        """By name the moment at which each of so many objects was first seen to have reached something."""
        seen: dict[str, float] = {}
        async with contextlib.aclosing(self.watch(path, version)) as batches:  # type: ignore[type-var]  # a generator
            async for events in batches:
                now = time.perf_counter()
                for event in events:
                    name = event.object.metadata.name
                    if name not in seen and reached(event):
                        seen[name] = now
                if len(seen) >= wanted:
                    return seen
        raise AssertionError("a watch has no end")


def _encoded(batch: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[str, list[tuple[str, bytes]]]:
    return batch[-1][1]["metadata"]["name"], [(path, msgspec.json.encode(manifest)) for path, manifest in batch]


async def eventually(what: str, seconds: float, look: Callable[[], Any], pause_seconds: float = 0.05) -> Any:
    """Ask until the answer is true; Any: whatever the question returns."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:.0f} s")
        await asyncio.sleep(pause_seconds)
