"""The reflector in the situations that have bitten others, one at a time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from moorage.kube import kinds, wire
from moorage.kube.objects import Pod
from moorage.kube.reflector import ObjectKey, Reflector, View
from tests.fakes.apiserver import Answer, ApiServer
from tests.simulation import virtual_time

Report = tuple[str, str, str]  # name, uid before, uid after


@dataclass
class Watched:
    """A reflector at work and what it reported."""

    server: ApiServer
    reports: list[Report] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    reflector: Reflector[Pod] = field(init=False)

    def changed(self, key: ObjectKey, old: Pod | None, new: Pod | None) -> None:
        """Note a report."""
        self.reports.append((key.name, old.metadata.uid if old else "", new.metadata.uid if new else ""))

    def names(self) -> set[str]:
        """What the store holds."""
        return {key.name for key in self.reflector.store}

    def count(self, verb: str) -> int:
        """Requests of this kind so far."""
        return sum(1 for seen, _ in self.server.requests if seen == verb)


def pod(name: str, **labels: str) -> dict[str, object]:
    """A pod as somebody else would create it."""
    return {"metadata": {"name": name, "namespace": "mn-a", "labels": labels}}


@asynccontextmanager
async def watching(server: ApiServer) -> AsyncIterator[Watched]:
    """A reflector that has listed; reports of the first list are forgotten."""
    watched = Watched(server)
    async with server.serving() as client:
        view = View(kind=kinds.POD, type=Pod)
        clock = asyncio.get_running_loop().time
        watched.reflector = Reflector(
            client,
            view,
            watched.changed,
            clock=clock,
            rng=Random(1),
            restarted=lambda kind, reason: watched.restarts.append(reason),
        )
        running = asyncio.create_task(watched.reflector.run())
        await watched.reflector.listed.wait()
        await virtual_time.passed(5.0)  # a watch that ends sooner is a failure of its own
        watched.reports.clear()
        yield watched
        assert not running.done()
        running.cancel()


def two_pods() -> ApiServer:
    """A server with two pods."""
    server = ApiServer()
    server.put(kinds.POD, pod("one"))
    server.put(kinds.POD, pod("two"))
    return server


def test_refresh_shows_what_a_silent_watch_has_missed() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            watched.server.mute_watches()
            watched.server.remove(kinds.POD, "mn-a", "one")
            watched.server.put(kinds.POD, pod("three"))
            await virtual_time.passed(1.0)
            assert watched.names() == {"one", "two"}
            await watched.reflector.refresh()
            assert watched.names() == {"two", "three"}

    virtual_time.run(scene())


def test_deletions_are_reported_when_they_happened_in_a_gap() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            watched.server.close_watches()
            watched.server.remove(kinds.POD, "mn-a", "one")
            watched.server.compact()
            await virtual_time.quiet()
            assert watched.reports == [("one", "uid-1", "")]
            assert watched.names() == {"two"}

    virtual_time.run(scene())


def test_list_starts_again_at_once_when_the_version_has_expired() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            watched.server.close_watches(ending=json.dumps({"type": "ERROR", "object": {"code": 410}}).encode() + b"\n")
            watched.server.put(kinds.POD, pod("three"))
            watched.server.compact()
            await virtual_time.quiet()  # no time passes: an expired version is not a failure
            assert "three" in watched.names()
            assert watched.count("list") == 2
            assert watched.restarts == ["Expired"]

    virtual_time.run(scene())


def test_object_is_gone_and_another_is_there_when_a_name_came_back_in_a_gap() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            watched.server.close_watches()
            watched.server.remove(kinds.POD, "mn-a", "one")
            watched.server.put(kinds.POD, pod("one"))
            watched.server.compact()
            await virtual_time.quiet()
            assert watched.reports == [("one", "uid-1", ""), ("one", "", "uid-3")]

    virtual_time.run(scene())


def test_watch_resumes_without_a_list_when_the_server_closes_it() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            await virtual_time.passed(3600.0)
            assert watched.count("list") == 1
            assert 12 <= watched.count("watch") <= 15
            assert watched.reports == []

    virtual_time.run(scene())


def test_watch_is_opened_again_when_it_falls_silent() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            watched.server.mute_watches()
            watched.server.put(kinds.POD, pod("three"))
            await virtual_time.passed(69.0)
            assert "three" not in watched.names()
            await virtual_time.passed(2.0)
            assert "three" in watched.names()
            assert watched.reflector.last_seen > 70.0

    virtual_time.run(scene())


def test_list_starts_again_when_its_continue_token_expires() -> None:
    async def scene() -> None:
        server = two_pods()
        server.page_max = 1
        server.script("list", "pods", Answer(410))
        async with watching(server) as watched:
            assert watched.names() == {"one", "two"}

    virtual_time.run(scene())


def test_retry_waits_as_long_as_the_server_asks() -> None:
    async def scene() -> None:
        server = two_pods()
        server.script("list", "pods", Answer(429, retry_after="20"))
        async with watching(server):
            assert 25.0 <= asyncio.get_running_loop().time() < 30.0

    virtual_time.run(scene())


def test_watch_lists_again_when_resuming_keeps_failing() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            watched.server.script("watch", "pods", *[Answer(500)] * 5)
            watched.server.close_watches()
            await virtual_time.passed(60.0)
            assert watched.count("list") == 2
            assert watched.restarts == ["Failed"] * 5

    virtual_time.run(scene())


def test_failures_do_not_hammer_the_server() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            watched.server.script("watch", "pods", *[Answer(500)] * 1000)
            watched.server.close_watches()
            await virtual_time.passed(600.0)
            assert watched.count("watch") < 160, "one in five seconds, with the first ones sooner"

    virtual_time.run(scene())


def test_loop_lives_on_when_the_listener_has_a_bug() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            watched.reflector._changed = lambda *_: 1 / 0
            watched.server.put(kinds.POD, pod("three"))
            await virtual_time.passed(60.0)
            watched.reflector._changed = watched.changed
            watched.server.put(kinds.POD, pod("four"))
            await virtual_time.passed(60.0)
            assert watched.names() == {"one", "two", "three", "four"}

    virtual_time.run(scene())


def test_answer_is_shown_until_the_watch_has_it_and_rings_once() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            watched.server.mute_watches()
            answer = read(watched.server.put(kinds.POD, pod("three")))
            assert watched.reflector.put(answer)
            assert watched.names() == {"one", "two", "three"}
            await virtual_time.passed(200.0)
            assert watched.reports == [("three", "", "uid-3")]

    virtual_time.run(scene())


def test_late_answer_is_ignored_when_the_watch_has_seen_the_deletion() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            answer = read(watched.server.put(kinds.POD, pod("three")))
            watched.server.remove(kinds.POD, "mn-a", "three")
            await virtual_time.quiet()
            assert not watched.reflector.put(answer)
            assert watched.names() == {"one", "two"}

    virtual_time.run(scene())


def test_late_answer_is_ignored_when_a_list_did_not_show_it_any_more() -> None:
    async def scene() -> None:
        async with watching(two_pods()) as watched:
            watched.server.close_watches()
            answer = read(watched.server.put(kinds.POD, pod("three")))
            watched.server.remove(kinds.POD, "mn-a", "three")
            watched.server.compact()
            await virtual_time.quiet()
            assert watched.count("list") == 2
            assert not watched.reflector.put(answer)

    virtual_time.run(scene())


def read(obj: dict[str, object]) -> Pod:
    """An object as the server would answer with it."""
    answer: Pod = wire.decoded(Pod, json.dumps(obj).encode())
    return answer
