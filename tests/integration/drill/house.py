"""A whole platform for the drill: database with its archive, object store, movers, money; to be lost and restored."""

import uuid
from dataclasses import dataclass
from typing import Any

from moorage.observability import Metrics
from moorage.providers.recorded_notices import RecordedNotices
from moorage.services.purges import Purges
from moorage.services.witness import Witness
from moorage.store.database import VERIFY_ROLE, Database
from moorage.store.leader import Leadership
from moorage.store.ledger import Ledger
from moorage.store.lineage import Lineage
from moorage.store.purges import PurgeRows
from moorage.store.seals import Seals
from tests.integration.money.world import FAKE_CLOCK
from tests.integration.snapshots.world import World

RATE_PICOS = 10_000_000  # ten micro-credits a second
NODE, WALLET = "node-a", "acme"


@dataclass
class Platform:
    """What an operator does, step by step, on one database; the object store outlives it."""

    world: World
    proof: Database
    started_s: int = 0

    @property
    def ledger(self) -> Ledger:
        """The money."""
        return Ledger(self.world.database)

    @property
    def witness(self) -> Witness:
        """What stands outside of the database about it."""
        return Witness(
            lineage=Lineage(self.world.database), seals=Seals(self.proof), store=self.world.store,
            keyring=self.world.keyring,
        )  # fmt: skip

    @property
    def purges(self) -> Purges:
        """What removes data for good."""
        rows = PurgeRows(self.world.database)
        return Purges(rows=rows, store=self.world.store, notices=RecordedNotices(), metrics=Metrics())

    async def lead(self) -> int:
        """Become the leader, once the last one's time is over. Raises HistoryInDoubt."""
        await self.world.admin.execute("UPDATE moorage.leader SET expires_at = '-infinity'")
        epoch = await Leadership(self.world.database, "operator").take()
        assert epoch is not None
        self.world.epoch = epoch
        return epoch

    async def run(self) -> None:
        """An agent that begins to run now."""
        self.started_s = int(await self.world.admin.fetchval("SELECT money.clock()")) + 1
        await self.world.admin.execute("UPDATE money.test_clock SET now_s = $1", float(self.started_s))
        runner = await self.world.admin.fetchval("SELECT uid::text FROM moorage.agent WHERE name = 'runner'")
        await self.ledger.prove(epoch=self.world.epoch, proofs={NODE: self.started_s})
        await self.ledger.open_run(
            epoch=self.world.epoch, agent_uid=runner, pod_uid=str(uuid.uuid4()), container_id="c",
            node=NODE, size="small", started_s=self.started_s,
        )  # fmt: skip

    async def charge(self, *, seconds: int) -> None:
        """Let so many seconds of it have passed, proven and charged."""
        await self.world.admin.execute("UPDATE money.test_clock SET now_s = $1", float(self.started_s + seconds))
        await self.ledger.prove(epoch=self.world.epoch, proofs={NODE: self.started_s + seconds})
        await self.ledger.settle_all(epoch=self.world.epoch)

    async def pay(self, paid: dict[str, int], key: str, micros: int) -> None:
        """A payment that its provider never forgets."""
        paid[key] = micros
        await self.ledger.grant(wallet_name=WALLET, amount_micros=micros, key=key, reason="paid", actor="provider")

    async def balance(self) -> int:
        """As booked."""
        balance: int = await self.world.admin.fetchval("SELECT balance_micros FROM money.wallet")
        return balance

    async def states(self) -> dict[str, str]:
        """Every agent's state by its name."""
        rows = await self.world.admin.fetch("SELECT name, state FROM moorage.agent")
        return {row["name"]: row["state"] for row in rows}


async def populate(admin: Any, ledger: Ledger, *, epoch: int) -> tuple[str, str]:
    """A tenant with a wallet, an agent that is on its way to rest, and one that runs; returns tenant and first."""
    await admin.execute(FAKE_CLOCK)
    await admin.execute("UPDATE money.test_clock SET now_s = extract(epoch FROM now())")
    await ledger.publish_rate(size="small", rate_picos=RATE_PICOS)
    wallet = await ledger.ensure_wallet(epoch=epoch, name=WALLET, cr_uid=str(uuid.uuid4()), low_micros=0)
    tenant = str(uuid.uuid4())
    await admin.execute(
        "INSERT INTO moorage.tenant (uid, name, core_namespace, wallet_id) VALUES ($1, 'acme', 'mn-acme', $2)",
        *(tenant, wallet),
    )
    agents: dict[str, str] = {}
    for name, state in (("bot", "Snapshotting"), ("runner", "Running")):
        agents[name] = str(uuid.uuid4())
        await admin.execute(
            "INSERT INTO moorage.agent (uid, tenant_uid, wallet_id, namespace, name, size, state, has_storage)"
            " VALUES ($1, $2, $3, 'mn-acme', $4, 'small', $5, true)",
            *(agents[name], tenant, wallet, name, state),
        )
    return tenant, agents["bot"]


async def proof_of(url: str) -> Database:
    """With the rights of whoever checks the books."""
    return await Database.connect(url, size_max=2, role=VERIFY_ROLE)
