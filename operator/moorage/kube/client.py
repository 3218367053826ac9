"""One client for all calls to the Kubernetes API: two pooled sessions, typed answers, our errors."""

import asyncio
import builtins  # the method `list` hides the type
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
import yarl

from moorage import __version__
from moorage.kube import failures, kinds
from moorage.kube.login import Authorization, Credentials
from moorage.kube.wire import Lines, decoded, page_of
from moorage.model.errors import MoorageError, Unavailable
from moorage.model.names import FIELD_MANAGER, STATUS_FIELD_MANAGER

T = TypeVar("T")

CONNECTIONS_MAX = 48
CALL_TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
LIST_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=5)
LIST_PAGES_MAX = 10_000
READ_BUFFER_BYTES = 1 << 20

JSON = "application/json"
ACCEPT = f"{JSON}, */*"  # logs are plain text
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"  # the server reads JSON as YAML

# verb, resource, status code (0: no answer), seconds
Observed = Callable[[str, str, int, float], None]


def _unobserved(verb: str, resource: str, code: int, seconds: float) -> None:
    """Count nothing."""


class Client:
    """Calls to one API server; made by `connect`."""

    def __init__(
        self,
        credentials: Credentials,
        calls: aiohttp.ClientSession,
        watches: aiohttp.ClientSession,
        observed: Observed = _unobserved,
    ) -> None:
        self._server = credentials.server.rstrip("/")
        self._authorization = Authorization(credentials)
        self._calls = calls
        self._watches = watches  # of their own: a watch must never wait for a pool slot, nor take one
        self._observed = observed

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls,
        credentials: Credentials,
        *,
        observed: Observed = _unobserved,
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
    ) -> "AsyncIterator[Client]":
        """Open the sessions; `connector` replaces how connections are made (tests use a local socket)."""
        secure: Any = credentials.ssl_context() or False  # Any: aiohttp's own union of types

        def pool(limit: int) -> aiohttp.BaseConnector:
            return aiohttp.TCPConnector(
                ssl=secure, limit=limit, limit_per_host=limit, keepalive_timeout=75, ttl_dns_cache=300
            )

        options: dict[str, Any] = {
            "headers": {"User-Agent": f"moorage/{__version__}", "Accept": ACCEPT, "Accept-Encoding": "identity"},
            "cookie_jar": aiohttp.DummyCookieJar(),
            "trust_env": False,
            "read_bufsize": READ_BUFFER_BYTES,
        }
        async with (
            aiohttp.ClientSession(connector=connector() if connector else pool(CONNECTIONS_MAX), **options) as calls,
            aiohttp.ClientSession(connector=connector() if connector else pool(0), **options) as watches,
        ):
            yield cls(credentials, calls, watches, observed)

    async def read(self, path: str, query: str = "") -> bytes | None:
        """The object as the server sent it, or None when it does not exist."""
        try:
            return await self._call(_Call("GET", path, query))
        except failures.Missing:
            return None

    async def get(self, path: str, type_: type[T]) -> T | None:
        """The object, or None when it does not exist."""
        body = await self.read(path)
        return None if body is None else decoded(type_, body)

    async def list(
        self, path: str, type_item: type[T], *, label_selector: str | None = None, limit: int = 500
    ) -> tuple[builtins.list[T], str]:
        """All objects of a collection and the version of the list; in pages, so that the loop can breathe."""
        page_type = page_of(type_item)
        query = {"limit": str(limit)}
        if label_selector:
            query["labelSelector"] = label_selector
        items: builtins.list[T] = []
        for _ in range(LIST_PAGES_MAX):
            page = decoded(
                page_type, await self._call(_Call("GET", path, urlencode(query), verb="LIST", timeout=LIST_TIMEOUT))
            )
            items += page.items or ()
            if not page.metadata.next_token:
                return items, page.metadata.resource_version
            query["continue"] = page.metadata.next_token
            await asyncio.sleep(0)
        raise Unavailable("the API server's list does not end")

    async def apply(self, path: str, manifest: Mapping[str, Any], *, manager: str = FIELD_MANAGER) -> bytes:
        """Server-side apply; the answer is the object as it is now, still encoded."""
        query = f"fieldManager={manager}&force=true&fieldValidation=Strict"
        return await self._call(_Call("PATCH", path, query, manifest, APPLY_PATCH, verb="APPLY"))

    async def apply_status(self, path: str, manifest: Mapping[str, Any]) -> bytes:
        """Server-side apply of the status; `path` is the object's."""
        return await self.apply(f"{path}/status", manifest, manager=STATUS_FIELD_MANAGER)

    async def create(self, path: str, manifest: Mapping[str, Any]) -> bytes:
        """Create in a collection (or a virtual resource such as a token review); the answer is still encoded."""
        query = f"fieldManager={FIELD_MANAGER}&fieldValidation=Strict"
        return await self._call(_Call("POST", path, query, manifest))

    async def delete(
        self, path: str, *, uid: str | None, grace_period_seconds: int | None = None, propagation: str | None = None
    ) -> bool:
        """Ask for the deletion of exactly this object, or of whichever has the name; False when it is already gone."""
        options: dict[str, Any] = {} if uid is None else {"preconditions": {"uid": uid}}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if propagation is not None:
            options["propagationPolicy"] = propagation
        try:
            await self._call(_Call("DELETE", path, "", options))
        except failures.Missing:
            return False
        except failures.Conflict as error:
            # Only a different uid proves that ours is gone; any other conflict says nothing of the kind.
            if failures.is_other_uid(error):
                return False
            raise
        return True

    async def json_patch(self, path: str, ops: Sequence[Mapping[str, Any]]) -> bool:
        """Apply a JSON patch; False when the object is gone or one of its tests failed."""
        try:
            await self._call(_Call("PATCH", path, f"fieldManager={FIELD_MANAGER}", ops, JSON_PATCH))
        except (failures.Missing, failures.Conflict):
            return False
        except failures.Refused as error:
            if error.status == 422:
                return False
            raise
        return True

    async def stream(
        self, path: str, query: Mapping[str, str], *, silence_seconds: float
    ) -> "AsyncIterator[builtins.list[bytes]]":
        """The lines of a watch as they come, in batches; ends when the server closes the stream between two lines."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence_seconds)
        with self._translated("WATCH", path) as answered:
            async with self._watches.get(
                self._url(path, urlencode(query)), headers=self._headers(None), timeout=timeout, allow_redirects=False
            ) as answer:
                answered(answer.status)
                if answer.status != 200:
                    raise self._failure(answer, await answer.read())
                split = Lines()
                try:
                    async for data in answer.content.iter_any():
                        if lines := split.feed(data):
                            yield lines
                    split.end()
                finally:
                    # Nobody waits for a server's goodbye: one that never comes would keep the connection.
                    if answer.connection and answer.connection.transport:
                        answer.connection.transport.abort()

    async def _call(self, call: "_Call") -> bytes:
        with self._translated(call.verb or call.method, call.path) as answered:
            async with self._calls.request(
                call.method,
                self._url(call.path, call.query),
                data=None if call.body is None else msgspec.json.encode(call.body),
                headers=self._headers(None if call.body is None else call.content_type),
                timeout=call.timeout,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
                answered(answer.status)
                if answer.status >= 300:
                    raise self._failure(answer, content)
                return content

    def _url(self, path: str, query: str) -> yarl.URL:
        return yarl.URL(f"{self._server}{path}?{query}" if query else f"{self._server}{path}", encoded=True)

    def _headers(self, content_type: str | None) -> dict[str, str]:
        headers = {} if content_type is None else {"Content-Type": content_type}
        if (authorization := self._authorization.header()) is not None:
            headers["Authorization"] = authorization
        return headers

    def _failure(self, answer: aiohttp.ClientResponse, content: bytes) -> MoorageError:
        if answer.status == 401:
            self._authorization.forget()
        return failures.translate(answer.status, failures.parsed(content), answer.headers.get("Retry-After"))

    @contextlib.contextmanager
    def _translated(self, verb: str, path: str) -> Iterator[Callable[[int], None]]:
        """Turn connection errors into ours, and count the call once: with its status code, or 0 without an answer."""
        started = time.perf_counter()
        counted = False

        def answered(code: int) -> None:
            nonlocal counted
            if not counted:
                counted = True
                self._observed(verb, kinds.resource_of(path), code, time.perf_counter() - started)

        try:
            yield answered
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            answered(0)
            raise Unavailable(f"the API server does not answer: {error!r}") from error


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    query: str = ""
    body: Any = None  # Any: whatever msgspec can encode
    content_type: str = JSON
    verb: str = ""
    timeout: aiohttp.ClientTimeout = CALL_TIMEOUT
