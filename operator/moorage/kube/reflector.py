"""Reflector: one kind, listed and watched for ever; the store is what the server last said."""

import asyncio
import builtins  # the method `list` of a source hides the type
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from moorage.kube import failures, wire
from moorage.kube.kinds import Kind, collection_path
from moorage.kube.objects import Identity
from moorage.model.errors import MoorageError, Transient, Unavailable

log = logging.getLogger(__name__)

SILENCE_SECONDS = 75.0  # the server sends a bookmark about once a minute
WATCH_SECONDS = range(240, 300)  # how long one watch is asked to last; random, so that they do not end together
BACKOFF_BASE_SECONDS = 0.2
BACKOFF_CAP_SECONDS = 10.0
SHORT_WATCH_SECONDS = 1.0  # a watch that ends sooner, without an event, is a failure
LIST_AGAIN_EVERY = 5  # failed attempts after which the version is no longer trusted


class ObjectKey(NamedTuple):
    """Where an object is; `namespace` is empty for cluster-scoped kinds."""

    namespace: str
    name: str


class Item(Protocol):
    """An object with an identity."""

    @property
    def metadata(self) -> Identity:
        """Name, uid, version."""


T = TypeVar("T", bound=Item)

Restarted = Callable[[str, str], object]  # the kind, and what was wrong: Expired, Failed, Bug

# key, what was there, what is there now. It only rings a bell and must not raise.
Changed = Callable[[ObjectKey, T | None, T | None], None]


class Source(Protocol):
    """What a reflector needs of a client."""

    async def list(
        self, path: str, type_item: Any, *, label_selector: str | None = None, limit: int = 500
    ) -> tuple[Any, str]:
        """All objects and the version of the list."""

    def stream(
        self, path: str, query: Mapping[str, str], *, silence_seconds: float
    ) -> AsyncIterator[builtins.list[bytes]]:
        """The lines of a watch, in batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View(Generic[T]):
    """What a reflector looks at: a kind, the fields of it that somebody reads, and which objects."""

    kind: Kind
    type: type[T]
    namespace: str | None = None
    label_selector: str | None = None


class Reflector(Generic[T]):
    """Keeps `store` equal to the server's objects and reports each change once, also those that a gap hid."""

    def __init__(
        self,
        source: Source,
        view: View[T],
        changed: Changed[T],
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        restarted: Restarted = lambda *_: None,
    ) -> None:
        self.kind = view.kind
        self.store: dict[ObjectKey, T] = {}
        self.listed = asyncio.Event()
        self.last_seen = clock()
        self.version = 0  # everything up to here has been seen
        self._source = source
        self._type = view.type
        self._path = collection_path(view.kind, view.namespace)
        self._selector = view.label_selector
        self._changed = changed
        self._events = wire.event_decoder(view.type)
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  # jitter, not a secret
        self._restarted = restarted
        self._resume: str | None = None
        self._failures = 0

    async def run(self) -> None:
        """List, watch, and again, for ever; whatever the server does, this only ends by cancellation."""
        while True:
            pause = 0.0
            try:
                if self._resume is None:
                    await self._list()
                await self._watch()
            except failures.Expired:
                self._restarted(str(self.kind), "Expired")
                self._resume = None
                self._failures += 1
                # The first time this is the normal end of an old version; a list that expires again is not.
                pause = self._backoff() if self._failures > 1 else 0.0
            except (MoorageError, msgspec.MsgspecError, ValueError) as error:
                self._restarted(str(self.kind), "Failed")
                pause = self._failed(error)
            except Exception:  # a bug of ours must not blind the operator to a whole kind; the log shouts
                log.exception("bug in the watch of a kind", extra={"kind": str(self.kind)})
                self._restarted(str(self.kind), "Bug")
                self._resume = None
                self._failures += 1
                pause = self._backoff()
            await asyncio.sleep(pause)

    def put(self, item: T) -> bool:
        """Keep an answer of the server that the watch has not reached yet; False when the watch knows better."""
        key = ObjectKey(item.metadata.namespace, item.metadata.name)
        old = self.store.get(key)
        version = item.metadata.version
        # Up to `version` the watch has told everything, also that this object was deleted since.
        if version <= self.version or (old is not None and version <= old.metadata.version):
            return False
        self._keep(key, old, item)
        return True

    async def refresh(self) -> None:
        """List once more beside the watch, for when being late could do harm; raises while the server does not answer.

        A watch that lags behind may show once more what the list no longer has, until it gets to its end.
        """
        items, version = await self._source.list(self._path, self._type, label_selector=self._selector)
        if int(version) >= self.version:  # else the watch was faster, and would not tell again what it has told
            self._take_list(items, version)

    async def _list(self) -> None:
        items, version = await self._source.list(self._path, self._type, label_selector=self._selector)
        self._take_list(items, version)
        self.listed.set()

    def _take_list(self, items: builtins.list[T], version: str) -> None:
        fresh = {ObjectKey(item.metadata.namespace, item.metadata.name): item for item in items}
        at = int(version)
        for key, old in list(self.store.items()):
            if key not in fresh and old.metadata.version <= at:  # a newer one is an answer the list could not show
                self._drop(key, old)
        for key, item in fresh.items():
            old_item = self.store.get(key)
            if old_item is None or item.metadata.version > old_item.metadata.version:
                self._keep(key, old_item, item)
        self._resume, self.version = version, at
        self.last_seen = self._clock()

    async def _watch(self) -> None:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._resume or "",
            "timeoutSeconds": str(self._rng.choice(WATCH_SECONDS)),
        }
        if self._selector:
            query["labelSelector"] = self._selector
        started, news = self._clock(), False
        stream = self._source.stream(self._path, query, silence_seconds=SILENCE_SECONDS)
        async with contextlib.aclosing(stream) as batches:  # type: ignore[type-var]  # an async generator in fact
            async for lines in batches:
                for line in lines:
                    self._take(self._events.decode(line))
                self.last_seen = self._clock()
                self._failures, news = 0, True
        if not news and self._clock() - started < SHORT_WATCH_SECONDS:
            raise Unavailable("the watch ended at once")
        self._failures = 0

    def _take(self, event: Any) -> None:
        if isinstance(event, wire.Failed):
            raise failures.translate(event.object.code, event.object)
        if isinstance(event, wire.Bookmark):
            self._seen(event.object.metadata.resource_version)
            return
        item: T = event.object
        key = ObjectKey(item.metadata.namespace, item.metadata.name)
        old = self.store.get(key)
        version = item.metadata.version
        if isinstance(event, wire.Deleted):
            if old is not None and version >= old.metadata.version:
                self._drop(key, old, item)
        elif old is None or version > old.metadata.version:
            self._keep(key, old, item)
        self._seen(item.metadata.resource_version)

    def _seen(self, version: str) -> None:
        self._resume = version
        self.version = max(self.version, int(version))

    def _keep(self, key: ObjectKey, old: T | None, item: T) -> None:
        self.store[key] = item
        if old is not None and old.metadata.uid != item.metadata.uid:
            self._changed(key, old, None)
            old = None
        self._changed(key, old, item)

    def _drop(self, key: ObjectKey, old: T, last: T | None = None) -> None:
        """`last` is the state the deletion showed, if it is the same object's: it may hold more than we had seen."""
        del self.store[key]
        self._changed(key, last if last is not None and last.metadata.uid == old.metadata.uid else old, None)

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        if self._failures % LIST_AGAIN_EVERY == 0 or not isinstance(error, MoorageError):
            self._resume = None
        pause = self._backoff()
        wanted = error.retry_after_seconds if isinstance(error, Transient) else None
        if wanted is not None:
            pause = max(pause, wanted * self._rng.uniform(1.0, 1.2))
        log.warning(
            "watch of a kind failed",
            extra={"kind": str(self.kind), "error": str(error), "attempt": self._failures, "pause_seconds": pause},
        )
        return pause

    def _backoff(self) -> float:
        ceiling = min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2 ** min(self._failures, 10))
        return self._rng.uniform(0.0, ceiling)
