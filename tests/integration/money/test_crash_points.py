"""A connection that breaks between any two protocol messages loses nothing and doubles nothing.

Each operation is cut before its first message, then before its second, and so on until it gets through; every time it
is made again over a new connection, with the same key, while the server may still be busy with the first. After every
cut all invariants are asked, and ledger and model are compared.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from dev.postgres import Postgres
from moorage.model.errors import Unavailable
from moorage.store.database import Database
from tests.integration.money import stage as stages
from tests.integration.money import wire_proxy
from tests.integration.money.model import Model
from tests.integration.money.operations import ALONE
from tests.integration.money.stage import Stage
from tests.integration.money.steps import Place, Seeded, Step
from tests.integration.money.wire_proxy import WireProxy
from tests.integration.money.world import new_world

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

SEED = os.environ.get("MOORAGE_TEST_SEED", "20261121")
CUTS_MIN = int(os.environ.get("MOORAGE_TEST_CRASH_POINTS", "500"))
STEPS_PER_LIFE = 80  # then a new ledger, so that the model stays small
LIVES_MAX = 30
NAMES = sorted(ALONE.keys() - {"follow"})  # which goes over the owner's own connection
MOVES_MONEY = (
    "grant", "pay", "correct", "give", "expire", "open_run", "close_run", "settle_all", "state", "store", "free",
    "open_lease", "report", "open_hold", "keep_month",
)  # fmt: skip


class Cutter:
    """Plays steps over a wire that breaks, and remembers where it broke."""

    def __init__(self, stage: Stage, proxy: WireProxy, url: str) -> None:
        self.stage, self.proxy = stage, proxy
        self.url = proxy.url(url)
        self.tried: Counter[str] = Counter()
        self.next_cut: Counter[str] = Counter()
        self.cuts: Counter[str] = Counter()
        self.places: set[str] = set()

    @property
    def missed(self) -> set[str]:
        """Of the two cuts that matter most: the server has everything and says nothing, and it never got the end."""
        return {f"{name} after {cut}" for name in MOVES_MONEY for cut in (">S", ">E")} - self.places

    async def play(self, step: Step, model: Model) -> None:
        """The step once over a breaking wire and then until it is answered; the model has it once."""
        if not await self._attempt(step, self.next_cut[step.name]):
            self.cuts[step.name] += 1
            self.next_cut[step.name] += 1
            self.places.add(f"{step.name} after {' '.join(self.proxy.seen[-1:]) or 'nothing'}")
            assert await self._attempt(step, None)
        else:
            self.next_cut[step.name] = 0  # it got through: start from its first message again
        step.apply(model)
        await self._alone()

    async def _attempt(self, step: Step, messages: int | None) -> bool:
        self.proxy.disarm()
        database = await Database.connect(self.url, size_max=1)
        if messages is not None:
            self.proxy.arm(messages)
        try:
            await step.call(self.stage.hands(database))
        except Unavailable:
            assert self.proxy.was_cut
            return False
        finally:
            self.proxy.disarm()
            await database.close()
        # A cut on the way back of the last message leaves an answered call: what counts is that it was answered.
        return True

    async def _alone(self) -> None:
        """Wait until the server is done with what the broken connections left in it."""
        await stages.wait_for_nobody_at(self.stage.world.sql, self.proxy.ports)
        self.proxy.ports.clear()


@pytest.fixture
async def cutter(postgres: Postgres, database_url: str) -> AsyncIterator[Cutter]:
    async with new_world(database_url) as world, wire_proxy.in_front_of(postgres.host, postgres.port) as proxy:
        yield Cutter(await Stage.build(world), proxy, database_url)


async def test_a_connection_cut_at_any_message_loses_and_doubles_nothing(cutter: Cutter) -> None:
    print(f"seed {SEED}")  # noqa: T201  # pytest shows it with a failure
    life = 0
    while cutter.cuts.total() < CUTS_MIN or (cutter.missed and life < LIVES_MAX):
        life += 1
        draw = Seeded(f"{SEED}/{life}")
        place, model = await cutter.stage.begin(f"life-{life}")
        for _ in range(STEPS_PER_LIFE):
            await _one(cutter, draw, place, model)
    assert not cutter.missed
    print(f"{cutter.cuts.total()} cuts in {life} lives: {dict(cutter.cuts)}")  # noqa: T201


async def _one(cutter: Cutter, draw: Seeded, place: Place, model: Model) -> None:
    place.down = stages.down(model)
    # Of two the one that was played less: every operation is to be cut everywhere.
    name = min(draw.pick(NAMES), draw.pick(NAMES), key=lambda one: cutter.tried[one])
    step = ALONE[name](draw, place)
    if step is None:
        return
    cutter.tried[name] += 1
    await cutter.play(step, model)
    assert await cutter.stage.disagreements(model) == [], (step.name, cutter.proxy.seen)
