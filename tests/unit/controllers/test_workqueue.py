"""The queue's promises: one run per key at a time, no lost news, fair lanes, bounded failures."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from moorage.controllers.workqueue import KeyedQueue
from moorage.model.errors import LostLeadership, Permanent, Transient, Unavailable
from moorage.model.reasons import Reason
from tests.simulation import virtual_time

SEEDS = range(300)


def simulated(scene: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a scene on virtual time."""

    def test() -> None:
        virtual_time.run(scene())

    test.__name__ = scene.__name__
    return test


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


class World:
    """Numbers that go up; a run of a key must in the end have seen the last one."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.wanted: Counter[str] = Counter()
        self.seen: dict[str, int] = {}
        self.running: set[str] = set()
        self.lanes: Counter[str] = Counter()
        self.healthy = False
        self.wrong: list[str] = []  # not asserted at once: the queue outlives a run that raises
        self.queue = KeyedQueue(self.run, lane_of, workers=6, per_lane=2, rng=rng)

    async def run(self, key: str) -> float | None:
        """One look."""
        if key in self.running:
            self.wrong.append("two runs of one key")
        self.running.add(key)
        self.lanes[lane_of(key)] += 1
        if self.lanes[lane_of(key)] > 2:
            self.wrong.append("a lane runs more than its share")
        if len(self.running) > 6:
            self.wrong.append("more runs than workers")
        try:
            wanted = self.wanted[key]
            await virtual_time.passed(self.rng.choice((0.0, 0.01, 1.0, 20.0)))
            if not self.healthy and self.rng.random() < 0.3:
                raise self.rng.choice((Transient("away", retry_after_seconds=2.0), ValueError("bug"), TimeoutError()))
            self.seen[key] = wanted
            return self.rng.choice((None, None, 0.0, 5.0)) if not self.healthy else None
        finally:
            self.running.discard(key)
            self.lanes[lane_of(key)] -= 1


def lane_of(key: str) -> str:
    """The tenant of a key."""
    return key.partition("/")[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_last_news_is_seen_whatever_happens_before(seed: int) -> None:
    virtual_time.run(_nothing_is_lost(random.Random(seed)))


async def _nothing_is_lost(rng: random.Random) -> None:
    world = World(rng)
    keys = [f"tenant-{number % 5}/agent-{number}" for number in range(40)]
    for _ in range(200):
        key = rng.choice(keys)
        world.wanted[key] += 1
        match rng.randrange(3):
            case 0:
                world.queue.add(key)
            case 1:
                world.queue.add(key, urgent=True)
            case _:
                world.queue.add_after(key, rng.uniform(0.0, 30.0))
        await virtual_time.passed(rng.choice((0.0, 0.0, 0.1, 3.0)))
    world.healthy = True
    await virtual_time.passed(3600.0)
    assert world.wrong == []
    assert {key: world.seen.get(key, 0) for key in keys} == {key: world.wanted[key] for key in keys}
    assert (world.queue.depth, world.queue.running, world.queue.timed) == (0, 0, 0)
    assert world.queue._entries == {}, "settled keys must cost nothing"
    assert world.queue._lanes._lanes == {}


@simulated
async def test_key_runs_exactly_once_more_when_news_comes_while_it_runs() -> None:
    runs: list[float] = []

    async def run(key: str) -> None:
        runs.append(now())
        await virtual_time.passed(1.0)

    queue = KeyedQueue(run, lane_of)
    queue.add("a")
    await virtual_time.passed(0.5)
    for _ in range(5):
        queue.add("a")
    await virtual_time.passed(10.0)
    assert runs == [0.0, 1.0]


@simulated
async def test_how_long_a_key_waited_is_told() -> None:
    waits: list[float] = []

    async def run(key: str) -> None:
        await virtual_time.passed(2.0)

    queue = KeyedQueue(run, lane_of, workers=1)
    queue.waited = waits.append
    for key in ("a", "b", "c"):
        queue.add(key)
    await virtual_time.passed(10.0)
    assert waits == [0.0, 2.0, 4.0]


@simulated
async def test_timer_that_fires_while_its_key_runs_is_not_lost() -> None:
    runs: list[float] = []

    async def run(key: str) -> None:
        runs.append(now())
        await virtual_time.passed(1.0)

    queue = KeyedQueue(run, lane_of)
    queue.add("a")
    await virtual_time.quiet()
    queue.add_after("a", 0.5)
    await virtual_time.passed(10.0)
    assert runs == [0.0, 1.0]


@simulated
async def test_earlier_wish_wins_when_a_key_is_to_be_looked_at_twice() -> None:
    runs: list[float] = []

    async def run(key: str) -> float | None:
        runs.append(now())
        return 100.0 if len(runs) == 1 else None

    queue = KeyedQueue(run, lane_of)
    queue.add("a")
    await virtual_time.quiet()
    queue.add_after("a", 7.0)
    queue.add_after("a", 50.0)
    await virtual_time.passed(200.0)
    assert runs == [0.0, 7.0]


@simulated
async def test_wait_that_was_cut_short_does_not_ring_later() -> None:
    runs: list[float] = []

    async def run(key: str) -> float:
        runs.append(now())
        return 100.0

    queue = KeyedQueue(run, lane_of)
    queue.add_after("a", 10.0)
    queue.add("a")
    await virtual_time.passed(150.0)
    assert runs == [0.0, 100.0]


@simulated
async def test_news_cuts_a_wait_short_and_keeps_the_count_of_failures() -> None:
    runs: list[float] = []

    async def run(key: str) -> None:
        runs.append(now())
        raise Transient("away", retry_after_seconds=50.0)

    queue = KeyedQueue(run, lane_of, rng=random.Random(1))
    queue.add("a")
    await virtual_time.passed(3.0)
    queue.add("a")
    await virtual_time.passed(3.0)
    assert runs == [0.0, 3.0]
    assert queue.failures("a") == 2


@simulated
async def test_failures_back_off_up_to_the_cap_and_end_with_a_good_run() -> None:
    runs: list[float] = []

    async def run(key: str) -> None:
        runs.append(now())
        if len(runs) < 40:
            raise Transient("away")

    queue = KeyedQueue(run, lane_of, base_seconds=0.05, cap_seconds=300.0, rng=random.Random(1))
    queue.add("a")
    await virtual_time.passed(40 * 300.0)
    waits = [after - before for before, after in itertools.pairwise(runs)]
    assert len(runs) == 40
    assert max(waits) <= 300.0
    assert max(waits[:3]) < 0.5
    assert sum(waits[-10:]) > 500.0
    assert queue.failures("a") == 0


@simulated
async def test_after_a_long_outage_nobody_waits_long() -> None:
    runs: list[float] = []

    async def run(key: str) -> None:
        runs.append(now())
        if runs[-1] < 600.0:
            raise Unavailable("away")

    queue = KeyedQueue(run, lane_of, base_seconds=0.05, cap_seconds=300.0, rng=random.Random(1))
    queue.add("a")
    await virtual_time.passed(700.0)
    assert 600.0 <= runs[-1] < 615.0
    assert max(after - before for before, after in itertools.pairwise(runs)) < 15.0


@simulated
async def test_news_during_a_failing_run_is_seen_soon_but_not_in_a_hot_loop() -> None:
    runs: list[float] = []

    async def run(key: str) -> None:
        runs.append(now())
        queue.add(key)  # a run that rings for itself and fails
        raise Transient("away", retry_after_seconds=100.0)

    queue = KeyedQueue(run, lane_of, rng=random.Random(1))
    queue.add("a")
    await virtual_time.passed(60.0)
    assert 60 <= len(runs) <= 300


@simulated
async def test_permanent_error_is_not_retried_soon() -> None:
    runs: list[float] = []

    async def run(key: str) -> None:
        runs.append(now())
        raise Permanent(Reason.SPEC_INVALID)

    queue = KeyedQueue(run, lane_of)
    queue.add("a")
    await virtual_time.passed(140.0)
    assert runs == [0.0]


@simulated
async def test_run_that_hangs_is_cut_off_and_repeated() -> None:
    runs: list[float] = []

    async def run(key: str) -> None:
        runs.append(now())
        if len(runs) == 1:
            await virtual_time.passed(10_000.0)

    queue = KeyedQueue(run, lane_of, run_limit_seconds=60.0, base_seconds=0.05)
    queue.add("a")
    await virtual_time.passed(100.0)
    assert len(runs) == 2
    assert 60.0 <= runs[1] < 61.0


@simulated
async def test_quiet_tenant_is_served_next_when_a_noisy_one_has_a_long_line() -> None:
    order: list[str] = []

    async def run(key: str) -> None:
        order.append(key)
        await virtual_time.passed(1.0)

    queue = KeyedQueue(run, lane_of, workers=6, per_lane=4)
    for number in range(400):
        queue.add(f"noisy/{number}")
    queue.add("quiet/0")
    queue.add("noisy/399", urgent=True)
    await virtual_time.passed(1000.0)
    assert len(order) == 401
    assert order.index("quiet/0") == 4
    assert order.index("noisy/399") == 5


@simulated
async def test_tenants_take_turns_when_all_have_long_lines() -> None:
    order: list[str] = []

    async def run(key: str) -> None:
        order.append(lane_of(key))
        await virtual_time.passed(1.0)

    queue = KeyedQueue(run, lane_of, workers=4, per_lane=30)
    for number in range(90):
        queue.add(f"tenant-{number // 30}/{number}")
    await virtual_time.passed(1000.0)
    # The first lane had all workers before anybody else asked; from then on they take turns.
    served = Counter(order[4:64])
    assert max(served.values()) - min(served.values()) <= 1


@simulated
async def test_resync_is_not_starved_when_news_never_ends() -> None:
    order: list[str] = []
    numbers = itertools.count()

    async def run(key: str) -> None:
        order.append(key)
        await virtual_time.passed(1.0)
        queue.add(f"busy/{next(numbers)}")

    queue = KeyedQueue(run, lane_of, workers=2, per_lane=4)
    for _ in range(10):
        queue.add(f"busy/{next(numbers)}")
    queue.add_after("calm/0", 60.0)
    await virtual_time.passed(60.0 + 16.0)
    assert queue.depth > 0
    assert "calm/0" in order


@simulated
async def test_urgent_key_overtakes_itself_when_it_already_waits() -> None:
    order: list[str] = []

    async def run(key: str) -> None:
        order.append(key)
        await virtual_time.passed(1.0)

    queue = KeyedQueue(run, lane_of, workers=1)
    for number in range(10):
        queue.add(f"tenant/{number}")
    queue.add("tenant/9", urgent=True)
    await virtual_time.passed(100.0)
    assert order[:3] == ["tenant/0", "tenant/9", "tenant/1"]
    assert sorted(order) == sorted(set(order))


@simulated
async def test_lost_leadership_stops_the_queue_and_is_reported() -> None:
    lost: list[BaseException] = []
    runs: list[str] = []

    async def run(key: str) -> None:
        runs.append(key)
        if key == "a":
            raise LostLeadership("another leads")

    queue = KeyedQueue(run, lane_of, workers=1, fatal=lost.append)
    for key in ("a", "b"):
        queue.add(key)
    await virtual_time.passed(10.0)
    queue.add("c")
    await virtual_time.passed(10.0)
    assert runs == ["a"]
    assert [type(error) for error in lost] == [LostLeadership]


@simulated
async def test_lost_leadership_is_like_any_failure_while_nobody_listens_for_it() -> None:
    runs: list[float] = []

    async def run(key: str) -> None:
        runs.append(now())
        if len(runs) < 3:
            raise LostLeadership("not leading yet")

    queue = KeyedQueue(run, lane_of)
    queue.add("a")
    await virtual_time.passed(10.0)
    assert len(runs) == 3
    assert queue.failures("a") == 0


@simulated
async def test_drain_lets_runs_end_and_cancels_those_that_do_not() -> None:
    ended: list[str] = []

    async def run(key: str) -> None:
        await virtual_time.passed(5.0 if key == "short" else 50.0)
        ended.append(key)

    queue = KeyedQueue(run, lane_of, workers=2)
    for key in ("short", "long", "waiting"):
        queue.add(key)
    await virtual_time.quiet()
    await queue.drain(20.0)
    assert now() == 20.0
    assert ended == ["short"]
    assert queue.running == 0


@simulated
async def test_key_is_run_even_when_its_lane_cannot_be_found() -> None:
    runs: list[str] = []

    async def run(key: str) -> None:
        runs.append(key)

    def broken(key: str) -> str:
        raise ValueError(key)

    queue = KeyedQueue(run, broken)
    queue.add("a")
    await virtual_time.quiet()
    assert runs == ["a"]


@simulated
async def test_dead_timers_do_not_pile_up_when_waits_are_cut_short_again_and_again() -> None:
    async def run(key: str) -> float:
        return 100_000.0

    queue = KeyedQueue(run, lane_of)
    for _ in range(2000):
        queue.add("a")
        await virtual_time.passed(0.1)
    assert len(queue._timers) <= 2 * queue.timed + 65
    assert queue.timed == 1


@simulated
async def test_many_timers_fire_each_at_its_time() -> None:
    late: list[float] = []
    due: dict[int, float] = {}

    async def run(key: int) -> None:
        late.append(now() - due[key])

    queue = KeyedQueue(run, lambda key: key % 50, workers=64)
    rng = random.Random(1)
    for number in range(20_000):
        due[number] = rng.uniform(0.0, 1000.0)
        queue.add_after(number, due[number])
    await virtual_time.passed(1001.0)
    assert len(late) == 20_000
    assert max(late) < 0.001
