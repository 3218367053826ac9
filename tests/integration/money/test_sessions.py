"""Many sessions at once, repeated keys, rights and fences: what keeps the sums right when callers do not."""

import asyncio
import uuid

import asyncpg
import pytest

from moorage.model.errors import LostLeadership, Permanent
from moorage.model.money import AMOUNT_MICROS_MAX
from moorage.model.reasons import Reason
from moorage.store.database import Database
from moorage.store.ledger import Ledger, LedgerRefusal
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
SESSIONS = 8


async def test_sessions_that_settle_the_same_wallet_at_once_charge_it_once(world: World, database_url: str) -> None:
    await world.wallet(micros=10_000_000)
    for name in "abc":
        await world.open(await world.agent(name), T)
    databases = [await Database.connect(database_url, size_max=2) for _ in range(SESSIONS)]
    for second in range(10, 110, 10):
        await world.proven_at(T + second)
        await world.sql.execute("UPDATE money.timer SET due_at = 0")
        await world.sql.execute("UPDATE money.wallet SET due_at = 0 WHERE due_at IS NOT NULL")
        await asyncio.gather(
            *(Ledger(database).settle_all(epoch=1) for database in databases),
            *(Ledger(database).settle_due(epoch=1) for database in databases),
        )
    for database in databases:
        await database.close()
    assert (await world.see()).balance_micros == 10_000_000 - 3 * 100 * 10


async def test_grants_runs_and_settlements_at_once_neither_deadlock_nor_lose_money(
    world: World, database_url: str
) -> None:
    names = [f"wallet-{number}" for number in range(6)]
    agents = {}
    for name in names:
        await world.wallet(name, micros=1_000_000)
        agents[name] = [await world.agent(f"{name}-{number}", wallet=name) for number in range(2)]
    await world.proven_at(T + 50)
    databases = [await Database.connect(database_url, size_max=2) for _ in range(SESSIONS)]

    async def live(database: Database, number: int) -> None:
        ledger = Ledger(database)
        for step in range(6):
            name = names[(number + step) % len(names)]
            agent, pod = agents[name][number % 2], str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number % 2}{name}{step // 3}"))
            await ledger.grant(wallet_name=name, amount_micros=100, key=f"{number}-{step}", reason="r", actor="a")
            await ledger.settle_all(epoch=1, chunk=2)
            await ledger.open_run(
                epoch=1,
                agent_uid=agent,
                pod_uid=pod,
                container_id="c",
                node="node-a",
                size="small",
                started_s=T + 10,
            )
            await ledger.prove(epoch=1, proofs={"node-a": T + 50})
            await ledger.close_run(epoch=1, pod_uid=pod, ended_s=T + 30, reason="PodGone")

    await asyncio.gather(*(live(database, number) for number, database in enumerate(databases)))
    for database in databases:
        await database.close()
    charged = await world.sql.fetchval("SELECT sum(charged_seconds) FROM money.line")
    granted = len(names) * 1_000_000 + SESSIONS * 6 * 100
    assert await world.sql.fetchval("SELECT sum(balance_micros) FROM money.wallet") == granted - charged * 10
    assert await world.sql.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


async def test_one_key_in_many_sessions_is_booked_once(world: World, database_url: str) -> None:
    await world.wallet()
    databases = [await Database.connect(database_url, size_max=1) for _ in range(SESSIONS)]
    grants = await asyncio.gather(
        *(
            Ledger(database).grant(wallet_name="acme", amount_micros=70, key="same", reason="r", actor="a")
            for database in databases
        )
    )
    for database in databases:
        await database.close()
    assert sorted(granted.repeated for granted in grants) == [False] + [True] * (SESSIONS - 1)
    assert {granted.balance_micros for granted in grants} == {70}


async def test_one_key_for_two_wallets_at_once_goes_to_one(world: World) -> None:
    await world.wallet("acme")
    await world.wallet("zoo")
    answers = await asyncio.gather(
        *(world.grant(70, name=name, key="same") for name in ("acme", "zoo")), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Granted", "LedgerRefusal"]


@pytest.mark.parametrize("micros", [0, -1, AMOUNT_MICROS_MAX + 1])
async def test_an_amount_out_of_bounds_is_refused(world: World, micros: int) -> None:
    await world.wallet()
    with pytest.raises(LedgerRefusal):
        await world.ledger.grant(wallet_name="acme", amount_micros=micros, key="k", reason="r", actor="a")


async def test_a_grant_that_would_overflow_the_wallet_is_refused_and_changes_nothing(world: World) -> None:
    await world.wallet(micros=AMOUNT_MICROS_MAX)
    with pytest.raises(LedgerRefusal, match="holds at most"):
        await world.grant(1)
    assert (await world.see()).balance_micros == AMOUNT_MICROS_MAX


async def test_a_grant_to_an_unknown_wallet_names_the_reason(world: World) -> None:
    with pytest.raises(Permanent) as caught:
        await world.grant(1, name="nobody")
    assert caught.value.reason is Reason.WALLET_NOT_FOUND


async def test_a_run_of_a_size_without_a_price_names_the_reason(world: World) -> None:
    await world.wallet(micros=5)
    with pytest.raises(Permanent) as caught:
        await world.open(await world.agent("a"), T, size="huge")
    assert caught.value.reason is Reason.SIZE_UNKNOWN


async def test_every_write_of_a_leader_that_lost_is_refused(world: World) -> None:
    await world.wallet(micros=5)
    agent = await world.agent("a")
    world.epoch = 0
    calls = [
        world.wallet("other"),
        world.open(agent, T),
        world.close(str(uuid.uuid4()), None),
        world.prove(node_a=T),
        world.settle(),
        world.ledger.settle_due(epoch=0),
    ]
    for call in calls:
        with pytest.raises(LostLeadership):
            await call


@pytest.mark.parametrize("table", ["entry", "line", "rate", "rate_proposal", "audit", "system_entry", "account"])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM money.{}", "TRUNCATE money.{} CASCADE", "UPDATE money.{} SET {} = {}"]
)
async def test_what_is_booked_cannot_be_changed_even_by_the_owner(world: World, table: str, statement: str) -> None:
    columns = {
        "entry": "reason",
        "line": "lo",
        "rate": "class",
        "rate_proposal": "class",
        "audit": "actor",
        "system_entry": "run_id",
        "account": "code",
    }
    sql = statement.format(table, columns[table], columns[table])
    with pytest.raises(asyncpg.PostgresError) as caught:
        await world.sql.execute(sql)
    assert caught.value.sqlstate == "MO006"
