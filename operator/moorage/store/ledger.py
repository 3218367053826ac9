"""The ledger: wallets, runs and their settlement, each a call of one SQL function that is one transaction."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from moorage.model import clock
from moorage.model.errors import MoorageError, Permanent
from moorage.model.ledger import EntryView, Granted, OpenRun, Settled, WalletView
from moorage.model.names import AgentUid, PodUid, WalletId
from moorage.model.reasons import Reason
from moorage.model.wallet import Standing
from moorage.store.database import Database
from moorage.store.together import together

UNKNOWN_WALLET = "MO002"
AMOUNT_REFUSED = "MO003"
KEY_TAKEN = "MO004"
UNKNOWN_RATE = "MO005"
BUDGET_REFUSED = "MO020"
RATE_REFUSED = ("MO010", "MO011")

WALLETS_PER_PROOF_CALL_MAX = 500
SETTLE_SESSIONS = 2

_WALLET = """
SELECT w.id, w.name, w.standing, w.balance_micros, w.held_micros,
       -- A run that waits for its node's next proof burns already; only its charge waits.
       w.burn_picos + (SELECT coalesce(sum(r.rate_picos), 0)::bigint
                       FROM money.run r LEFT JOIN money.node n ON n.name = r.node
                       WHERE r.wallet_id = w.id AND w.waiting > 0 AND r.ended IS NULL AND NOT r.in_burn
                         AND r.cut_at IS NULL AND n.silent IS NOT TRUE) AS burn_picos,
       money.accrued_balance_micros(w.id) AS live_balance_micros, money.zero_at(w.id) AS zero_s,
       money.missing_micros(w.id) AS missing_micros,
       money.low_by_runway(w.id) AS low_by_runway,
       w.reached_until IS NOT NULL AS limit_reached, money.clock() AS now_s
FROM money.wallet w WHERE w.name = $1 AND w.closed_at IS NULL
"""
_HISTORY = """
SELECT e.seq, e.kind, e.amount_micros, e.balance_after_micros, e.effective_at, e.key, e.reason, e.actor
FROM money.entry e JOIN money.wallet w ON w.id = e.wallet_id
WHERE w.name = $1 AND w.closed_at IS NULL AND e.seq < coalesce($2, 9223372036854775807)
ORDER BY e.seq DESC LIMIT $3
"""
_OPEN_RUNS = """
SELECT r.agent_uid::text, r.pod_uid::text, a.namespace, a.name, r.node
FROM money.run r JOIN moorage.agent a ON a.uid = r.agent_uid
WHERE r.ended IS NULL AND r.meter = 'Pod' ORDER BY r.id
"""
_NEXT_DUE = "SELECT (SELECT min(due_at) FROM money.timer) AS next_due_s, money.clock() AS now_s"


class LedgerRefusal(MoorageError):
    """The ledger refuses a movement; the text is a sentence for the user."""


class Ledger:
    """Every method is repeatable: its key or the state it finds decides whether anything is left to do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ensure_wallet(
        self, *, epoch: int, name: str, cr_uid: str, low_micros: int, limit_picos_per_day: int | None = None
    ) -> WalletId:
        """Open a wallet, or adopt the open one of this name and set its low mark and what it may spend in a day."""
        sql = "SELECT money.ensure_wallet($1, $2, $3, $4, $5) AS id"
        row = await self._call(sql, epoch, name, cr_uid, low_micros, limit_picos_per_day)
        return WalletId(row["id"])

    async def grant(self, *, wallet_name: str, amount_micros: int, key: str, reason: str, actor: str) -> Granted:
        """Book credit once per key; lifts the suspension for money when it suffices."""
        sql = "SELECT * FROM money.grant_credit($1, $2, $3, $4, $5)"
        row = await self._call(sql, wallet_name, amount_micros, key, reason, actor)
        return Granted(**{**row, "standing": Standing(row["standing"])})

    async def place_hold(self, wallet_id: int, *, cause: str, ref: str, actor: str) -> bool:
        """Stop a wallet for a reason, until that reason is lifted; False when it is stopped for it already."""
        row = await self._call("SELECT money.place_hold($1, $2, $3, $4) AS placed", wallet_id, cause, ref, actor)
        return bool(row["placed"])

    async def lift_hold(self, wallet_id: int, *, cause: str, ref: str, actor: str) -> bool:
        """End one reason to stop a wallet; False when there was none such."""
        row = await self._call("SELECT money.lift_hold($1, $2, $3, $4) AS lifted", wallet_id, cause, ref, actor)
        return bool(row["lifted"])

    async def publish_rate(self, *, size: str, rate_picos: int) -> None:
        """Make this the price of the size as soon as possible; nothing when the settings said so before.

        Raises LedgerRefusal when it is out of bounds or so far from the old price that it needs a second person.
        """
        await self._call("SELECT money.publish_rate($1, $2)", size, rate_picos)

    async def set_policy(
        self,
        *,
        resume_minimum_seconds: int | None = None,
        catchup_max_seconds: int | None = None,
        silent_after_seconds: int | None = None,
        low_runway_seconds: int | None = None,
    ) -> None:
        """Change what is given of the ledger's policy."""
        sql = "SELECT money.set_policy($1, $2, $3, $4)"
        await self._call(sql, resume_minimum_seconds, catchup_max_seconds, silent_after_seconds, low_runway_seconds)

    async def set_budget(self, *, epoch: int, agent_uid: str, picos_per_day: int | None) -> None:
        """Set what an agent may spend in a UTC day; None for no bound. Lifts or draws the consequence at once."""
        await self._call("SELECT money.set_budget($1, $2, $3)", epoch, agent_uid, picos_per_day)

    async def open_run(
        self, *, epoch: int, agent_uid: str, pod_uid: str, container_id: str, node: str, size: str, started_s: int
    ) -> None:
        """Start the meter of a container; once per (pod, container)."""
        sql = "SELECT money.open_run($1, $2, $3, $4, $5, $6, $7)"
        await self._call(sql, epoch, agent_uid, pod_uid, container_id, node, size, started_s)

    async def close_run(self, *, epoch: int, pod_uid: str, ended_s: int | None, reason: str) -> None:
        """Stop the meter of a pod at a proven second, or, without evidence, where its node's proof ends."""
        await self._call("SELECT money.close_run($1, $2, $3, $4)", epoch, pod_uid, ended_s, reason)

    async def prove(self, *, epoch: int, proofs: Mapping[str, int]) -> None:
        """Move nodes to the second they are proven to; runs of silent nodes leave the charge, proven ones join it."""
        await self._call("SELECT money.prove($1, $2, $3)", epoch, list(proofs), list(proofs.values()))
        while True:
            sql = "SELECT money.park_silent($1, $2) AS parked"
            row = await self._call(sql, epoch, WALLETS_PER_PROOF_CALL_MAX)
            if row["parked"] < WALLETS_PER_PROOF_CALL_MAX:
                break
        last = 0
        while last is not None:
            sql = "SELECT money.join_proven($1, $2, $3) AS last"
            last = (await self._call(sql, epoch, last, WALLETS_PER_PROOF_CALL_MAX))["last"]

    async def settle_due(self, *, epoch: int, limit: int = 500) -> Settled:
        """Settle the wallets whose moment has come, oldest first."""
        row = await self._call("SELECT * FROM money.settle_due($1, $2)", epoch, limit)
        return await self._settled(row["wallets"], row["exhausted"])

    async def settle_all(self, *, epoch: int, chunk: int = 1000) -> Settled:
        """Charge every burning wallet up to the proven second, in transactions of `chunk` wallet ids.

        A small chunk costs nothing, and a top-up waits for the one that its wallet is in.
        """
        last = await self._database.value("SELECT coalesce(max(id), 0) FROM money.wallet")
        starts = iter(range(0, last, chunk))
        sql = "SELECT * FROM money.settle_range($1, $2, $3)"

        async def work() -> tuple[int, int]:
            wallets = exhausted = 0
            for start in starts:  # shared: each session takes the next chunk
                row = await self._call(sql, epoch, start, start + chunk)
                wallets, exhausted = wallets + row["wallets"], exhausted + row["exhausted"]
            return wallets, exhausted

        sums = await together(work() for _ in range(SETTLE_SESSIONS))
        return await self._settled(sum(one[0] for one in sums), sum(one[1] for one in sums))

    async def open_runs(self) -> list[OpenRun]:
        """Every run whose meter is open."""
        rows = await self._database.rows(_OPEN_RUNS)
        return [
            OpenRun(
                agent_uid=AgentUid(row["agent_uid"]),
                pod_uid=PodUid(row["pod_uid"]),
                namespace=row["namespace"],
                name=row["name"],
                node=row["node"],
            )
            for row in rows
        ]

    async def wallet(self, name: str) -> WalletView | None:
        """One wallet as it stands now; None when there is no open wallet of this name."""
        row = await self._database.row(_WALLET, name)
        return None if row is None else _view(row)

    async def wallet_names(self) -> list[str]:
        """The names of all open wallets."""
        sql = "SELECT name FROM money.wallet WHERE closed_at IS NULL ORDER BY name"
        return [row["name"] for row in await self._database.rows(sql)]

    async def history(self, name: str, limit: int = 50, before_seq: int | None = None) -> list[EntryView]:
        """The wallet's entries, newest first."""
        rows = await self._database.rows(_HISTORY, name, before_seq, limit)
        return [EntryView(**{**row, "effective_at": clock.from_epoch(row["effective_at"])}) for row in rows]

    async def _settled(self, wallets: int, exhausted: int) -> Settled:
        row = await self._database.row(_NEXT_DUE)
        assert row is not None
        return Settled(wallets=wallets, exhausted=exhausted, next_due_s=row["next_due_s"], now_s=row["now_s"])

    async def _call(self, sql: str, *args: object) -> Any:  # Any: asyncpg.Record has no types
        try:
            return await self._database.row(sql, *args)
        except asyncpg.PostgresError as error:
            if error.sqlstate == UNKNOWN_WALLET:
                raise Permanent(Reason.WALLET_NOT_FOUND, str(error)) from error
            if error.sqlstate == UNKNOWN_RATE:
                raise Permanent(Reason.SIZE_UNKNOWN, str(error)) from error
            if error.sqlstate in (BUDGET_REFUSED, AMOUNT_REFUSED, KEY_TAKEN, *RATE_REFUSED):
                raise LedgerRefusal(str(error)) from error
            raise


def _view(row: Any) -> WalletView:  # Any: asyncpg.Record has no types
    zero_s = row["zero_s"]
    return WalletView(
        id=WalletId(row["id"]),
        name=row["name"],
        standing=Standing(row["standing"]),
        balance_micros=row["balance_micros"],
        live_balance_micros=row["live_balance_micros"],
        held_micros=row["held_micros"],
        burn_picos=row["burn_picos"],
        zero_at=None if zero_s is None else clock.from_epoch(zero_s),
        runway_seconds=None if zero_s is None else max(0, zero_s - int(row["now_s"])),
        missing_micros=row["missing_micros"],
        low_by_runway=row["low_by_runway"],
        limit_reached=row["limit_reached"],
        now=clock.from_epoch(row["now_s"]),
    )
