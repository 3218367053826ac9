"""Leases and holds: how a gateway sets credit aside and reports what it spent, and how the operator sweeps the rest.

A gateway calls with the role `moorage_gateway`, which may call these functions and read no table.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from moorage.model.errors import LostLeadership, Permanent
from moorage.model.names import AgentUid, WalletId
from moorage.model.reasons import Reason
from moorage.model.spending import FinishedRequest, Lease, Reservation
from moorage.model.wallet import Standing
from moorage.store.database import Database
from moorage.store.ledger import UNKNOWN_WALLET, LedgerRefusal

GATEWAY_ROLE = "moorage_gateway"
GATEWAY_REPLACED = "MO030"
UNKNOWN_RESERVATION = "MO031"
RESERVATION_TAKEN = "MO032"
OUT_OF_BOUNDS = "MO033"
REQUESTS_PER_FLUSH_MAX = 1000
SWEEP_MAX = 500


class Leases:
    """One life of one gateway. Every method is repeatable: ids are made by the caller before it asks."""

    def __init__(self, database: Database, *, gateway: str, epoch: int) -> None:
        self._database = database
        self._gateway = gateway
        self._epoch = epoch

    @classmethod
    async def register(cls, database: Database, gateway: str) -> "Leases":
        """Begin a new life of this gateway; calls of an earlier one raise LostLeadership from now on."""
        row = await _call(database, "SELECT money.register_gateway($1) AS epoch", gateway)
        return cls(database, gateway=gateway, epoch=row["epoch"])

    async def open(self, lease_id: str, wallet: WalletId, *, want_micros: int, at_least_micros: int) -> Lease:
        """Set aside as much of `want_micros` as the wallet can spare; Refused when that is below `at_least_micros`."""
        sql = "SELECT * FROM money.lease_open($1, $2, $3, $4, $5, $6)"
        return _lease(lease_id, await self._call(sql, lease_id, wallet, want_micros, at_least_micros))

    async def resize(self, lease_id: str, *, target_micros: int) -> Lease:
        """Let a lease grow as far as the wallet can spare, or shrink to what is spent; renews it in any case."""
        return _lease(
            lease_id, await self._call("SELECT * FROM money.lease_resize($1, $2, $3, $4)", lease_id, target_micros)
        )

    async def close(self, lease_id: str) -> None:
        """Give back what is left of a lease."""
        await self._call("SELECT money.lease_close($1, $2, $3)", lease_id)

    async def flush(self, requests: Sequence[FinishedRequest]) -> list[Lease]:
        """Report at most REQUESTS_PER_FLUSH_MAX finished requests in one transaction; each is charged once.

        Answers the leases they belong to. Raises LedgerRefusal, with nothing recorded, when one of them cannot be.
        """
        rows = await self._rows("SELECT * FROM money.lease_flush($1, $2, $3)", [_row(request) for request in requests])
        return [_lease(str(row["lease_id"]), row) for row in rows]

    async def asked_back(self) -> list[str]:
        """The open leases whose wallet is about to stop or has stopped."""
        rows = await self._rows("SELECT money.leases_asked_back($1, $2)::text AS id")
        return [row["id"] for row in rows]

    async def still_open(self) -> list[str]:
        """The open leases of this gateway, also those of its earlier lives."""
        return [row["id"] for row in await self._rows("SELECT money.open_leases($1, $2)::text AS id")]

    async def hold(self, request_id: str, wallet: WalletId, agent: AgentUid, *, amount_micros: int) -> Reservation:
        """Set aside the worst case of one request; Open or Refused."""
        sql = "SELECT * FROM money.hold_open($1, $2, $3, $4, $5, $6)"
        return Reservation((await self._call(sql, request_id, wallet, agent, amount_micros))["state"])

    async def settle_hold(self, request: FinishedRequest) -> None:
        """Charge a request out of its hold and release the rest."""
        await self._call("SELECT * FROM money.hold_settle($1, $2, $3)", _row(request))

    async def void_hold(self, request_id: str) -> None:
        """Release the hold of a request that never reached its provider."""
        await self._call("SELECT money.hold_void($1, $2, $3)", request_id)

    async def _call(self, sql: str, *args: object) -> Any:  # Any: asyncpg.Record has no types
        return await _call(self._database, sql, self._gateway, self._epoch, *args)

    async def _rows(self, sql: str, *args: object) -> list[Any]:  # see above
        try:
            return await self._database.rows(sql, self._gateway, self._epoch, *args)
        except asyncpg.PostgresError as error:
            raise _refusal(error) from error


class Reservations:
    """The operator's side: what gateways left behind is swept, and the days of usage are prepared."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expire(self, *, epoch: int) -> int:
        """End leases and holds that were not heard of in time; returns how many."""
        expired = 0
        for sql in ("SELECT money.expire_leases($1, $2) AS n", "SELECT money.expire_holds($1, $2) AS n"):
            while True:
                found = (await _call(self._database, sql, epoch, SWEEP_MAX))["n"]
                expired += found
                if found < SWEEP_MAX:
                    break
        return expired

    async def prepare_usage_days(self, *, epoch: int, ahead: int) -> int:
        """Make the partitions of usage for today and `ahead` days more; returns how many were made."""
        row = await _call(self._database, "SELECT money.prepare_usage_days($1, $2) AS made", epoch, ahead)
        return int(row["made"])


async def _call(database: Database, sql: str, *args: object) -> Any:  # Any: asyncpg.Record has no types
    try:
        return await database.row(sql, *args)
    except asyncpg.PostgresError as error:
        raise _refusal(error) from error


def _refusal(error: asyncpg.PostgresError) -> Exception:
    """What the ledger's codes mean; anything else is a bug and stays what it is."""
    if error.sqlstate == GATEWAY_REPLACED:
        return LostLeadership("a newer process of this gateway runs")
    if error.sqlstate == UNKNOWN_WALLET:
        return Permanent(Reason.WALLET_NOT_FOUND, str(error))
    if error.sqlstate in (UNKNOWN_RESERVATION, RESERVATION_TAKEN, OUT_OF_BOUNDS):
        return LedgerRefusal(str(error))
    if isinstance(error, asyncpg.DataError | asyncpg.CheckViolationError | asyncpg.NotNullViolationError):
        return LedgerRefusal("a request has a number that is out of bounds")
    return error  # type: ignore[no-any-return]  # asyncpg has no types


def _row(request: FinishedRequest) -> tuple[object, ...]:
    """The request as the composite type `money.request`."""
    price, tokens = request.price, request.tokens
    return (
        request.id,
        request.lease_id,
        request.agent_uid,
        price.model,
        tokens.input,
        tokens.cached,
        tokens.output,
        price.input_picos,
        price.cached_picos,
        price.output_picos,
    )


def _lease(lease_id: str, row: Any) -> Lease:  # Any: asyncpg.Record has no types
    return Lease(
        id=lease_id,
        granted_micros=row["granted_micros"],
        spent_picos=row["spent_picos"],
        state=Reservation(row["state"]),
        standing=Standing(row["standing"]),
        spare_micros=row.get("spare_micros", 0),
        asked_back=row.get("asked_back", False),
    )
