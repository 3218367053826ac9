"""`moorage wallet correct|approve|give|hold|unhold|close|merge`: what people do to wallets by hand."""

import dataclasses
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import click

from moorage.cli import terminal
from moorage.model import clock, money
from moorage.model.errors import Permanent
from moorage.model.payments import GrantKind
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from moorage.store.wallets import Wallets

T = TypeVar("T")

_name = click.argument("name")
_reason = click.option("--reason", required=True, help="Why; kept beside the change.")


# Without this, `correct acme -5` would complain about an option named -5.
@click.command(context_settings={"ignore_unknown_options": True})
@_name
@click.argument("amount")
@_reason
@click.option("--key", help="Repeating a request with the same key asks once. Without it, every call asks anew.")
@terminal.as_json
def correct(name: str, amount: str, reason: str, key: str | None, as_json: bool) -> None:
    """Ask for AMOUNT credits, which may be negative, on the wallet NAME; a second person has to approve it."""
    amount_micros = _amount(amount.removeprefix("-")) * (-1 if amount.startswith("-") else 1)
    asked = _with(
        name,
        lambda database: Wallets(database).request_correction(
            wallet_name=name,
            amount_micros=amount_micros,
            key=key or str(uuid.uuid4()),
            reason=reason,
            actor=terminal.actor(),
        ),
    )
    if as_json:
        terminal.print_json(dataclasses.asdict(asked))
        return
    click.echo(f"Waits for a second person: moorage wallet approve {asked.correction_id}")


@click.command()
@click.argument("correction", type=int, required=False)
@terminal.as_json
def approve(correction: int | None, as_json: bool) -> None:
    """Agree to the CORRECTION of somebody else, which books it. Without a number: list what waits."""
    if correction is None:
        _list_corrections(as_json)
        return
    done = _with("", lambda database: Wallets(database).approve_correction(correction, actor=terminal.actor()))
    if as_json:
        terminal.print_json(dataclasses.asdict(done))
        return
    booked = "was booked before" if done.repeated else "is booked"
    click.echo(f"The correction of {money.format_micros(done.amount_micros)} credits on {done.wallet_name} {booked}.")
    click.echo(f"Balance: {money.format_micros(done.balance_micros)} credits, {done.standing}.")


@click.command()
@_name
@click.argument("amount")
@click.option("--campaign", required=True, help="Given once per campaign and wallet; for a plan: the plan and period.")
@click.option("--expires", required=True, type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), help="When it is over, in UTC.")
@click.option("--plan", is_flag=True, help="This is the credit of a plan, not a promotion.")
@click.option("--reason", default="given by hand", show_default=True, help="Why; kept in the wallet's history.")
@terminal.as_json
def give(name: str, amount: str, campaign: str, expires: datetime, plan: bool, reason: str, as_json: bool) -> None:
    """Give the wallet NAME credit that is used up before bought credit, and that expires."""
    given = _with(
        name,
        lambda database: Wallets(database).give_credit(
            wallet_name=name,
            kind=GrantKind.PLAN if plan else GrantKind.PROMO,
            campaign=campaign,
            amount_micros=_amount(amount),
            expires_s=int(expires.replace(tzinfo=UTC).timestamp()),
            reason=reason,
            actor=terminal.actor(),
        ),
    )
    if as_json:
        terminal.print_json(dataclasses.asdict(given))
        return
    click.echo("This was given before; nothing was booked now." if given.repeated else f"Given to {name}.")
    click.echo(f"Balance: {money.format_micros(given.balance_micros)} credits, {given.standing}.")


@click.command()
@_name
@click.option("--ref", required=True, help="What it is about; `unhold` with the same words ends it.")
@terminal.as_json
def hold(name: str, ref: str, as_json: bool) -> None:
    """Stop the wallet NAME: its agents are suspended, nothing is charged, until `moorage wallet unhold`."""

    async def call(database: Database) -> bool:
        ledger = Ledger(database)
        wallet = await ledger.wallet(name)
        if wallet is None:
            raise terminal.unknown_wallet(name)
        return await ledger.place_hold(wallet.id, cause="Manual", ref=ref, actor=terminal.actor())

    placed = _with(name, call)
    if as_json:
        terminal.print_json({"wallet": name, "placed": placed})
        return
    click.echo(f"{name} is on hold." if placed else f"{name} is on hold for this already.")


@click.command()
@_name
@click.option("--ref", required=True, help="The words of the reason that is over; `unhold` without success lists all.")
@click.option("--cause", type=click.Choice(["Manual", "Dispute", "Verification"]), default="Manual", show_default=True)
@terminal.as_json
def unhold(name: str, ref: str, cause: str, as_json: bool) -> None:
    """End one reason why the wallet NAME is on hold; its agents come back when no other is left."""

    async def call(database: Database) -> list[str]:
        ledger = Ledger(database)
        wallet = await ledger.wallet(name)
        if wallet is None:
            raise terminal.unknown_wallet(name)
        lifted = await ledger.lift_hold(wallet.id, cause=cause, ref=ref, actor=terminal.actor())
        others = [f"{one.cause} {one.ref}" for one in await Wallets(database).holds(name)]
        if not lifted:
            reasons = f"it is held for: {', '.join(others)}" if others else "it is not on hold"
            raise click.ClickException(f"{name} is not on hold for {cause} {ref}; {reasons}.")
        return others

    others = _with(name, call)
    if as_json:
        terminal.print_json({"wallet": name, "lifted": True, "still_held_for": others})
        return
    click.echo(f"{name} is still on hold for: {', '.join(others)}." if others else f"{name} is not on hold any more.")


@click.command()
@_name
@_reason
@terminal.as_json
def close(name: str, reason: str, as_json: bool) -> None:
    """End the wallet NAME, which must be empty and unused; its history stays.

    Delete its Wallet object first: while that exists, a new wallet of this name is opened.
    """
    _with(name, lambda database: Wallets(database).close(name, reason=reason, actor=terminal.actor()))
    if as_json:
        terminal.print_json({"wallet": name, "closed": True})
        return
    click.echo(f"{name} is closed.")


@click.command()
@_name
@click.argument("into")
@_reason
@terminal.as_json
def merge(name: str, into: str, reason: str, as_json: bool) -> None:
    """Move all that the wallet NAME has and pays for to the wallet INTO, and close it. Its agents must not run."""
    merged = _with(
        f"{name} or {into}",
        lambda database: Wallets(database).merge(name, into, reason=reason, actor=terminal.actor()),
    )
    if as_json:
        terminal.print_json(dataclasses.asdict(merged))
        return
    click.echo(f"{money.format_micros(merged.moved_micros)} credits of {name} are {into}'s; {name} is closed.")
    click.echo(f"Balance: {money.format_micros(merged.balance_micros)} credits.")


COMMANDS = (correct, approve, give, hold, unhold, close, merge)


def _list_corrections(as_json: bool) -> None:
    waiting = _with("", lambda database: Wallets(database).corrections_waiting())
    if as_json:
        terminal.print_json([dataclasses.asdict(one) for one in waiting])
        return
    for one in waiting:
        asked = f"{one.requested_by} at {clock.rfc3339(one.requested_at)}"
        click.echo(f"{one.id}  {one.wallet}  {money.format_micros(one.amount_micros)} credits  {one.reason} ({asked})")
    if not waiting:
        click.echo("Nothing waits.")


def _amount(text: str) -> int:
    try:
        return money.parse_credits(text)
    except ValueError as error:
        raise click.UsageError(f"{text} is not an amount: {error}.") from error


def _with(name: str, call: Callable[[Database], Awaitable[T]]) -> T:
    async def work(database: Database) -> T:
        try:
            return await call(database)
        except Permanent as error:
            raise terminal.unknown_wallet(name) from error

    return terminal.with_database(work)
