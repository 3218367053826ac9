"""Whatever the API server does to its watchers, the store becomes what the server has, and nothing goes unreported."""

import asyncio
import contextlib
import json
import random
from typing import Any

import pytest

from moorage.kube import kinds
from moorage.kube.objects import Pod
from moorage.kube.reflector import ObjectKey, Reflector, View
from moorage.model.errors import MoorageError
from tests.fakes.apiserver import Answer, ApiServer
from tests.simulation import virtual_time

SEEDS = range(300)
STEPS = 40
# The longest silence, the longest Retry-After and the longest back-off, one after the other, and a good reserve.
UNTIL_QUIET_SECONDS = 600.0


class Mirror:
    """What a listener believes that only hears of changes; each report must be true and follow from the last one."""

    def __init__(self, server: ApiServer) -> None:
        self.believed: dict[ObjectKey, tuple[str, int]] = {}
        self.wrong: list[str] = []  # not asserted at once: a reflector outlives a listener that raises
        self._server = server

    def changed(self, key: ObjectKey, old: Pod | None, new: Pod | None) -> None:
        """Follow a report."""
        uid, version = self.believed.pop(key, ("", 0))
        there = {obj["metadata"]["uid"] for obj in self._server.of(kinds.POD).values()}
        if (old.metadata.uid if old is not None else "") != uid:
            self.wrong.append(f"{key}: the report does not follow from the last one")
        if new is None:
            if uid in there:
                self.wrong.append(f"{key}: reported gone, but it is there")
            return
        if uid not in ("", new.metadata.uid):
            self.wrong.append(f"{key}: two objects taken for one")
        if new.metadata.version <= version:
            self.wrong.append(f"{key}: time goes backwards")
        self.believed[key] = (new.metadata.uid, new.metadata.version)


class Chaos:
    """Random changes and random faults from one seed."""

    def __init__(self, server: ApiServer, reflector: Reflector[Pod], rng: random.Random) -> None:
        self.server = server
        self.reflector = reflector
        self.rng = rng
        self._refreshing: list[asyncio.Task[None]] = []

    def step(self) -> None:
        """Do one thing."""
        self.rng.choice(
            (
                self._put,
                self._put,
                self._remove,
                self._recreate,
                self._written,
                self._answer_came,
                self._fault,
                self._refresh,
            )
        )()

    def _refresh(self) -> None:
        """Somebody takes the lead and wants to see for himself, beside the watch."""

        async def refresh() -> None:
            with contextlib.suppress(MoorageError):
                await self.reflector.refresh()

        self._refreshing = [task for task in self._refreshing if not task.done()]
        self._refreshing.append(asyncio.get_running_loop().create_task(refresh()))

    def _put(self) -> None:
        name = f"pod-{self.rng.randrange(12)}"
        metadata = {"name": name, "namespace": "mn-a", "labels": {"step": str(self.rng.random())}}
        self.server.put(kinds.POD, {"metadata": metadata})

    def _any_name(self) -> str | None:
        names = sorted(name for _, name in self.server.of(kinds.POD))
        return self.rng.choice(names) if names else None

    def _remove(self) -> None:
        if name := self._any_name():
            self.server.remove(kinds.POD, "mn-a", name)

    def _recreate(self) -> None:
        if name := self._any_name():
            self.server.remove(kinds.POD, "mn-a", name)
            self.server.put(kinds.POD, {"metadata": {"name": name, "namespace": "mn-a"}})

    def _written(self) -> None:
        """A write of ours, whose answer is here before any watch shows it."""
        self._put()
        self._answer_came()

    def _answer_came(self) -> None:
        """An answer to a write of ours, right away or long after; possibly of an object that is no more."""
        if name := self._any_name():
            raw = json.dumps(self.server.objects["pods", "mn-a", name])
            pod = self.reflector._events.decode('{"type":"ADDED","object":' + raw + "}").object
            asyncio.get_running_loop().call_later(self.rng.choice((0.0, 0.0, 0.5, 2.0, 100.0)), self.reflector.put, pod)

    def _fault(self) -> None:
        rng, server = self.rng, self.server
        refusals = (
            Answer(500),
            Answer(503, retry_after="2"),
            Answer(403),
            Answer(404),
            Answer(410),
            Answer(429, retry_after="3"),
            Answer(401),
        )
        event = {"type": "ERROR", "object": {"code": rng.choice((410, 500, 504)), "message": "scripted"}}
        rng.choice(
            (
                lambda: server.script("list", "pods", *rng.choices(refusals, k=rng.randrange(1, 5))),
                lambda: server.script("watch", "pods", *rng.choices(refusals, k=rng.randrange(1, 8))),
                lambda: server.close_watches(ending=b'{"type":"ADDED","object":{"meta'),
                lambda: server.close_watches(ending=b"not json at all\n"),
                lambda: server.close_watches(ending=json.dumps(event).encode() + b"\n"),
                server.close_watches,
                server.mute_watches,
                server.bookmark,
                self._gap,
            )
        )()

    def _gap(self) -> None:
        """Things happen while nobody watches, and the server forgets that they did."""
        self.server.close_watches()
        for _ in range(self.rng.randrange(1, 6)):
            self.rng.choice((self._put, self._remove, self._recreate))()
        self.server.compact()


@pytest.mark.parametrize("seed", SEEDS)
def test_store_equals_the_server_when_the_faults_are_over(seed: int) -> None:
    virtual_time.run(_converges(random.Random(seed)))


async def _converges(rng: random.Random) -> None:
    server = ApiServer()
    mirror = Mirror(server)
    server.page_max = rng.choice((2, 3, 500))
    slow = rng.choice((0.0, 0.5, 3.0))
    server.lag = lambda: slow * rng.random()
    async with server.serving() as client:
        view = View(kind=kinds.POD, type=Pod)
        clock = asyncio.get_running_loop().time
        reflector = Reflector(client, view, mirror.changed, clock=clock, rng=rng)
        running = asyncio.create_task(reflector.run())
        chaos = Chaos(server, reflector, rng)
        for _ in range(STEPS):
            chaos.step()
            await virtual_time.passed(rng.choice((0.0, 0.1, 0.5, 2.0, 30.0)))
        server.forgive()
        await virtual_time.passed(UNTIL_QUIET_SECONDS)

        assert mirror.wrong == []
        assert not running.done()
        assert _shown(reflector) == _real(server)
        assert mirror.believed == {key: (uid, int(version)) for key, (uid, version) in _shown(reflector).items()}
        # In good health the next change is there as soon as it can be, with a bookmark or a new watch before it.
        server.put(kinds.POD, {"metadata": {"name": "the-next", "namespace": "mn-a"}})
        await virtual_time.passed(3 * slow)
        await virtual_time.quiet()
        assert _shown(reflector) == _real(server)
        running.cancel()


def _shown(reflector: Reflector[Pod]) -> dict[ObjectKey, tuple[str, str]]:
    return {key: (pod.metadata.uid, pod.metadata.resource_version) for key, pod in reflector.store.items()}


def _real(server: ApiServer) -> dict[Any, tuple[str, str]]:
    objects = server.of(kinds.POD).items()
    return {key: (obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]) for key, obj in objects}
