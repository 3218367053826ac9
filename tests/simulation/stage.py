"""What everybody in a simulated world shares: one clock, chance from one seed, a memory of what happened, a verdict."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HISTORY_MAX = 400


class Stage:
    """One play: everything in it draws its chance from the seed, so the seed tells the whole story again."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.loop = asyncio.get_running_loop()
        self.calm = False  # the faults are over
        self.broken: list[str] = []
        self.deaths: list[str] = []  # in which call, and on which side of the work, a process died
        self.visited: set[str] = set()  # states that some agent was in
        self._history: deque[tuple[float, str, str, tuple[object, ...]]] = deque(maxlen=HISTORY_MAX)

    def chance(self, name: str) -> random.Random:
        """A stream of chance for one part, which the other parts cannot disturb."""
        return random.Random(f"{self.seed}/{name}")

    @property
    def seconds(self) -> float:
        """Virtual epoch seconds."""
        return START.timestamp() + self.loop.time()

    def now(self) -> datetime:
        """The time of day, the same on every machine."""
        return START + timedelta(seconds=self.loop.time())

    def stamp(self) -> str:
        """The time as Kubernetes writes it: whole seconds."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def later(self, seconds: float, do: Callable[..., None], *args: object) -> None:
        """Do something after a while; the world does not die with any of its processes."""
        self.loop.call_later(seconds, do, *args, context=WORLD)

    def tell(self, who: str, what: str, *facts: object) -> None:
        """Remember something for whoever has to understand a failing seed."""
        self._history.append((self.loop.time(), who, what, facts))

    def wrong(self, what: str) -> None:
        """A promise is broken: the play ends."""
        self.tell("JUDGE", what)
        if not self.broken:  # what follows from it says nothing new
            self.broken.append(what)

    def tail(self, lines: int = 60) -> str:
        """The end of the history, as text."""
        told = list(self._history)[-lines:]
        return "\n".join(f"{at:9.3f}  {who:12} {what} {' '.join(map(str, facts))}" for at, who, what, facts in told)


class Life:
    """One process: it can die at every point where it waits for somebody else, or stand still for a while."""

    def __init__(self, stage: Stage, name: str, *, dies_at: int | str | None = None) -> None:
        self.name = name
        self.alive = True
        self.frozen: asyncio.Event | None = None
        self.points = 0
        self.epoch: int | None = None  # under which it leads, if it does
        self._stage = stage
        self._dies_at = dies_at
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._context = copy_context()
        self._context.run(_LIFE.set, self)
        self.died: Callable[[], None] = lambda: None

    def run(self, do: Callable[..., Any], *args: Any) -> Any:
        """Do something as this process: the tasks that come of it end with it."""
        return self._context.run(do, *args)

    def own(self, task: "asyncio.Task[Any]") -> None:
        """A task that ends with this process."""
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def point(self, where: str) -> None:
        """The process waits for the world here; raises when it does not come back from it."""
        self.points += 1
        if self._dies_at in (self.points, where):
            self._stage.deaths.append(where)
            self.die(f"dies {where}")
        if not self.alive:
            raise asyncio.CancelledError

    def die(self, why: str) -> None:
        """The process ends here and now; nothing that it would still have done happens."""
        if not self.alive:
            return
        self._stage.tell(self.name, why, f"at its point {self.points}")
        self.alive = False
        self.thaw()
        for task in list(self._tasks):
            task.cancel()
        self.died()

    def freeze(self) -> None:
        """Stand still, as under SIGSTOP."""
        if self.frozen is None and self.alive:
            self._stage.tell(self.name, "stands still")
            self.frozen = asyncio.Event()

    def thaw(self) -> None:
        """Go on as if no time had passed."""
        if self.frozen is not None:
            self._stage.tell(self.name, "goes on")
            self.frozen.set()
            self.frozen = None


_LIFE: ContextVar[Life | None] = ContextVar("life", default=None)
WORLD: Context = copy_context()


def current() -> Life | None:
    """The process in which this happens."""
    return _LIFE.get()


def task_factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    """Every task belongs to the process that made it."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    life = _LIFE.get()
    if life is not None:
        life.own(task)
    return task
