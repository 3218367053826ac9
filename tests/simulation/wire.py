"""The way from a process to a service: calls take time, are refused, get lost before or after the work was done."""

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from moorage.model.errors import Unavailable
from tests.simulation import virtual_time
from tests.simulation.stage import Life, Stage

T = TypeVar("T")

AT_ONCE, SHORT_SECONDS, LONG_SECONDS = 0.65, 0.05, 4.0


@dataclass
class Service:
    """How a service is doing, for everybody who calls it."""

    name: str
    trouble: float = 0.0  # share of the calls that fail, half of them after the work was done
    slow: float = 0.0  # share of the calls that take seconds
    down_until: float = 0.0


class Wire:
    """One process' calls of one service."""

    def __init__(self, stage: Stage, life: Life, service: Service, rng: random.Random) -> None:
        self.stage = stage
        self.life = life
        self.service = service
        self.cut_until = 0.0  # for this process alone
        self._rng = rng

    @property
    def open(self) -> bool:
        """Whether the service can be reached at all."""
        return self.stage.loop.time() >= max(self.service.down_until, self.cut_until)

    async def call(self, what: str, work: Callable[[], T]) -> T:
        """Let the service do some work and wait for its answer; the process may die on the way there or back."""
        life, rng = self.life, self._rng
        life.point(f"before {what}")
        await self._travel(what)
        if life.frozen is not None:
            await life.frozen.wait()
            if self.service.name == "api":  # the server has long closed the connection
                raise Unavailable("the connection was closed")
        lost = False
        if not self.open:
            raise self._failed(what, "cannot be reached")
        if rng.random() < self.service.trouble:
            lost = rng.random() < 0.5
            if not lost:
                raise self._failed(what, "is refused")
        result = work()
        life.point(f"after {what}")
        await self._travel(what)
        if life.frozen is not None:
            await life.frozen.wait()
        if lost:
            raise self._failed(what, "is done, but the answer is lost")
        return result

    async def _travel(self, what: str) -> None:
        rng = self._rng
        if rng.random() < AT_ONCE:
            return
        longest = LONG_SECONDS if rng.random() < self.service.slow else SHORT_SECONDS
        await virtual_time.passed(longest * rng.random())
        self.life.point(f"during {what}")

    def _failed(self, what: str, how: str) -> Unavailable:
        self.stage.tell(self.life.name, f"{self.service.name}: {what}", how)
        return Unavailable(f"{what} {how}")


class Remote:
    """An object behind a wire: each of its methods becomes a call."""

    def __init__(self, wire: Wire, target: object) -> None:
        self._wire = wire
        self._target = target

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if not callable(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._wire.call(name, functools.partial(method, *args, **kwargs))

        setattr(self, name, call)
        return call
