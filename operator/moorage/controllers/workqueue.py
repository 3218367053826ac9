"""The work queue: each key runs alone, lanes take turns, failures wait, and no news is lost."""

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from moorage.controllers.lanes import NORMAL, RESYNC, URGENT, Lanes
from moorage.controllers.pauses import Pauses
from moorage.model.errors import LostLeadership, MoorageError

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

SOON_SECONDS = 60.0  # a look wanted sooner than this waits for something; a later one is resync
NEWS_AFTER_FAILURE_SECONDS = 1.0  # news during a failing run shortens its back-off to this, but not to nothing
TIMERS_SPARE = 64  # dead timers kept before the heap is built anew


@dataclass(slots=True, eq=False)
class Entry:
    """What the queue knows of a key; settled keys have no entry."""

    lane: Hashable
    queued_at: int | None = None  # the level it waits at
    running: bool = False
    news: int | None = None  # the most urgent level asked for while running
    failures: int = 0
    since: float = 0.0  # when it began to wait
    due: float | None = None  # the only live timer of this key
    due_level: int = RESYNC


class KeyedQueue(Generic[K]):
    """Runs `run(key)`, which looks at the whole world, and returns in how many seconds to look again (None: settled).

    * A key never runs twice at once. Added while it waits: nothing. Added while it runs: exactly one more run.
    * At most `per_lane` keys of a lane run; lanes take turns. Urgent keys go first, resync goes last.
    * A failed run is repeated after a jittered, growing wait; news cuts the wait short but keeps the count.
    * LostLeadership stops the queue and is handed to `fatal`, if somebody listens there.
    """

    def __init__(  # two functions, and limits that all have a default
        self,
        run: Callable[[K], Awaitable[float | None]],
        lane_of: Callable[[K], Hashable],
        *,
        workers: int = 32,
        per_lane: int = 4,
        base_seconds: float = 0.05,
        cap_seconds: float = 300.0,
        run_limit_seconds: float = 60.0,
        clock: Callable[[], float] | None = None,
        rng: random.Random | None = None,
        fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._run = run
        self._lane_of = lane_of
        self._workers = workers
        self._run_limit_seconds = run_limit_seconds
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._rng = rng or random.Random()  # noqa: S311  # jitter, not a secret
        self._pauses = Pauses(base_seconds, cap_seconds, self._rng)
        self.fatal = fatal  # may also be set later
        self.waited: Callable[[float], object] = lambda _: None  # told the seconds a key has waited
        self._entries: dict[K, Entry] = {}
        self._lanes: Lanes[K] = Lanes(per_lane)
        self._timers: list[tuple[float, int, K]] = []
        self._timers_made = 0
        self._live_timers = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._active: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def depth(self) -> int:
        """Keys that wait to run."""
        return self._lanes.waiting

    @property
    def running(self) -> int:
        """Keys that run."""
        return len(self._active)

    @property
    def timed(self) -> int:
        """Keys that wait for their time."""
        return self._live_timers

    def failures(self, key: K) -> int:
        """Failed runs of a key since its last good one."""
        entry = self._entries.get(key)
        return entry.failures if entry is not None else 0

    def add(self, key: K, urgent: bool = False) -> None:
        """There is news of this key: look at it as soon as possible."""
        if not self._closed:
            self._want(key, URGENT if urgent else NORMAL)

    def add_after(self, key: K, seconds: float) -> None:
        """Look at this key in so many seconds at the latest."""
        if not self._closed:
            self._look_again(key, self._entry(key), seconds, NORMAL if seconds < SOON_SECONDS else RESYNC)

    async def drain(self, grace: float = 20.0) -> None:
        """Start nothing more; let what runs end, and cancel what does not end in time."""
        self._close()
        if self._active:
            _, late = await asyncio.wait(set(self._active), timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _entry(self, key: K) -> Entry:
        entry = self._entries.get(key)
        if entry is None:
            try:
                lane = self._lane_of(key)
            except Exception:  # a key without a lane must not be lost: it shares one with its like
                log.exception("bug in finding the lane of a key", extra={"object": str(key)})
                lane = None
            entry = self._entries[key] = Entry(lane)
        return entry

    def _want(self, key: K, level: int) -> None:
        entry = self._entry(key)
        self._cancel_timer(entry)
        if entry.running:
            entry.news = level if entry.news is None else min(level, entry.news)
            return
        if entry.queued_at is not None:
            if level >= entry.queued_at:
                return
            self._lanes.remove(entry.lane, key, entry.queued_at)
        self._queue(key, entry, level)
        self._pump()

    def _queue(self, key: K, entry: Entry, level: int) -> None:
        self._lanes.push(entry.lane, key, level)
        entry.queued_at, entry.since = level, self._clock()

    def _pump(self) -> None:
        while not self._closed and len(self._active) < self._workers:
            key = self._lanes.pick()
            if key is None:
                return
            entry = self._entries[key]
            entry.queued_at, entry.running = None, True
            self.waited(self._clock() - entry.since)
            task = self._loop.create_task(self._one(key, entry))
            self._active.add(task)
            task.add_done_callback(self._ended)

    async def _one(self, key: K, entry: Entry) -> None:
        failure: Exception | None = None
        again: float | None = None
        try:
            async with asyncio.timeout(self._run_limit_seconds):
                again = await self._run(key)
        except LostLeadership as error:
            if self.fatal is None:
                failure = error  # nobody leads here yet: the key waits like after any failure
            else:
                self._close()
                self.fatal(error)
        except Exception as error:  # whatever a run raises, the queue lives on and the key is looked at again
            failure = error
        finally:
            entry.running = False
            self._lanes.release(entry.lane)
        self._after(key, entry, failure, again)

    def _after(self, key: K, entry: Entry, failure: Exception | None, again: float | None) -> None:
        news, entry.news = entry.news, None
        if failure is None:
            entry.failures = 0
            if news is not None:
                self._cancel_timer(entry)
                self._queue(key, entry, news)
            elif again is not None:
                self._look_again(key, entry, again, NORMAL if again < SOON_SECONDS else RESYNC)
        else:
            entry.failures = self._pauses.counted(entry.failures, failure)
            wait = self._pauses.seconds(entry.failures, failure)
            if news is not None:
                wait = min(wait, self._rng.uniform(0.0, NEWS_AFTER_FAILURE_SECONDS))
            self._report(key, entry.failures, failure, round(wait, 3))
            self._look_again(key, entry, wait, NORMAL)
        if entry.queued_at is None and entry.due is None:
            del self._entries[key]

    def _report(self, key: K, failures: int, failure: Exception, wait: float) -> None:
        expected = isinstance(failure, MoorageError | TimeoutError)
        log.log(
            logging.WARNING if expected else logging.ERROR,
            "reconcile failed",
            exc_info=None if expected else failure,
            extra={
                "object": str(key),
                "why": str(failure) if expected else None,
                "failures": failures,
                "wait_seconds": wait,
            },
        )

    def _look_again(self, key: K, entry: Entry, seconds: float, level: int) -> None:
        due = self._clock() + max(0.0, seconds)
        if entry.queued_at is not None or (entry.due is not None and entry.due <= due):
            return
        self._cancel_timer(entry)
        entry.due, entry.due_level = due, level
        self._live_timers += 1
        self._timers_made += 1
        heapq.heappush(self._timers, (due, self._timers_made, key))
        if len(self._timers) > 2 * self._live_timers + TIMERS_SPARE:
            self._rebuild_timers()
        if self._timers[0][0] == due:
            self._arm()

    def _cancel_timer(self, entry: Entry) -> None:
        if entry.due is not None:
            entry.due = None
            self._live_timers -= 1

    def _rebuild_timers(self) -> None:
        entries = self._entries
        alive = {timer[2]: timer for timer in self._timers if timer[2] in entries and entries[timer[2]].due == timer[0]}
        self._timers = list(alive.values())
        heapq.heapify(self._timers)

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._timers and not self._closed:
            self._alarm = self._loop.call_later(max(0.0, self._timers[0][0] - self._clock()), self._fire)

    def _fire(self) -> None:
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            due, _, key = heapq.heappop(self._timers)
            entry = self._entries.get(key)
            if entry is not None and entry.due == due:
                # While the key runs this counts as news: dropped, the timer's wish would be lost.
                self._want(key, entry.due_level)
        self._arm()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._active.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self.fatal is not None:
            self.fatal(error)
        self._pump()

    def _close(self) -> None:
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
