"""Notes down when things happen to agents and pods, from watches, by the clock on the wall that the ledger uses too."""

import asyncio
import time
from collections.abc import Callable

from tests.bench.wire import Event, Wire

READY, SUSPENDED, STOPPING, GONE = "ready", "suspended", "stopping", "gone"


class Diary:
    """What happened to each object of one collection, and when it was noticed."""

    def __init__(self, wire: Wire, path: str) -> None:
        self._wire = wire
        self._path = path
        self._true: dict[str, set[str]] = {}
        self._entries: list[tuple[float, str, str]] = []
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Diary":
        """Write from now on."""
        version = await self._wire.version(self._path)
        self._task = asyncio.create_task(self._follow(version))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def when(self, what: str, name: str, *, after: float, seconds: float) -> float:
        """The first moment after another at which it happened to this object; waits for it."""
        return (await self.first(what, lambda each: each == name, count=1, after=after, seconds=seconds))[name]

    async def first(
        self, what: str, whom: Callable[[str], bool], *, count: int, after: float, seconds: float
    ) -> dict[str, float]:
        """By name the first moment at which it happened; waits for so many objects."""

        def found() -> dict[str, float]:
            moments: dict[str, float] = {}
            for at, happened, name in self._entries:
                if happened == what and at >= after and whom(name):
                    moments.setdefault(name, at)
            return moments

        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: len(found()) >= count or self._ended())
        except TimeoutError:
            raise TimeoutError(f"{len(found())} of {count} {self._path} were {what} within {seconds:.0f} s") from None
        if self._ended() and self._task is not None:
            self._task.result()
        return found()

    def _ended(self) -> bool:
        return self._task is not None and self._task.done()

    async def _follow(self, version: str) -> None:
        try:
            async for events in self._wire.watch(self._path, version):
                now = time.time()
                for event in events:
                    self._note(now, event)
                async with self._news:
                    self._news.notify_all()
        finally:
            async with self._news:
                self._news.notify_all()

    def _note(self, now: float, event: Event) -> None:
        name = event.object.metadata.name
        if event.type == "DELETED":
            self._true.pop(name, None)
            self._entries.append((now, GONE, name))
            return
        holds = {what for what in (READY, SUSPENDED) if event.object.holds(what.capitalize())}
        if event.object.metadata.deleted_at is not None:
            holds.add(STOPPING)
        for what in holds - self._true.get(name, set()):
            self._entries.append((now, what, name))
        self._true[name] = holds
