"""Lanes: the keys that wait, by urgency and tenant, and whose turn it is; no clock, no tasks."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

URGENT, NORMAL, RESYNC = 0, 1, 2
LEVELS = (URGENT, NORMAL, RESYNC)
LOWEST_FIRST_EVERY = 16  # one pick in so many starts at the bottom, so that resync cannot starve


@dataclass(slots=True, eq=False)
class Lane(Generic[K]):
    """One tenant's keys: those that wait, by level, and how many run."""

    running: int = 0
    waiting: tuple["OrderedDict[K, None]", ...] = field(default_factory=lambda: tuple(OrderedDict() for _ in LEVELS))


class Lanes(Generic[K]):
    """At most `per_lane` keys of a lane run; lanes take turns; lower levels go first. Every step is O(1)."""

    def __init__(self, per_lane: int) -> None:
        self._per_lane = per_lane
        self._lanes: dict[Hashable, Lane[K]] = {}
        # Per level the lanes that have a key waiting there and a free place: a pick never walks past full lanes.
        self._runnable: tuple[OrderedDict[Hashable, None], ...] = tuple(OrderedDict() for _ in LEVELS)
        self._picks = 0
        self.waiting = 0

    def push(self, name: Hashable, key: K, level: int) -> None:
        """Let a key wait; it must not wait already."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane()
        lane.waiting[level][key] = None
        self.waiting += 1
        if lane.running < self._per_lane:
            self._runnable[level].setdefault(name, None)

    def remove(self, name: Hashable, key: K, level: int) -> None:
        """Take a waiting key out of the line."""
        waiting = self._lanes[name].waiting[level]
        del waiting[key]
        self.waiting -= 1
        if not waiting:
            self._runnable[level].pop(name, None)

    def pick(self) -> K | None:
        """The key whose turn it is; its lane counts it as running until `release`."""
        self._picks += 1
        upwards = self._picks % LOWEST_FIRST_EVERY == 0
        for level in reversed(LEVELS) if upwards else LEVELS:
            if self._runnable[level]:
                return self._take(level)
        return None

    def release(self, name: Hashable) -> None:
        """A key of this lane ended its run."""
        lane = self._lanes[name]
        lane.running -= 1
        if lane.running == self._per_lane - 1:
            for level, waiting in enumerate(lane.waiting):
                if waiting:
                    self._runnable[level].setdefault(name, None)
        if not lane.running and not any(lane.waiting):
            del self._lanes[name]

    def _take(self, level: int) -> K:
        name = next(iter(self._runnable[level]))
        self._runnable[level].move_to_end(name)  # the next pick of this level takes another lane
        lane = self._lanes[name]
        key = next(iter(lane.waiting[level]))
        self.remove(name, key, level)
        lane.running += 1
        if lane.running >= self._per_lane:
            for lanes in self._runnable:
                lanes.pop(name, None)
        return key
