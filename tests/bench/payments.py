"""Payments in: how fast events are kept and objects applied, and how long a top-up takes while everybody is charged.

Prints one JSON object. Beside each number stand bare statements in the same round on the same durable PostgreSQL: as
many inserts of the same payload, and an UPDATE with an INSERT for each movement of money.
"""

import argparse
import asyncio
import itertools
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from dev.postgres import Postgres
from moorage.billing.postings import Rate, Terms
from moorage.model.payments import Posting, Source
from moorage.services.deposits import Deposits, Till
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from moorage.store.migrate import migrate
from moorage.store.payments import Payments
from tests.bench import durable
from tests.bench.report import percentile
from tests.bench.settle import GRANT_MICROS, LOW_MICROS, RATE_PICOS, SECONDS_PER_ROUND, SET_UP, START_S
from tests.fakes.payment_provider import PaymentProvider

EVENTS_PER_OBJECT = 10
ARRIVALS_PER_SECOND = 170
SESSIONS = 8
PAYLOAD = json.dumps({"object": "event", "type": "payment_intent.succeeded", "padding": "x" * 2_000}).encode()
BARE = """
CREATE TABLE bare_event (id text PRIMARY KEY, payload jsonb NOT NULL);
CREATE TABLE bare_wallet (id bigint PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 70);
CREATE TABLE bare_entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, wallet bigint NOT NULL, amount bigint);
INSERT INTO bare_wallet SELECT n, 0 FROM generate_series(1, {wallets}) n;
"""
WALLETS = """
UPDATE moorage.leader SET epoch = 1, holder = 'bench', expires_at = 'infinity';
INSERT INTO money.wallet (name, as_of, standing, cut_at)
    SELECT 'wallet-' || n, money.now_s(), 'Exhausted', money.now_s() FROM generate_series(1, {wallets}) n;
"""

Lanes = Sequence[Any]  # of connections; asyncpg has no types


async def measure(server: Postgres, *, runs: int, objects: int, seconds: int, rounds: int) -> dict[str, Any]:
    """Events under the real clock in one database, top-ups beside a settlement in another."""
    found = await _from_outside(server, objects=objects, seconds=seconds)
    server.psql("CREATE DATABASE charged")
    await migrate(server.url("charged"))
    owner = await asyncpg.connect(server.url("charged"))
    numbers = {"start": START_S, "rate": RATE_PICOS, "grant": GRANT_MICROS, "low": LOW_MICROS}
    numbers |= {"runs": runs, "wallets": runs}
    await owner.execute(SET_UP.format(**numbers))
    await owner.execute(BARE.format(wallets=runs))
    await owner.execute("VACUUM ANALYZE")
    database = await Database.connect(server.url("charged"), size_max=SESSIONS)
    try:
        found |= await _beside_a_settlement(owner, database, runs=runs, rounds=rounds)
        await durable.check_books(database)
        found["commit_milliseconds"] = await durable.commit_milliseconds(owner)
    finally:
        await database.close()
        await owner.close()
    return {"runs": runs, "rounds": rounds, **found}


async def _from_outside(server: Postgres, *, objects: int, seconds: int) -> dict[str, Any]:
    await migrate(server.url())
    owner = await asyncpg.connect(server.url())
    await owner.execute(BARE.format(wallets=objects) + WALLETS.format(wallets=objects))
    await owner.execute("VACUUM ANALYZE")
    lanes = [await asyncpg.connect(server.url()) for _ in range(SESSIONS)]
    database = await Database.connect(server.url(), size_max=SESSIONS + 4)
    counts = {"objects": objects, "events": objects * EVENTS_PER_OBJECT, "per_second": ARRIVALS_PER_SECOND}
    took: dict[str, list[float]] = {"applied": [], "bare_applied": []}
    kept: dict[str, list[float]] = {"kept": [], "bare_kept": []}
    try:
        for number in range(3):
            await owner.execute("CHECKPOINT")
            took["applied"].append(await _events(database, number, objects=objects))
            await owner.execute("CHECKPOINT")
            took["bare_applied"].append(await _bare_events(lanes, number, objects=objects))
        for number in range(3):  # nobody works these off
            await owner.execute("CHECKPOINT")
            kept["kept"] += await _paced(_keeper(Payments(database), number), seconds=seconds)
            kept["bare_kept"] += await _paced(_bare_keeper(lanes, number), seconds=seconds)
        await durable.check_books(database)
    finally:
        await database.close()
        for connection in (*lanes, owner):
            await connection.close()
    return counts | took | {name: _spread(values) for name, values in kept.items()}


async def _events(database: Database, number: int, *, objects: int) -> float:
    """Shuffled events are kept and worked off at the same time; the time is that of the last one's end."""
    provider = PaymentProvider()
    for one in range(objects):
        provider.pay(f"pi_{number}_{one}", 1 + one)
    copies = itertools.product(range(objects), range(EVENTS_PER_OBJECT))
    events = [(f"evt_{number}_{one}_{copy}", f"pi_{number}_{one}") for one, copy in copies]
    random.Random(number).shuffle(events)  # an order, not a secret
    payments = Payments(database)
    deposits = Deposits(payments, {Source.STRIPE: Till(provider, Terms({"usd": Rate(10_000, 1)}))})
    begun = time.perf_counter()
    keeping = asyncio.gather(*(_keep(payments, events[lane::SESSIONS]) for lane in range(SESSIONS)))
    waiting = len(events)
    while waiting or not keeping.done():
        if not await deposits.apply_news():
            await asyncio.sleep(0.01)
            waiting = await database.value("SELECT count(*) FROM money.inbox WHERE done_at IS NULL")
    await keeping
    spent = time.perf_counter() - begun
    booked = await database.value("SELECT count(*) FROM money.entry WHERE kind = 'TopUp'")
    assert booked == objects * (number + 1), f"{booked} credits for {objects * (number + 1)} payments"
    return round(spent, 3)


async def _keep(payments: Payments, events: Sequence[tuple[str, str]]) -> None:
    for event, obj_id in events:
        await payments.keep_event(source=Source.STRIPE, ext_id=event, obj_id=obj_id, payload=PAYLOAD)


async def _bare_events(lanes: Lanes, number: int, *, objects: int) -> float:
    """As many inserts, then a movement for each object: the least that any ledger would write."""

    async def work(lane: int) -> None:
        for one in range(lane, objects, SESSIONS):
            for copy in range(EVENTS_PER_OBJECT):
                await _bare_event(lanes[lane], f"{number}_{one}_{copy}")
            await _bare_top_up(lanes[lane], 1 + one)

    begun = time.perf_counter()
    await asyncio.gather(*(work(lane) for lane in range(SESSIONS)))
    return round(time.perf_counter() - begun, 3)


async def _bare_event(connection: Any, event: str) -> None:  # Any: asyncpg has no types
    await connection.execute("INSERT INTO bare_event VALUES ($1, $2::jsonb)", event, PAYLOAD.decode())


async def _bare_top_up(connection: Any, wallet: int) -> None:  # see above
    async with connection.transaction():
        await connection.execute("UPDATE bare_wallet SET balance = balance + 1 WHERE id = $1", wallet)
        await connection.execute("INSERT INTO bare_entry (wallet, amount) VALUES ($1, 1)", wallet)


def _keeper(payments: Payments, number: int) -> Callable[[int], Awaitable[object]]:
    return lambda one: payments.keep_event(
        source=Source.STRIPE, ext_id=f"paced_{number}_{one}", obj_id=f"pi_{one % 100}", payload=PAYLOAD
    )


def _bare_keeper(lanes: Lanes, number: int) -> Callable[[int], Awaitable[object]]:
    free: asyncio.Queue[Any] = asyncio.Queue()
    for connection in lanes:
        free.put_nowait(connection)

    async def keep(one: int) -> None:
        connection = await free.get()
        await _bare_event(connection, f"paced_{number}_{one}")
        free.put_nowait(connection)

    return keep


async def _paced(work: Callable[[int], Awaitable[object]], *, seconds: int) -> list[float]:
    """Calls begin at their own pace, whether the last one is done or not; the seconds count from when each was due."""
    begun = time.perf_counter()

    async def one(number: int) -> float:
        due = begun + number / ARRIVALS_PER_SECOND
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await work(number)
        return time.perf_counter() - due

    return list(await asyncio.gather(*(one(number) for number in range(seconds * ARRIVALS_PER_SECOND))))


async def _beside_a_settlement(
    owner: "asyncpg.Connection[Any]", database: Database, *, runs: int, rounds: int
) -> dict[str, Any]:
    """Top-ups of random wallets, and bare ones in turn, while all wallets are charged."""
    payments = Payments(database)
    ledger = Ledger(database)
    rng = random.Random(2)  # spreads load, hides nothing
    took: dict[str, list[float]] = {"top_up": [], "bare_top_up": []}
    settled: list[float] = []
    for number in range(rounds):
        await owner.execute("UPDATE money.bench_clock SET now_s = now_s + $1", float(SECONDS_PER_ROUND))
        await owner.execute("UPDATE money.node SET proven = money.now_s(), seen_at = money.now_s()")
        begun = time.perf_counter()
        settling = asyncio.create_task(ledger.settle_all(epoch=1))
        while not settling.done():
            wallet, started = rng.randint(1, runs), time.perf_counter()
            await payments.apply(_posting(f"top_{number}_{len(took['top_up'])}", wallet), version=1)
            took["top_up"].append(time.perf_counter() - started)
            started = time.perf_counter()
            await _bare_top_up(owner, wallet)
            took["bare_top_up"].append(time.perf_counter() - started)
        await settling
        settled.append(time.perf_counter() - begun)
    spreads = {name: _spread(values) for name, values in took.items()}
    return {"top_ups": len(took["top_up"]), **spreads, "settle_seconds": round(statistics.median(settled), 3)}


def _posting(obj_id: str, wallet_id: int) -> Posting:
    return Posting(
        source=Source.STRIPE, obj_id=obj_id, wallet_id=wallet_id, payer=None, currency="usd", paid_ext=1_000,
        refunded_ext=0, disputed_ext=0, lost_ext=0, fee_micros=0, penalty_micros=0, rate_num=10_000, rate_den=1,
    )  # fmt: skip


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles in milliseconds."""
    return {f"p{share}": round(1000 * percentile(seconds, share / 100), 2) for share in (50, 99)}


def main() -> None:
    """Read the arguments, run on a server of its own, print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--objects", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=10, help="how long events arrive at their pace, three times")
    parser.add_argument("--rounds", type=int, default=15, help="settlements of everybody")
    arguments = parser.parse_args()
    durable.run(lambda server: measure(server, **vars(arguments)))


if __name__ == "__main__":
    main()
