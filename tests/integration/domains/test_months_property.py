"""Whatever credit, prices and the clock do: a month of a name is paid at most once, and never without credit."""

import itertools
import os
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from tests.integration.domains.lodger import PRICE_MICROS, Lodger, moment
from tests.integration.domains.registry import Registry

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
SEED = os.environ.get("MOORAGE_TEST_SEED", "20261122")
WALKS, STEPS = 6, 60
HOURS = (0, 1, 24, 71, 72, 24 * 7, 24 * 20)


@pytest.fixture
async def lodger(registry: Registry) -> AsyncIterator[Lodger]:
    """With a price, and books that must be right when the walk is over."""
    made = Lodger(registry)
    await made.price()
    yield made
    assert await registry.world.broken() == []


@pytest.mark.parametrize("walk", range(WALKS))
async def test_each_month_is_paid_at_most_once_and_never_without_credit(lodger: Lodger, walk: int) -> None:
    print(f"seed {SEED}/{walk}")  # noqa: T201  # pytest shows it with a failure
    draw = random.Random(f"{SEED}/{walk}")
    now = moment("1970-01-31") - timedelta(days=draw.randrange(40))
    brought = draw.randrange(3) * PRICE_MICROS
    await lodger.moves_in(micros=brought, at=now.isoformat()[:19])
    for _ in range(STEPS):
        now += timedelta(hours=draw.choice(HOURS))
        brought += await _step(lodger, draw)
        await lodger.at(now)
        await _check(lodger, now, brought)


async def _step(lodger: Lodger, draw: random.Random) -> int:
    """One thing happens; returns the credit it brings."""
    state = (await lodger.record()).state
    chance = draw.randrange(8)
    if chance == 0:
        await lodger.price(PRICE_MICROS + draw.randrange(-9, 10) * 10_000)
    elif chance == 1:
        await lodger.goes()
        await lodger.makes()
    elif chance == 2:
        await lodger.becomes("Released" if state == "Active" else "Active")
    elif chance < 6:
        micros = draw.randrange(1, 2 * PRICE_MICROS)
        await lodger.registry.world.grant(micros)
        return micros
    return 0


async def _check(lodger: Lodger, now: datetime, brought: int) -> None:
    balance, held = await lodger.purse()
    assert 0 <= held <= balance
    assert balance == brought - sum(await lodger.paid())
    months = await lodger.periods()
    assert len({row["period"] for row in months}) == len(months)
    assert all(before["ends_at"] <= after["begins_at"] for before, after in itertools.pairwise(months))
    record = await lodger.record()
    if record.state == "Active":
        assert (record.paid.unpaid_since is None) == (record.paid.until is not None and record.paid.until > now)
        assert record.paid.unpaid_since is None or record.paid.release_at is not None
