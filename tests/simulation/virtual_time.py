"""A loop whose clock jumps: when nothing is ready it is at once the time of the next timer. Hours pass in milliseconds.

Only local sockets may be used with it: what one end has written the other end can read in the same instant, so a
loop with nothing to read truly has nothing to do but wait for its next timer.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits; says to the loop how long it would have waited."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Alone, the loop's own pipe has nothing to say: most loops ask a thousand times for nothing.
        ready = super().select(0) if len(self.get_map()) > 1 else []
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise AssertionError("the simulation waits for something that can never happen")
        self.loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop of a simulation."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self.now

    def run_in_executor(self, _: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """At once and in this thread: time would jump while another thread works."""
        future: asyncio.Future[T] = self.create_future()
        future.set_result(func(*args))
        return future


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a new loop; no real second passes."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


async def passed(seconds: float) -> None:
    """Let virtual time pass."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        timer.cancel()  # whoever waits may be cancelled first


async def quiet(turns: int = 100) -> None:
    """Let everything that is ready now run, without time passing."""
    for _ in range(turns):
        await asyncio.sleep(0)
