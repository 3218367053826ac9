"""Prices are versions that never change; a large change needs two people, and nobody changes the past."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from moorage.model.rates import Meter, Proposed
from moorage.store.ledger import LedgerRefusal
from moorage.store.rates import Rates
from tests.integration.money.world import RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
LEAD = 60
DAY = 86_400


async def propose(
    world: World, rate_picos: int, *, subject: str = "Pod/small", from_s: int | None = None, actor: str = "ada"
) -> Proposed:
    meter, _, class_ = subject.partition("/")
    return await Rates(world.database).propose(
        meter=Meter(meter), class_=class_, rate_picos=rate_picos, valid_from_s=from_s, actor=actor, reason="test"
    )


async def small(world: World) -> list[tuple[int, int]]:
    """The versions of the small size: when, and how much."""
    versions = await Rates(world.database).all()
    return [(int(one.valid_from.timestamp()), one.rate_picos) for one in versions if one.class_ == "small"]


async def audit(world: World) -> list[tuple[str, str]]:
    return [tuple(row) for row in await world.sql.fetch("SELECT actor, action FROM money.audit ORDER BY id")]


async def test_a_small_change_is_published_at_once_and_valid_a_minute_later(world: World) -> None:
    done = await propose(world, 2 * RATE_PICOS)
    assert (done.rate_id is not None, done.valid_from) == (True, datetime.fromtimestamp(T + LEAD, UTC))
    assert await small(world) == [(T, RATE_PICOS), (T + LEAD, 2 * RATE_PICOS)]
    assert (await audit(world))[-1] == ("ada", "PublishRate")


@pytest.mark.parametrize("rate_picos", [3 * RATE_PICOS + 1, RATE_PICOS // 3 - 1, 0])
async def test_a_large_change_waits_for_a_second_person(world: World, rate_picos: int) -> None:
    asked = await propose(world, rate_picos)
    assert asked.rate_id is None
    assert len(await small(world)) == 1
    book = Rates(world.database)
    assert [waiting.id for waiting in await book.waiting()] == [asked.proposal_id]
    with pytest.raises(LedgerRefusal, match="whoever proposed"):
        await book.approve(proposal_id=asked.proposal_id, actor="ada", reason="")
    done = await book.approve(proposal_id=asked.proposal_id, actor="bob", reason="agreed")
    again = await book.approve(proposal_id=asked.proposal_id, actor="bob", reason="agreed")
    assert again == done
    assert (await small(world))[1:] == [(T + LEAD, rate_picos)]
    assert (await book.waiting(), await audit(world)) == (
        [],
        [("settings", "PublishRate"), ("ada", "ProposeRate"), ("bob", "ApproveRate")],
    )


async def test_a_late_approval_never_reaches_into_the_past(world: World) -> None:
    asked = await propose(world, 50 * RATE_PICOS, from_s=T + 100)
    await world.at(T + 5_000)
    done = await Rates(world.database).approve(proposal_id=asked.proposal_id, actor="bob", reason="")
    assert done.valid_from == datetime.fromtimestamp(T + 5_000 + LEAD, UTC)


async def test_a_proposal_that_was_overtaken_cannot_be_approved(world: World) -> None:
    asked = await propose(world, 50 * RATE_PICOS)
    await propose(world, 2 * RATE_PICOS)
    with pytest.raises(LedgerRefusal, match="another price"):
        await Rates(world.database).approve(proposal_id=asked.proposal_id, actor="bob", reason="")


async def test_small_steps_on_one_day_do_not_add_up_to_a_large_change(world: World) -> None:
    await world.at(T + 2 * DAY)
    assert (await propose(world, 3 * RATE_PICOS)).rate_id is not None
    await world.at(T + 2 * DAY + 3600)
    assert (await propose(world, 5 * RATE_PICOS)).rate_id is None
    await world.at(T + 3 * DAY + 3601)
    assert (await propose(world, 9 * RATE_PICOS)).rate_id is not None


@pytest.mark.parametrize("from_s", [T - 1, T, T + LEAD - 1, T + 3 * 366 * DAY])
async def test_a_price_in_the_past_or_far_ahead_is_refused(world: World, from_s: int) -> None:
    with pytest.raises(LedgerRefusal):
        await propose(world, RATE_PICOS + 1, from_s=from_s)
    assert len(await small(world)) == 1


async def test_versions_follow_one_another_and_never_overlap(world: World) -> None:
    await propose(world, 2 * RATE_PICOS, from_s=T + 500)
    with pytest.raises(LedgerRefusal, match="or later"):
        await propose(world, RATE_PICOS, from_s=T + 400)
    assert [when for when, _ in await small(world)] == [T, T + 500]
    await world.at(T + 499)
    assert await world.sql.fetchval("SELECT money.current_rate('Pod', 'small')") == RATE_PICOS
    await world.at(T + 500)
    assert await world.sql.fetchval("SELECT money.current_rate('Pod', 'small')") == 2 * RATE_PICOS


@pytest.mark.parametrize(
    ("subject", "rate_picos"),
    [
        ("Pod/small", 53_375_995_584),
        ("Pod/small", -1),
        ("Pod", 1),
        ("Pod/a/b", 1),
        ("Volume/fast", 1),
        ("Volume", 50_904),
        ("Domain", 9_000_000_000_000_001),
        ("Model/m/input", 1_000_000_000_001),
    ],
)
async def test_a_price_beyond_its_bound_or_of_nothing_known_is_refused(
    world: World, subject: str, rate_picos: int
) -> None:
    before = await world.sql.fetchval("SELECT count(*) FROM money.rate")
    with pytest.raises(LedgerRefusal):
        await propose(world, rate_picos, subject=subject)
    assert await world.sql.fetchval("SELECT count(*) FROM money.rate") == before


async def test_an_unknown_proposal_is_refused(world: World) -> None:
    with pytest.raises(LedgerRefusal, match="no such proposal"):
        await Rates(world.database).approve(proposal_id=999, actor="bob", reason="")


async def test_the_settings_speak_only_when_they_have_changed(world: World) -> None:
    await world.ledger.publish_rate(size="small", rate_picos=RATE_PICOS)
    await propose(world, 2 * RATE_PICOS)
    await world.ledger.publish_rate(size="small", rate_picos=RATE_PICOS)
    assert [picos for _, picos in await small(world)] == [RATE_PICOS, 2 * RATE_PICOS]
    await asyncio.gather(*(world.ledger.publish_rate(size="small", rate_picos=RATE_PICOS + 7) for _ in range(4)))
    assert [picos for _, picos in await small(world)] == [RATE_PICOS, 2 * RATE_PICOS, RATE_PICOS + 7]


async def test_a_typing_error_in_the_settings_leaves_the_old_price(world: World) -> None:
    with pytest.raises(LedgerRefusal, match="second person"):
        await world.ledger.publish_rate(size="small", rate_picos=1_000 * RATE_PICOS)
    assert await small(world) == [(T, RATE_PICOS)]
    assert await Rates(world.database).waiting() == []


async def test_overlapping_versions_are_refused_by_the_table_itself(world: World) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await world.sql.execute(
            "INSERT INTO money.rate (meter, class, rate_picos, valid_from) VALUES ('Pod', 'small', 1, $1)", T
        )
