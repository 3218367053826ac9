"""Payments in the ledger: the inbox of events, the payments they are about, and what waits for a person."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import asyncpg

from moorage.model import clock
from moorage.model.payments import (
    Applied,
    Backlog,
    Outcome,
    PaymentView,
    Posting,
    Source,
    SuspenseView,
    Taken,
    Trouble,
)
from moorage.store import refusals
from moorage.store.database import Database
from moorage.store.ledger import LedgerRefusal

_PAYMENTS = """
SELECT p.source, p.obj_id, w.name AS wallet, p.payer, p.currency, p.ext_amount, p.granted_micros, p.reversed_micros,
       p.disputed_micros, p.state, s.reason AS trouble, p.changed_at
FROM money.payment p
LEFT JOIN money.wallet w ON w.id = p.wallet_id
LEFT JOIN money.suspense s ON s.source = p.source AND s.obj_id = p.obj_id AND s.resolved_at IS NULL
WHERE ($1::text IS NULL OR w.name = $1) AND ($2::text IS NULL OR p.obj_id = $2)
ORDER BY p.changed_at DESC, p.obj_id LIMIT $3
"""
_SUSPENSE = """
SELECT source, obj_id, reason, opened_at, deadline, deadline < money.now_s() AS overdue
FROM money.suspense WHERE resolved_at IS NULL ORDER BY deadline, id
"""
_BACKLOG = """
SELECT count(*) AS waiting, count(*) FILTER (WHERE deadline < money.now_s()) AS overdue,
       (SELECT coalesce(greatest(0, money.now_s() - min(i.received_at)), 0) FROM money.inbox i WHERE i.done_at IS NULL)
           AS oldest_event_seconds
FROM money.suspense WHERE resolved_at IS NULL
"""


class Payments:
    """Every method is repeatable: what is booked already is not booked again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep_event(self, *, source: Source, ext_id: str, obj_id: str, payload: bytes) -> bool:
        """Keep an event before a provider is answered; False when it was kept before.

        `payload` is JSON whose signature was verified. Raises LedgerRefusal when it is no JSON, or when an id has not
        between 1 and 160 characters.
        """
        sql = "SELECT money.keep_event($1, $2, $3, $4::jsonb) AS kept"
        try:
            # Postgres cannot store the character 0; nothing in a payload is believed, so nothing is lost without it.
            text = payload.decode().replace("\\u0000", "")
            row = await refusals.call(self._database, sql, source.value, ext_id, obj_id, text)
        except (ValueError, asyncpg.DataError, asyncpg.CheckViolationError) as error:
            raise LedgerRefusal("this is no event") from error
        return bool(row["kept"])

    async def take(self, sources: Sequence[Source], *, objects_max: int) -> list[Taken]:
        """Take objects that have news for a minute; whoever dies meanwhile gives them back."""
        sql = "SELECT * FROM money.take_events($1, $2)"
        rows = await self._database.rows(sql, [source.value for source in sources], objects_max)
        return [
            Taken(
                source=Source(row["source"]),
                obj_id=row["obj_id"],
                events=tuple(row["events"]),
                attempts=row["attempts"],
                version=row["version"],
            )
            for row in rows
        ]

    async def put_back(self, taken: Taken, *, code: str) -> None:
        """The object could not be read; `code` is a word of ours."""
        sql = "SELECT money.put_back($1, $2, $3, $4)"
        await refusals.call(self._database, sql, taken.source.value, taken.obj_id, list(taken.events), code)

    async def apply(self, posting: Posting, *, version: int, events: Sequence[str] = ()) -> Applied:
        """Book what a payment should be and is not yet, and end the events that led to it."""
        snapshot = json.dumps({**dataclasses.asdict(posting), "version": version})
        row = await refusals.call(
            self._database, "SELECT * FROM money.apply_object($1::jsonb, $2)", snapshot, list(events)
        )
        return _applied(row)

    async def suspend(self, taken: Taken, trouble: Trouble) -> None:
        """Keep an object that cannot be used for a person, and end its events."""
        sql = "SELECT money.suspend_object($1, $2, $3, $4)"
        await refusals.call(self._database, sql, taken.source.value, taken.obj_id, trouble.value, list(taken.events))

    async def assign(self, *, source: Source, obj_id: str, wallet_name: str, actor: str) -> Applied:
        """A person says whose payment it is; it is booked at once."""
        sql = "SELECT * FROM money.assign_payment($1, $2, $3, $4)"
        return _applied(await refusals.call(self._database, sql, source.value, obj_id, wallet_name, actor))

    async def dismiss(self, *, source: Source, obj_id: str, note: str, actor: str) -> None:
        """A person says that nothing is to be booked."""
        await refusals.call(
            self._database, "SELECT money.dismiss_payment($1, $2, $3, $4)", source.value, obj_id, note, actor
        )

    async def link_payer(self, *, source: Source, payer: str, wallet_name: str, actor: str) -> None:
        """What this payer pays from now on is this wallet's."""
        await refusals.call(
            self._database, "SELECT money.link_payer($1, $2, $3, $4)", source.value, payer, wallet_name, actor
        )

    async def payments(
        self, *, wallet: str | None = None, obj_id: str | None = None, limit: int = 50
    ) -> list[PaymentView]:
        """Payments, the last changed first."""
        rows = await self._database.rows(_PAYMENTS, wallet, obj_id, limit)
        return [
            PaymentView(
                **{
                    **row,
                    "source": Source(row["source"]),
                    "ext_amount": int(row["ext_amount"]),
                    "trouble": row["trouble"] and Trouble(row["trouble"]),
                    "changed_at": clock.from_epoch(row["changed_at"]),
                }
            )
            for row in rows
        ]

    async def backlog(self) -> Backlog:
        """How much waits, for a person or for a look."""
        return Backlog(**(await self._database.rows(_BACKLOG))[0])

    async def suspense(self) -> list[SuspenseView]:
        """What waits for a person, the most urgent first."""
        return [
            SuspenseView(
                source=Source(row["source"]),
                obj_id=row["obj_id"],
                trouble=Trouble(row["reason"]),
                opened_at=clock.from_epoch(row["opened_at"]),
                deadline=clock.from_epoch(row["deadline"]),
                overdue=row["overdue"],
            )
            for row in await self._database.rows(_SUSPENSE)
        ]


def _applied(row: Any) -> Applied:
    return Applied(
        outcome=Outcome(row["outcome"]),
        reason=None if row["reason"] is None else Trouble(row["reason"]),
        wallet_id=row["wallet_id"],
        resumed=row["resumed"],
    )
