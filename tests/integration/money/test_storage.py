"""Storage is metered by the MiB until it is freed; while there is no credit it is the platform's cost, never a debt."""

import pytest

from moorage.model.names import AgentUid
from moorage.model.rates import Meter, Stored
from moorage.model.wallet import Standing
from moorage.store.agents import Agents
from moorage.store.ledger import LedgerRefusal
from tests.integration.money.world import RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
GIB = 1024
PICOS = 1_000  # per MiB and second: a GiB costs 1.024 micro-credits a second
COST = PICOS * GIB


@pytest.fixture(autouse=True)
async def priced(world: World) -> None:
    """Storage costs something from the first second of the tests on."""
    await world.at(T - 100)
    await world.price("Volume", PICOS)
    await world.price("Snapshot", PICOS)
    await world.proven_at(T)


async def exact_picos(world: World) -> int:
    row = await world.sql.fetchrow("SELECT balance_micros, carry_picos FROM money.wallet")
    return int(row["balance_micros"]) * 1_000_000 - int(row["carry_picos"])


async def test_a_volume_is_charged_by_the_clock_until_it_is_freed(world: World) -> None:
    await world.wallet(micros=1_000_000)
    volume = await world.store(await world.agent("a"), "vol-1", GIB)
    await world.at(T + 1_000)  # no node says anything
    await world.free(volume)
    await world.free(volume)
    assert await world.lines() == [(T, T + 1_000, 1_000, 0)]
    assert await exact_picos(world) == 1_000_000_000_000 - 1_000 * COST


async def test_a_volume_that_grows_is_charged_by_its_size_of_the_time(world: World) -> None:
    await world.wallet(micros=1_000_000)
    agent = await world.agent("a")
    volume = await world.store(agent, "vol-1", GIB)
    await world.at(T + 100)
    await world.store(agent, "vol-1", 2 * GIB)
    await world.store(agent, "vol-1", 2 * GIB)
    await world.at(T + 200)
    await world.free(volume)
    assert await exact_picos(world) == 1_000_000_000_000 - 300 * COST


async def test_an_agents_record_says_what_of_its_storage_is_metered(world: World) -> None:
    await world.wallet(micros=1_000_000)
    agent = await world.agent("a")
    await world.open(agent, T)
    await world.store(agent, "vol-1", GIB)
    await world.store(agent, "snap-1", 7, meter=Meter.SNAPSHOT)
    await world.free(await world.store(agent, "vol-0", GIB))
    record = await Agents(world.database).load(AgentUid(agent))
    assert record is not None
    assert record.stored == (Stored(Meter.VOLUME, "vol-1", GIB), Stored(Meter.SNAPSHOT, "snap-1", 7))


async def test_what_was_freed_stays_freed(world: World) -> None:
    await world.wallet(micros=1_000_000)
    agent = await world.agent("a")
    await world.free(await world.store(agent, "vol-1", GIB))
    await world.store(agent, "vol-1", GIB)
    assert await world.sql.fetchval("SELECT count(*) FROM money.run WHERE ended IS NULL") == 0


async def test_pod_and_storage_of_one_wallet_end_at_the_same_second(world: World) -> None:
    await world.wallet(micros=1_000)
    agent = await world.agent("a")
    await world.store(agent, "vol-1", GIB)
    await world.open(agent, T)
    await world.proven_at(T + 500)
    await world.ledger.settle_due(epoch=1)
    zero_s = T + 1_000_000_000 // (RATE_PICOS + COST)
    cut = await world.sql.fetchval("SELECT cut_at FROM money.wallet")
    assert ((await world.see()).standing, cut) == (Standing.EXHAUSTED, zero_s)


async def test_storage_of_an_empty_wallet_is_absorbed_as_far_as_its_grace_and_is_no_debt(world: World) -> None:
    await world.sql.execute("UPDATE money.policy SET storage_grace_micros = 2048")
    await world.wallet(micros=1_024)
    volume = await world.store(await world.agent("a"), "vol-1", GIB)
    await world.at(T + 1_000)
    await world.ledger.settle_due(epoch=1)
    await world.at(T + 4_000)
    await world.state()
    await world.state()
    assert (await world.see()).balance_micros == 0
    await world.at(T + 5_000)
    await world.free(volume)
    assert (await world.see()).balance_micros == 0
    rows = await world.sql.fetch("SELECT lo, hi, charged_seconds, absorbed_seconds, waived_seconds FROM money.line")
    assert [tuple(row) for row in rows] == [(T, T + 4_000, 1_000, 2_000, 1_000), (T + 4_000, T + 5_000, 0, 0, 1_000)]
    booked = await world.sql.fetch("SELECT debit, credit, cause, amount_picos FROM money.system_entry ORDER BY cause")
    assert [tuple(row) for row in booked] == [(-2, -4, "Storage", 1_000 * COST), (-3, -4, "Zero", 2_000 * COST)]


async def test_new_credit_pays_for_storage_from_then_on(world: World) -> None:
    await world.wallet(micros=1_024)
    volume = await world.store(await world.agent("a"), "vol-1", GIB)
    await world.at(T + 1_000)
    await world.ledger.settle_due(epoch=1)
    await world.at(T + 3_000)
    assert (await world.see()).missing_micros == 6_615  # ten minutes of the agent and its volume
    assert (await world.grant(10_000)).standing is Standing.FUNDED
    await world.at(T + 3_500)
    await world.free(volume)
    assert await exact_picos(world) == 10_000_000_000 - 500 * COST


async def test_a_snapshot_verified_after_zero_costs_the_tenant_nothing_until_there_is_credit(world: World) -> None:
    await world.wallet()
    snapshot = await world.store(await world.agent("a"), "snap-1", GIB, meter=Meter.SNAPSHOT)
    await world.at(T + 300)
    await world.grant(10_000)
    await world.at(T + 400)
    await world.free(snapshot, meter=Meter.SNAPSHOT)
    assert await world.lines() == [(T, T + 400, 100, 300)]
    assert await exact_picos(world) == 10_000_000_000 - 100 * COST


async def test_storage_gets_a_new_price_while_its_wallet_is_empty(world: World) -> None:
    await world.wallet()
    volume = await world.store(await world.agent("a"), "vol-1", GIB)
    await world.price("Volume", 2 * PICOS, from_s=T + 100)
    await world.at(T + 300)
    await world.free(volume)
    absorbed = await world.sql.fetchval("SELECT sum(amount_picos)::bigint FROM money.system_entry WHERE debit = -3")
    assert absorbed == 100 * COST + 200 * 2 * COST


async def test_storage_that_is_free_is_metered_until_it_has_a_price(world: World) -> None:
    await world.price("Snapshot", 0)
    await world.at(T + 60)
    await world.wallet(micros=1_000)
    snapshot = await world.store(await world.agent("a"), "snap-1", GIB, meter=Meter.SNAPSHOT)
    await world.price("Snapshot", PICOS, from_s=T + 200)
    await world.at(T + 250)
    await world.free(snapshot, meter=Meter.SNAPSHOT)
    assert await exact_picos(world) == 1_000_000_000 - 50 * COST


@pytest.mark.parametrize("mib", [0, -1])
async def test_storage_of_an_impossible_size_is_refused(world: World, mib: int) -> None:
    await world.wallet(micros=1_000)
    with pytest.raises(LedgerRefusal):
        await world.store(await world.agent("a"), "vol-1", mib)


async def test_the_largest_volume_is_charged_at_the_highest_price(world: World) -> None:
    await world.wallet(micros=1_000_000_000)
    volume = await world.store(await world.agent("a"), "vol-1", 2**40)
    for rate_picos in (3_000, 3_181):
        await world.price("Volume", rate_picos)
    await world.at(T + 1_000)
    await world.free(volume)
    assert await world.sql.fetchval("SELECT max(rate_picos) FROM money.line") == 3_181 * 16 * 1024 * GIB


class TestStatements:
    """The statement loop: lines by the hour, months of them ahead, and what was absorbed counted."""

    async def test_every_open_run_gets_one_line_per_turn(self, world: World) -> None:
        await world.wallet(micros=1_000_000)
        agent = await world.agent("a")
        pod = await world.open(agent, T)
        await world.store(agent, "vol-1", GIB)
        for hour in (1, 2):
            await world.proven_at(T + hour * 3_600)
            await world.state()
            await world.state()
        await world.close(pod, T + 7_200)
        hours = [(T, T + 3_600, 3_600, 0), (T + 3_600, T + 7_200, 3_600, 0)]
        assert await world.lines() == [*hours, *hours]

    async def test_a_wallet_belongs_to_one_minute_of_the_hour(self, world: World) -> None:
        wallet = await world.wallet(micros=1_000_000)
        await world.store(await world.agent("a"), "vol-1", GIB)
        await world.at(T + 100)
        await world.meters.write_statements(epoch=1, slot=(wallet + 1) % 60)
        assert await world.lines() == []
        await world.meters.write_statements(epoch=1, slot=wallet % 60)
        assert await world.lines() == [(T, T + 100, 100, 0)]

    async def test_lines_go_to_their_months_partition(self, world: World) -> None:
        february_s = 31 * 86_400
        await world.at(february_s)
        assert await world.meters.prepare_months(epoch=1) == 3
        assert await world.meters.prepare_months(epoch=1) == 0
        await world.wallet(micros=1_000_000)
        await world.store(await world.agent("a"), "vol-1", GIB)
        await world.at(february_s + 10)
        await world.state()
        assert await world.sql.fetchval("SELECT tableoid::regclass::text FROM money.line") == "money.line_1970_02"

    async def test_absorbed_seconds_are_counted_by_cause(self, world: World) -> None:
        seen, _ = await world.meters.absorbed(after_entry=None)
        await world.wallet(micros=1_000_000)
        pod = await world.open(await world.agent("a"), T)
        await world.proven_at(T + 30_000)
        await world.settle()
        await world.close(pod, T + 30_000)
        newest, absorbed = await world.meters.absorbed(after_entry=seen)
        assert [(one.cause, one.meter, one.seconds) for one in absorbed] == [("Overdue", Meter.POD, 8_400)]
        assert await world.meters.absorbed(after_entry=newest) == (newest, [])


async def test_a_size_that_changes_twice_while_the_clock_steps_back_is_never_paid_twice(world: World) -> None:
    await world.wallet()  # empty: its own second stands still
    agent = await world.agent("a")
    await world.store(agent, "volume", 4_000)
    await world.at(START_S + 60)
    await world.store(agent, "volume", 1_000)
    await world.at(START_S + 40)
    await world.store(agent, "volume", 4_000)
    await world.at(START_S + 100)
    await world.settle()
    assert await world.broken() == []
