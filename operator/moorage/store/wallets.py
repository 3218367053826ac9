"""What people do to wallets by hand: correct, give credit, close, merge; and what follows from given credit."""

from moorage.model import clock
from moorage.model.ledger import Corrected, CorrectionView, Granted, HoldView, Merged, Requested
from moorage.model.payments import GrantKind
from moorage.model.wallet import Standing
from moorage.store import refusals
from moorage.store.database import Database

WALLETS_PER_CALL_MAX = 200
GRANTS_PER_CALL_MAX = 50

_WAITING = """
SELECT c.id, w.name AS wallet, c.amount_micros, c.reason, c.requested_by, c.requested_at
FROM money.correction c JOIN money.wallet w ON w.id = c.wallet_id WHERE c.approved_at IS NULL ORDER BY c.id
"""
_HOLDS = """
SELECT h.cause, h.ref, h.placed_at, h.actor FROM money.billing_hold h JOIN money.wallet w ON w.id = h.wallet_id
WHERE w.name = $1 AND w.closed_at IS NULL AND h.lifted_at IS NULL ORDER BY h.id
"""


class Wallets:
    """Every method is repeatable by its key, or by the state it finds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def request_correction(
        self, *, wallet_name: str, amount_micros: int, key: str, reason: str, actor: str
    ) -> Requested:
        """Ask for a change of a balance; nothing is booked before somebody else agrees."""
        sql = "SELECT * FROM money.request_correction($1, $2, $3, $4, $5)"
        return Requested(**await refusals.call(self._database, sql, wallet_name, amount_micros, key, reason, actor))

    async def approve_correction(self, correction_id: int, *, actor: str) -> Corrected:
        """Agree to what somebody else asked for, which books it; it may leave a balance below zero."""
        sql = "SELECT * FROM money.approve_correction($1, $2)"
        row = await refusals.call(self._database, sql, correction_id, actor)
        return Corrected(**{**row, "standing": Standing(row["standing"])})

    async def corrections_waiting(self) -> list[CorrectionView]:
        """Corrections that wait for a second person, oldest first."""
        rows = await self._database.rows(_WAITING)
        return [CorrectionView(**{**row, "requested_at": clock.from_epoch(row["requested_at"])}) for row in rows]

    async def holds(self, wallet_name: str) -> list[HoldView]:
        """Why a wallet is on hold, oldest reason first."""
        rows = await self._database.rows(_HOLDS, wallet_name)
        return [HoldView(**{**row, "placed_at": clock.from_epoch(row["placed_at"])}) for row in rows]

    async def give_credit(
        self,
        *,
        wallet_name: str,
        kind: GrantKind,
        campaign: str,
        amount_micros: int,
        expires_s: int,
        reason: str,
        actor: str,
    ) -> Granted:
        """Give credit that is used up first and expires, once per campaign (or plan and period) and wallet."""
        sql = "SELECT * FROM money.give_credit($1, $2, $3, $4, $5, $6, $7)"
        row = await refusals.call(
            self._database, sql, wallet_name, kind.value, campaign, amount_micros, expires_s, reason, actor
        )
        return Granted(**{**row, "standing": Standing(row["standing"])})

    async def expire_credit(self) -> int:
        """Take back what is left of given credit that is over; returns how many grants ended."""
        count: int = await self._database.value("SELECT money.expire_credit($1)", GRANTS_PER_CALL_MAX)
        return count

    async def record_consumption(self) -> None:
        """Write down which credit paid for what was spent, for every wallet that has spent."""
        after: int | None = 0
        while after is not None:
            after = await self._database.value("SELECT money.record_consumption($1, $2)", after, WALLETS_PER_CALL_MAX)

    async def close(self, wallet_name: str, *, reason: str, actor: str) -> None:
        """End a wallet that is empty and unused; its history stays."""
        await refusals.call(self._database, "SELECT money.close_wallet($1, $2, $3)", wallet_name, reason, actor)

    async def merge(self, from_name: str, into_name: str, *, reason: str, actor: str) -> Merged:
        """Make two wallets one; payments of the first find the second from then on."""
        sql = "SELECT * FROM money.merge_wallets($1, $2, $3, $4)"
        return Merged(**await refusals.call(self._database, sql, from_name, into_name, reason, actor))
