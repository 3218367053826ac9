"""`moorage ledger explain`, `moorage wallet export`, `moorage wallet statement`: what a wallet did, to be checked."""

import csv
import dataclasses
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import click

from moorage.cli import terminal
from moorage.model import clock, money
from moorage.model.ledger import EntryView
from moorage.model.statement import Explanation, Metered, Present
from moorage.store import statements
from moorage.store.database import READ_ROLE, Database

T = TypeVar("T")
COLUMNS = [field.name for field in dataclasses.fields(EntryView)]
DAY = click.DateTime(["%Y-%m-%d"])
MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"])

_first_day = click.option("--from", "first", type=DAY, help="The first day (UTC), such as 2026-01-31.")
_last_day = click.option("--to", "last", type=DAY, help="The last day (UTC), itself included.")


@click.command()
@click.argument("name")
@click.option("--at", type=MOMENT, help="What was booked at this moment (UTC), such as 2026-01-31T12:00:00Z.")
@terminal.as_json
def explain(name: str, at: datetime | None, as_json: bool) -> None:
    """Show how the balance of the wallet NAME came about, line by line, and what follows from it."""
    at_s = None if at is None else clock.floor_seconds(at.replace(tzinfo=UTC))
    found = terminal.with_database(lambda database: statements.explain(database, name, at_s), role=READ_ROLE)
    if found is None:
        raise terminal.unknown_wallet(name)
    if as_json:
        terminal.print_json(dataclasses.asdict(found))
        return
    for line in _explained(found):
        click.echo(line)


@click.command()
@click.argument("name")
@_first_day
@_last_day
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
def export(name: str, first: datetime | None, last: datetime | None, form: str) -> None:
    """Print the movements of the wallet NAME, oldest first: CSV, or one JSON object per line.

    Amounts are whole micro-credits (a millionth of a credit), times are RFC 3339.
    """

    async def call(database: Database, wallet: int) -> None:
        write = _csv_writer() if form == "csv" else _print_json_line
        async for entry in statements.entries(database, wallet, *_seconds(first, last)):
            write(entry)

    _with_wallet(name, call)


@click.command()
@click.argument("name")
@_first_day
@_last_day
@terminal.as_json
def statement(name: str, first: datetime | None, last: datetime | None, as_json: bool) -> None:
    """Add up what the wallet NAME was charged for, by agent: the statement lines that begin on these days."""

    async def call(database: Database, wallet: int) -> list[Metered]:
        return await statements.metered(database, wallet, *_seconds(first, last))

    lines = _with_wallet(name, call)
    if as_json:
        terminal.print_json([dataclasses.asdict(line) for line in lines])
        return
    for line in lines:
        click.echo(_metered(line))
    click.echo(f"{'total':62} {_picos(sum(line.amount_picos for line in lines))}")


def _with_wallet(name: str, call: Callable[[Database, int], Awaitable[T]]) -> T:
    async def work(database: Database) -> T:
        wallet = await statements.wallet_id(database, name)
        if wallet is None:
            raise terminal.unknown_wallet(name)
        return await call(database, wallet)

    return terminal.with_database(work, role=READ_ROLE)


def _explained(found: Explanation) -> Iterator[str]:
    yield f"Wallet {found.wallet} at {clock.rfc3339(found.at)}, in credits"
    yield ""
    yield "Booked"
    for one in found.movements:
        yield f"  {one.kind:20} {_count(one.entries, 'entry', 'entries'):39} {_micros(one.amount_micros)}"
    label = f"balance, as entry {found.last_seq} says" if found.last_seq else "balance, no entry yet"
    yield f"  {label:60} {_micros(found.balance_micros)}"
    if found.present is not None:
        yield from _followed(found.present)


def _followed(now: Present) -> Iterator[str]:
    yield ""
    yield "Usage, second by second"
    for line in now.metered:
        yield _metered(line)
    yield f"  {'charged for what still runs, on no statement line yet':60} {_picos(now.open_picos)}"
    yield f"  {'of it carried to the next entry':60} {_picos(now.carry_picos)}"
    yield ""
    yield f"Now {now.standing}"
    since = f"used since {clock.rfc3339(now.accrued_since)}, not booked yet"
    yield f"  {since:60} {_micros(-now.accrued_micros)}"
    yield f"  {'left':60} {_micros(now.live_balance_micros)}"
    if now.held_micros:
        yield f"  {'of it reserved':60} {_micros(now.held_micros)}"
    yield f"  {'burn per hour':60} {money.format_price_per_hour(now.burn_picos):>18}"
    yield f"  {'zero':60} {clock.rfc3339(now.zero_at) if now.zero_at else 'nothing burns':>20}"
    if now.missing_micros:
        yield f"  {'missing before agents resume':60} {_micros(now.missing_micros)}"


def _metered(line: Metered) -> str:
    what = f"{line.agent or 'no agent'}, {line.meter} {line.price_class}".rstrip()
    seconds = f"{line.charged_seconds} s"
    if line.absorbed_seconds:
        seconds += f" (and {line.absorbed_seconds} s for free)"
    return f"  {what:35} {seconds:24} {_picos(line.amount_picos)}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _micros(amount_micros: int) -> str:
    return f"{money.format_micros(amount_micros):>18}"


def _picos(amount_picos: int) -> str:
    return f"{money.format_picos(amount_picos):>18}"


def _seconds(first: datetime | None, last: datetime | None) -> tuple[int, int]:
    begin, end = statements.ALL_TIME_S
    if first is not None:
        begin = clock.floor_seconds(first.replace(tzinfo=UTC))
    if last is not None:
        end = clock.floor_seconds(last.replace(tzinfo=UTC) + timedelta(days=1))
    if begin >= end:
        raise click.UsageError("The last day lies before the first.")
    return begin, end


def _csv_writer() -> Callable[[EntryView], None]:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(COLUMNS)

    def write(entry: EntryView) -> None:
        cells = dataclasses.asdict(entry) | {"effective_at": clock.rfc3339(entry.effective_at)}
        rows.writerow([_harmless(cells[name]) for name in COLUMNS])

    return write


def _harmless(cell: object) -> object:
    """A text that a spreadsheet would take for a formula is marked as text."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _print_json_line(entry: EntryView) -> None:
    cells = dataclasses.asdict(entry) | {"effective_at": clock.rfc3339(entry.effective_at)}
    click.echo(json.dumps(cells))
