"""Model requests: how many a second the ledger charges, in batches against leases and one by one with holds.

Prints one JSON object. Beside them, in the same rounds on the same durable PostgreSQL, stand bare statements: as many
rows inserted in batches with one UPDATE of their wallet, and one UPDATE and INSERT per transaction.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from dev.postgres import Postgres
from moorage.gateway.spending import new_request_id
from moorage.model.names import AgentUid, WalletId
from moorage.model.spending import FinishedRequest, ModelPrice, Tokens
from moorage.store.database import Database
from moorage.store.leases import GATEWAY_ROLE, Leases, Reservations
from moorage.store.migrate import migrate
from tests.bench import durable
from tests.bench.durable import Effort

GRANT_MICROS = 1_000_000_000_000
SLICE_MICROS = 10_000_000_000
AGENT = AgentUid("00000000-0000-4000-8000-00000000000a")
PRICE = ModelPrice(model="opus", input_picos=3_000_000, output_picos=15_000_000, cached_picos=300_000)
SESSIONS = 8
HOT_SESSIONS = 2  # a gateway sends its next report while the last one is booked
SPREAD_SESSIONS = 4

SET_UP = """
UPDATE moorage.leader SET epoch = 1, holder = 'bench', expires_at = 'infinity';
INSERT INTO money.wallet (name, balance_micros, seq, as_of, standing)
    SELECT 'wallet-' || n, {grant}, 1, money.now_s(), 'Funded' FROM generate_series(1, {wallets}) n;
INSERT INTO money.entry (wallet_id, seq, contra, amount_micros, balance_after_micros, kind, key, effective_at)
    SELECT id, 1, -1, balance_micros, balance_micros, 'Grant', name, money.now_s() FROM money.wallet;
CREATE TABLE floor_wallet (id bigint PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 70);
CREATE TABLE floor_entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, wallet bigint, amount bigint);
CREATE TABLE floor_usage (LIKE money.usage INCLUDING ALL);
INSERT INTO floor_wallet VALUES (1, 0);
"""
BARE_UPDATE = "UPDATE floor_wallet SET balance = balance - 1 WHERE id = 1"
BARE_INSERT = "INSERT INTO floor_entry (wallet, amount) VALUES (1, -1)"
BARE_ROWS = """
INSERT INTO floor_usage (id, lease_id, wallet_id, agent_uid, model, input_tokens, cached_tokens, output_tokens,
                         input_picos, cached_picos, output_picos)
SELECT id, lease_id, 1, agent_uid, model, input_tokens, cached_tokens, output_tokens, input_picos, cached_picos,
       output_picos FROM unnest($1::money.request[])
"""

Work = Callable[[], Awaitable[None]]


class Bench:
    """One server, its wallets and leases, and the ways to charge them; wallet 1 is the hot one."""

    def __init__(self, bare: "Sequence[asyncpg.Connection[Any]]", leases: Leases, *, wallets: int) -> None:
        self._bare = bare
        self._leases = leases
        self._wallets = wallets
        self._lease_ids: dict[int, str] = {}
        self._rng = random.Random(7)  # spreads load, hides nothing

    async def open_leases(self) -> None:
        """A slice of every wallet."""
        numbers = iter(range(1, self._wallets + 1))

        async def some() -> None:
            for number in numbers:
                lease = self._lease_ids[number] = str(uuid.uuid4())
                await self._leases.open(lease, WalletId(number), want_micros=SLICE_MICROS, at_least_micros=1)

        await asyncio.gather(*(some() for _ in range(SESSIONS)))

    async def hot(self, seconds: float, batch: int) -> float:
        """Requests per second of one wallet, reported in batches."""

        async def one() -> None:
            await self._leases.flush([self._request(1) for _ in range(batch)])

        return batch * await _per_second(seconds, [one] * HOT_SESSIONS)

    async def spread(self, seconds: float, batch: int) -> float:
        """Requests per second of random wallets; every session has wallets of its own, as gateways have."""
        share = self._wallets // SPREAD_SESSIONS

        def work(session: int) -> Work:
            mine = range(1 + session * share, 1 + (session + 1) * share)

            async def one() -> None:
                await self._leases.flush([self._request(self._rng.choice(mine)) for _ in range(batch)])

            return one

        return batch * await _per_second(seconds, [work(session) for session in range(SPREAD_SESSIONS)])

    async def pairs(self, seconds: float) -> float:
        """Requests per second of one wallet, each with a hold of its own that is then settled."""

        async def one() -> None:
            request = self._request(1)
            await self._leases.hold(request.id, WalletId(1), AGENT, amount_micros=10_000)
            await self._leases.settle_hold(
                FinishedRequest(id=request.id, lease_id=None, agent_uid=AGENT, price=PRICE, tokens=request.tokens)
            )

        return await _per_second(seconds, [one] * SESSIONS)

    async def bare_batches(self, seconds: float, batch: int) -> float:
        """Rows per second of bare statements: batches of rows, one UPDATE and one INSERT for each."""

        def on(connection: Any) -> Work:  # Any: asyncpg has no types
            async def one() -> None:
                rows = [self._request_row() for _ in range(batch)]
                async with connection.transaction():
                    await connection.execute(BARE_ROWS, rows)
                    await connection.execute(BARE_UPDATE)
                    await connection.execute(BARE_INSERT)

            return one

        return batch * await _per_second(seconds, [on(connection) for connection in self._bare[:HOT_SESSIONS]])

    async def bare(self, seconds: float) -> float:
        """Transactions per second of one UPDATE and one INSERT, all of one wallet."""

        def on(connection: Any) -> Work:  # see above
            async def one() -> None:
                async with connection.transaction():
                    await connection.execute(BARE_UPDATE)
                    await connection.execute(BARE_INSERT)

            return one

        return await _per_second(seconds, [on(connection) for connection in self._bare])

    def _request(self, wallet: int) -> FinishedRequest:
        return FinishedRequest(
            id=new_request_id(int(time.time() * 1000)),
            lease_id=self._lease_ids[wallet],
            agent_uid=AGENT,
            price=PRICE,
            tokens=Tokens(self._rng.randrange(1, 200), self._rng.randrange(1, 200), self._rng.randrange(1, 200)),
        )

    def _request_row(self) -> tuple[object, ...]:
        asked = self._request(1)
        price, tokens = asked.price, asked.tokens
        counts = (tokens.input, tokens.cached, tokens.output)
        prices = (price.input_picos, price.cached_picos, price.output_picos)
        return (asked.id, asked.lease_id, asked.agent_uid, price.model, *counts, *prices)


async def _per_second(seconds: float, work: Sequence[Work]) -> float:
    done = itertools.count()
    begun = time.perf_counter()

    async def repeat(one: Work) -> None:
        while time.perf_counter() - begun < seconds:
            await one()
            next(done)

    await asyncio.gather(*(repeat(one) for one in work))
    return next(done) / (time.perf_counter() - begun)


async def measure(server: Postgres, *, wallets: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Fill the database, charge in every way `rounds` times, and check the books."""
    await migrate(server.url())
    owner = await asyncpg.connect(server.url())
    await owner.execute(SET_UP.format(grant=GRANT_MICROS, wallets=wallets))
    operator = await Database.connect(server.url(), size_max=2)
    await Reservations(operator).prepare_usage_days(epoch=1, ahead=1)
    gateway = await Database.connect(server.url(), size_max=SESSIONS, role=GATEWAY_ROLE)
    bare = [await asyncpg.connect(server.url()) for _ in range(SESSIONS)]
    bench = Bench(bare, await Leases.register(gateway, "bench"), wallets=wallets)
    await bench.open_leases()
    await owner.execute("VACUUM ANALYZE")
    kinds: dict[str, Callable[[], Awaitable[float]]] = {
        "hot_batches": lambda: bench.hot(seconds, 500),
        "bare_batches": lambda: bench.bare_batches(seconds, 500),
        "hot_pairs": lambda: bench.pairs(seconds),
        "bare_pairs": lambda: bench.bare(seconds),
        "many_batches": lambda: bench.spread(seconds, 500),
        "many_small_batches": lambda: bench.spread(seconds, 100),
    }
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    efforts: dict[str, dict[str, float]] = {}
    for number in range(rounds + 1):
        for name, run in kinds.items():
            before = await Effort.now(server, owner)
            rate = await run()
            if number:  # the first round plans the functions and fills the cache
                rates[name].append(round(rate, 1))
                efforts[name] = (await Effort.now(server, owner)).since(before)
    await durable.check_books(operator)
    commit = await durable.commit_milliseconds(owner)
    for opened in (gateway, operator, *bare, owner):
        await opened.close()
    pairs = zip(rates["hot_batches"], rates["hot_pairs"], strict=True)
    ratios = [round(batched / pair, 1) for batched, pair in pairs]
    counts = {"wallets": wallets, "rounds": rounds, "commit_milliseconds": commit}
    return {**counts, **rates, "hot_batches_to_pairs": ratios, "efforts": efforts,
            "medians": {name: round(statistics.median(found), 1) for name, found in rates.items()}}  # fmt: skip


def main() -> None:
    """Read the arguments, run on a server of its own, print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wallets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of every kind in every round")
    arguments = parser.parse_args()
    durable.run(lambda server: measure(server, **vars(arguments)))


if __name__ == "__main__":
    main()
