"""A Domain that vanished without a goodbye is found by one list, and only a list that came to its end proves it."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from moorage.jobs.sweep_domains import SweepDomains
from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.kube.observe import World
from moorage.model.errors import MoorageError
from moorage.model.names import VANISHED_DOMAIN, Key
from tests.fakes.apiserver import Answer, ApiServer

NAMESPACE = "mn-acme"


class Stage:
    """Records, and the objects that are there for them."""

    def __init__(self, names: int) -> None:
        self.server = ApiServer()
        self.server.page_max = 2
        self.records: list[tuple[str, str]] = []
        self.rung: list[str] = []
        self.before_reading: Callable[[], None] = lambda: None
        for number in range(names):
            self.make(f"d-{number}")

    def make(self, name: str) -> None:
        """A Domain with its record."""
        made = self.server.put(kinds.DOMAIN, {"metadata": {"name": name, "namespace": NAMESPACE, "uid": f"of-{name}"}})
        self.records.append((made["metadata"]["uid"], NAMESPACE))

    async def living(self) -> list[tuple[str, str]]:
        """What the database knows."""
        self.before_reading()
        return list(self.records)

    async def sweep(self) -> list[str]:
        """One sweep; returns the verbs of its requests."""
        async with self.server.serving() as client:
            uids = partial(Applier(client, World(client, lambda *_: None)).uids, kinds.DOMAIN)
            await SweepDomains(self, uids, self._ring).sweep()  # type: ignore[arg-type]  # as much of a store as it takes
        return [verb for verb, _ in self.server.requests]

    def _ring(self, key: Key, _urgent: bool) -> None:
        assert (key.kind, key.namespace) == (VANISHED_DOMAIN, NAMESPACE)
        self.rung.append(key.name)


def test_all_are_looked_at_by_one_list() -> None:
    stage = Stage(names=5)
    stage.server.remove(kinds.DOMAIN, NAMESPACE, "d-1")
    assert asyncio.run(stage.sweep()) == ["list"] * 2
    assert stage.rung == ["of-d-1"]


def test_another_object_of_the_same_name_does_not_stand_for_it() -> None:
    stage = Stage(names=1)
    stage.server.remove(kinds.DOMAIN, NAMESPACE, "d-0")
    stage.server.put(kinds.DOMAIN, {"metadata": {"name": "d-0", "namespace": NAMESPACE, "uid": "another"}})
    asyncio.run(stage.sweep())
    assert stage.rung == ["of-d-0"]


def test_one_that_is_made_meanwhile_has_not_vanished() -> None:
    stage = Stage(names=1)
    stage.before_reading = lambda: stage.make("late")
    asyncio.run(stage.sweep())
    assert stage.rung == []


@pytest.mark.parametrize("code", [404, 500])
def test_a_list_that_fails_proves_nothing(code: int) -> None:
    stage = Stage(names=3)
    stage.server.script("list", kinds.DOMAIN.plural, Answer(code))
    with pytest.raises(MoorageError):
        asyncio.run(stage.sweep())
    assert stage.rung == []


def test_a_list_that_breaks_off_after_its_first_page_proves_nothing() -> None:
    stage = Stage(names=5)

    def expire() -> float:
        stage.make("news")
        stage.server.compact()
        return 0.0

    stage.server.lag = expire
    with pytest.raises(MoorageError):
        asyncio.run(stage.sweep())
    assert stage.rung == []


def test_nobody_is_asked_where_there_is_nothing_to_miss() -> None:
    assert asyncio.run(Stage(names=0).sweep()) == []
