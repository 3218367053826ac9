"""Plays of the simulation by the ten thousand, on all cores; every seed that breaks a promise is told."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation import play

AT_ONCE = 250


def run(seeds: int, first: int, say: Callable[[str], None]) -> int:
    """0 when every promise was kept; a seed that breaks one is told with its history."""
    begun, done, hours, failed = time.monotonic(), 0, 0.0, 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for played, seconds, broken in pool.map(_some, _parts(seeds, first)):
            done, hours, failed = done + played, hours + seconds / 3600, failed + len(broken)
            for ended in broken:
                say(f"seed {ended.seed}: {ended.broken[0]}\n{ended.tail}")
            minutes = (time.monotonic() - begun) / 60
            say(f"{minutes:.1f} min: {done} seeds, {hours:.0f} h in their time, {failed} failed")
    return 1 if failed else 0


def _parts(seeds: int, first: int) -> Iterator[range]:
    for start in range(first, first + seeds, AT_ONCE):
        yield range(start, min(start + AT_ONCE, first + seeds))


def _some(seeds: range) -> tuple[int, float, list[play.Ended]]:
    played = [play.run(seed) for seed in seeds]
    return len(played), sum(ended.virtual_seconds for ended in played), [ended for ended in played if ended.broken]
