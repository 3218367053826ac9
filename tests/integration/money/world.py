"""A ledger on a database whose clock the test sets, with tenants and agents made by hand."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from moorage.model.ledger import Granted, WalletView
from moorage.model.payments import Applied, Posting, Source
from moorage.model.rates import Meter, Stored
from moorage.store import ledger_verify
from moorage.store.database import Database
from moorage.store.leases import GATEWAY_ROLE, Leases
from moorage.store.ledger import Ledger
from moorage.store.meters import Meters
from moorage.store.payments import Payments
from moorage.store.rates import Rates

START_S = 1_000_000
NODE = "node-a"
RATE_PICOS = 10_000_000  # ten micro-credits per second: a credit lasts 100,000 seconds

FAKE_CLOCK = """
CREATE TABLE money.test_clock (now_s double precision NOT NULL);
INSERT INTO money.test_clock VALUES (1000000);
GRANT SELECT ON money.test_clock TO moorage_app, moorage_read;
CREATE OR REPLACE FUNCTION money.clock() RETURNS double precision LANGUAGE sql AS 'SELECT now_s FROM money.test_clock';
"""


@dataclass
class World:
    """What a test needs to play the operator: `sql` acts as the owner, `ledger` with the application's rights."""

    database: Database
    sql: "asyncpg.Connection[Any]"
    ledger: Ledger
    epoch: int = 1
    url: str = ""
    tenants: dict[str, uuid.UUID] = field(default_factory=dict)
    gateways: list[Database] = field(default_factory=list)

    async def at(self, now_s: float) -> None:
        """Set the database's clock."""
        await self.sql.execute("UPDATE money.test_clock SET now_s = $1", float(now_s))

    async def wallet(self, name: str = "acme", *, micros: int = 0, low_micros: int = 0) -> int:
        """Open a wallet, with credit if asked."""
        wallet_id = await self.ledger.ensure_wallet(
            epoch=self.epoch, name=name, cr_uid=str(uuid.uuid4()), low_micros=low_micros
        )
        if micros:
            await self.grant(micros, name=name)
        return wallet_id

    async def grant(self, micros: int, *, name: str = "acme", key: str | None = None) -> Granted:
        """Book credit under a new key."""
        return await self.ledger.grant(
            wallet_name=name, amount_micros=micros, key=key or str(uuid.uuid4()), reason="test", actor="test"
        )

    @property
    def payments(self) -> Payments:
        """The payments of this ledger."""
        return Payments(self.database)

    async def pay(
        self,
        wallet_id: int | None,
        obj_id: str = "pi_1",
        *,
        version: int = 1,
        events: tuple[str, ...] = (),
        **said: Any,
    ) -> Applied:
        """Apply one snapshot of a payment in cents of a US dollar, ten dollars by default."""
        usual = {"paid_ext": 1_000, "refunded_ext": 0, "disputed_ext": 0, "lost_ext": 0}
        terms = {"currency": "usd", "rate_num": 10_000, "rate_den": 1, "payer": None, "source": Source.STRIPE}
        kept = {"fee_micros": 0, "penalty_micros": 0}
        posting = Posting(**{**usual, **terms, **kept, "obj_id": obj_id, "wallet_id": wallet_id, **said})
        return await self.payments.apply(posting, version=version, events=events)

    async def moves(self, name: str = "acme") -> list[tuple[str, int]]:
        """Kind and amount of a wallet's entries, oldest first."""
        return [(entry.kind, entry.amount_micros) for entry in reversed(await self.ledger.history(name, 1000))]

    async def agent(self, name: str, *, wallet: str = "acme", size: str = "small", state: str = "Running") -> str:
        """Make an agent's record."""
        wallet_id = await self.sql.fetchval("SELECT id FROM money.wallet WHERE name = $1", wallet)
        if wallet not in self.tenants:
            self.tenants[wallet] = uuid.uuid4()
            await self.sql.execute(
                "INSERT INTO moorage.tenant (uid, name, core_namespace, wallet_id) VALUES ($1, $2, $3, $4)",
                self.tenants[wallet],
                wallet,
                f"mn-{wallet}",
                wallet_id,
            )
        uid = uuid.uuid4()
        await self.sql.execute(
            "INSERT INTO moorage.agent (uid, tenant_uid, wallet_id, namespace, name, size, state)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            uid,
            self.tenants[wallet],
            wallet_id,
            f"mn-{wallet}",
            name,
            size,
            state,
        )
        return str(uid)

    async def open(
        self, agent: str, started_s: int, *, pod: str | None = None, node: str = NODE, size: str = "small"
    ) -> str:
        """Open a run and return its pod."""
        pod = pod or str(uuid.uuid4())
        await self.ledger.open_run(
            epoch=self.epoch,
            agent_uid=agent,
            pod_uid=pod,
            container_id=f"containerd://{pod}",
            node=node,
            size=size,
            started_s=started_s,
        )
        return pod

    @property
    def meters(self) -> Meters:
        """Storage, domains, statements."""
        return Meters(self.database)

    async def store(self, agent: str, thing: str, mib: int = 1024, *, meter: Meter = Meter.VOLUME) -> str:
        """Meter a volume (or snapshot) of an agent and return its name."""
        await self.meters.open_storage(epoch=self.epoch, agent_uid=agent, stored=Stored(meter, thing, mib))
        return thing

    async def free(self, thing: str, *, meter: Meter = Meter.VOLUME) -> None:
        """The volume (or snapshot) is gone."""
        await self.meters.close_storage(epoch=self.epoch, stored=Stored(meter, thing, 1))

    async def price(self, subject: str, rate_picos: int, *, from_s: int | None = None) -> int:
        """Set a price, with the second person's agreement where it needs one; returns its first second."""
        meter, _, class_ = subject.partition("/")
        book = Rates(self.database)
        asked = await book.propose(
            meter=Meter(meter), class_=class_, rate_picos=rate_picos, valid_from_s=from_s, actor="ada", reason="test"
        )
        agreed = await book.approve(proposal_id=asked.proposal_id, actor="bob", reason="test")
        return int(agreed.valid_from.timestamp())

    async def state(self) -> None:
        """Write everybody's statement lines."""
        for slot in range(60):
            await self.meters.write_statements(epoch=self.epoch, slot=slot)

    async def close(self, pod: str, ended_s: int | None) -> None:
        """Close a run."""
        await self.ledger.close_run(epoch=self.epoch, pod_uid=pod, ended_s=ended_s, reason="PodGone")

    async def prove(self, **proofs: int) -> None:
        """Move nodes; `node_a=5` is the node `node-a`."""
        await self.ledger.prove(
            epoch=self.epoch, proofs={name.replace("_", "-"): second for name, second in proofs.items()}
        )

    async def proven_at(self, now_s: int) -> None:
        """Set the clock, and prove the usual node to it."""
        await self.at(now_s)
        await self.prove(node_a=now_s)

    async def settle(self) -> None:
        """Settle everybody."""
        await self.ledger.settle_all(epoch=self.epoch)

    async def gateway(self, name: str = "gw") -> Leases:
        """A new life of a gateway, with a gateway's rights and a session of its own."""
        self.gateways.append(await Database.connect(self.url, size_max=2, role=GATEWAY_ROLE))
        return await Leases.register(self.gateways[-1], name)

    async def see(self, name: str = "acme") -> WalletView:
        """The wallet as it stands."""
        view = await self.ledger.wallet(name)
        assert view is not None
        return view

    async def record(self, agent: str) -> "asyncpg.Record":
        """An agent's row."""
        return await self.sql.fetchrow("SELECT * FROM moorage.agent WHERE uid = $1", uuid.UUID(agent))

    async def lines(self) -> list[tuple[int, int, int, int]]:
        """The statement lines: from, to, charged, absorbed."""
        rows = await self.sql.fetch(
            "SELECT lo, hi, charged_seconds, absorbed_seconds FROM money.line ORDER BY run_id, no"
        )
        return [tuple(row) for row in rows]

    async def outbox(self) -> list[tuple[str, str, str]]:
        """Kind, name and reason of every wake-up, oldest first."""
        return [tuple(row) for row in await self.sql.fetch("SELECT kind, name, reason FROM moorage.outbox ORDER BY id")]

    async def broken(self) -> list[str]:
        """The invariants that do not hold."""
        return [
            f"{check.id}: {check.examples}" for check in await ledger_verify.verify(self.database) if check.violations
        ]


@contextlib.asynccontextmanager
async def new_world(url: str) -> AsyncIterator[World]:
    """A ledger with a fake clock, one leader, one size and one node."""
    sql = await asyncpg.connect(url)
    database = await Database.connect(url, size_max=4)
    try:
        await sql.execute(FAKE_CLOCK)
        await sql.execute("UPDATE moorage.leader SET epoch = 1, holder = 'test', expires_at = 'infinity'")
        world = World(database, sql, Ledger(database), url=url)
        await world.ledger.publish_rate(size="small", rate_picos=RATE_PICOS)
        await world.prove(node_a=START_S)
        yield world
        for gateway in world.gateways:
            await gateway.close()
    finally:
        await database.close()
        await sql.close()
