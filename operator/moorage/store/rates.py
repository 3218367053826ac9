"""Prices: the versions that are published, and the proposals that wait for a second person."""

from typing import Any

import asyncpg

from moorage.model import clock
from moorage.model.rates import Meter, ProposalView, Proposed, RateView
from moorage.store.database import Database
from moorage.store.ledger import LedgerRefusal

RATE_REFUSED = "MO010"
PROPOSAL_REFUSED = "MO012"

_RATES = """
SELECT r.meter, r.class, r.rate_picos, r.valid_from,
       r.valid_from <= money.now_s() AND NOT EXISTS (
           SELECT 1 FROM money.rate n WHERE n.meter = r.meter AND n.class = r.class
           AND n.valid_from > r.valid_from AND n.valid_from <= money.now_s()) AS in_force
FROM money.rate r ORDER BY r.meter, r.class, r.valid_from
"""
_WAITING = """
SELECT p.id, p.meter, p.class, p.rate_picos, p.valid_from, p.actor FROM money.rate_proposal p
WHERE NOT EXISTS (SELECT 1 FROM money.rate r LEFT JOIN money.rate_proposal later ON later.id = r.proposal_id
                  WHERE r.meter = p.meter AND r.class = p.class AND later.id >= p.id)
ORDER BY p.id
"""


class Rates:
    """The price list; what is published is never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[RateView]:
        """Every version of every price, by meter and class, oldest first."""
        return [RateView(**_priced(row), in_force=row["in_force"]) for row in await self._database.rows(_RATES)]

    async def waiting(self) -> list[ProposalView]:
        """The proposals that wait for a second person, oldest first; what was overtaken does not wait any more."""
        rows = await self._database.rows(_WAITING)
        return [ProposalView(**_priced(row), id=row["id"], actor=row["actor"]) for row in rows]

    async def propose(
        self, *, meter: Meter, class_: str, rate_picos: int, valid_from_s: int | None, actor: str, reason: str
    ) -> Proposed:
        """Ask for a price from a second on (None: as soon as possible); a small change is published at once.

        Raises LedgerRefusal when the price is none or the second lies in the past.
        """
        sql = "SELECT * FROM money.propose_rate($1, $2, $3, $4, $5, $6)"
        row = await self._call(sql, meter.value, class_, rate_picos, valid_from_s, actor, reason)
        return Proposed(
            proposal_id=row["proposal_id"], rate_id=row["rate_id"], valid_from=clock.from_epoch(row["valid_from"])
        )

    async def approve(self, *, proposal_id: int, actor: str, reason: str) -> Proposed:
        """Agree to a proposal as another person than its proposer; raises LedgerRefusal otherwise."""
        row = await self._call("SELECT * FROM money.approve_rate($1, $2, $3)", proposal_id, actor, reason)
        return Proposed(proposal_id=proposal_id, rate_id=row["rate_id"], valid_from=clock.from_epoch(row["valid_from"]))

    async def _call(self, sql: str, *args: object) -> Any:  # Any: asyncpg.Record has no types
        try:
            return await self._database.row(sql, *args)
        except asyncpg.PostgresError as error:
            if error.sqlstate in (RATE_REFUSED, PROPOSAL_REFUSED):
                raise LedgerRefusal(str(error)) from error
            raise


def _priced(row: Any) -> dict[str, Any]:  # Any: asyncpg.Record has no types
    return {
        "meter": Meter(row["meter"]),
        "class_": row["class"],
        "rate_picos": row["rate_picos"],
        "valid_from": clock.from_epoch(row["valid_from"]),
    }
