"""How many there are of everything: sums over all tenants, for the metrics."""

from dataclasses import dataclass
from typing import Any

from moorage.model.reasons import Reason
from moorage.model.record import AgentState
from moorage.model.wallet import Standing
from moorage.store.database import Database

_AGENTS = """
SELECT state, coalesce(veto, CASE WHEN user_paused THEN $1 END) AS held_by, count(*) AS agents,
       max(money.clock() - extract(epoch FROM state_since))::float8 AS oldest_seconds
FROM moorage.agent WHERE state <> 'Deleted' GROUP BY 1, 2
"""
_WALLETS = "SELECT standing, count(*) AS wallets FROM money.wallet WHERE closed_at IS NULL GROUP BY standing"
_REST = """
SELECT (SELECT count(*) FROM moorage.tenant WHERE removed_at IS NULL) AS tenants,
       s.snapshots, s.bytes,
       (SELECT greatest(0, money.clock() - min(due_at))::float8 FROM money.timer) AS settle_overdue_seconds,
       (SELECT greatest(0, money.clock() - extract(epoch FROM min(next_snapshot_at)))::float8
        FROM moorage.agent WHERE state = 'Running') AS snapshot_overdue_seconds,
       (SELECT count(*) FROM money.node n WHERE n.silent AND EXISTS (
            SELECT 1 FROM money.run r WHERE r.node = n.name AND r.ended IS NULL)) AS silent_nodes
FROM (SELECT count(*) AS snapshots, coalesce(sum(object_bytes), 0)::bigint AS bytes
      FROM moorage.snapshot WHERE purged_at IS NULL) s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Agents that are alike."""

    state: AgentState
    held_by: Reason | None  # what keeps them down; None: nothing does
    agents: int
    oldest_seconds: float  # since the first of them came into this state


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The house at one moment."""

    crowds: tuple[Crowd, ...]
    wallets: dict[Standing, int]
    tenants: int
    snapshots: int  # verified and not purged
    snapshot_bytes: int  # of their encrypted objects
    settle_overdue_seconds: float  # since the wallet that waits longest should have been settled
    snapshot_overdue_seconds: float  # the same of snapshots by schedule
    silent_nodes: int  # that have runs and are not heard


class Overviews:
    """Reads only; agents whose end is settled count nowhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def now(self) -> Overview:
        """The present sums."""
        crowds = await self._database.rows(_AGENTS, Reason.USER_REQUESTED.value)
        wallets = await self._database.rows(_WALLETS)
        rest = await self._database.row(_REST)
        assert rest is not None
        return Overview(
            crowds=tuple(_crowd(row) for row in crowds),
            wallets={Standing(row["standing"]): row["wallets"] for row in wallets},
            tenants=rest["tenants"],
            snapshots=rest["snapshots"],
            snapshot_bytes=rest["bytes"],
            settle_overdue_seconds=rest["settle_overdue_seconds"] or 0.0,
            snapshot_overdue_seconds=rest["snapshot_overdue_seconds"] or 0.0,
            silent_nodes=rest["silent_nodes"],
        )


def _crowd(row: Any) -> Crowd:  # Any: asyncpg.Record has no types
    return Crowd(
        state=AgentState(row["state"]),
        held_by=None if row["held_by"] is None else Reason(row["held_by"]),
        agents=row["agents"],
        oldest_seconds=max(0.0, row["oldest_seconds"]),
    )
