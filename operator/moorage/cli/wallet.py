"""`moorage wallet`: grant credit, and look at what wallets have and did."""

import dataclasses
import uuid

import click

from moorage.cli import terminal
from moorage.model import clock, money
from moorage.model.errors import Permanent
from moorage.model.ledger import EntryView, Granted, WalletView
from moorage.model.wallet import Standing
from moorage.store.database import READ_ROLE
from moorage.store.ledger import Ledger


@click.group()
def wallet() -> None:
    """Grant credit, and look at what wallets have and did."""


# Without this, `grant acme -5` would complain about an option named -5.
@wallet.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("amount")
@click.option("--reason", default="granted by hand", show_default=True, help="Why; kept in the wallet's history.")
@click.option("--key", help="Repeating a grant with the same key books it once. Without it, every call is a new grant.")
@terminal.as_json
def grant(name: str, amount: str, reason: str, key: str | None, as_json: bool) -> None:
    """Book AMOUNT credits, such as 12.5, to the wallet NAME."""
    try:
        amount_micros = money.parse_credits(amount)
    except ValueError as error:
        raise click.UsageError(f"{amount} is not an amount: {error}.") from error
    if amount_micros == 0:
        raise click.UsageError("A grant of nothing is not a grant; name an amount above 0.")
    if key is not None and not 1 <= len(key) <= 200:
        raise click.UsageError("A key has between 1 and 200 characters.")
    key = key or str(uuid.uuid4())
    actor = terminal.actor()

    async def call(ledger: Ledger) -> Granted:
        try:
            return await ledger.grant(
                wallet_name=name, amount_micros=amount_micros, key=key, reason=reason, actor=actor
            )
        except Permanent as error:
            raise terminal.unknown_wallet(name) from error

    granted = terminal.with_ledger(call)
    if as_json:
        terminal.print_json({"wallet": name, "key": key, "amount_micros": amount_micros, **dataclasses.asdict(granted)})
        return
    if granted.repeated:
        click.echo(f"This grant was booked before; nothing was booked now (key {key}).")
    else:
        click.echo(f"Booked {money.format_micros(amount_micros)} credits to {name} (key {key}).")
    click.echo(f"Balance: {money.format_micros(granted.balance_micros)} credits, {granted.standing}.")
    if granted.resumed:
        click.echo(f"Agents that resume: {granted.resumed}.")
    if granted.missing_micros:
        click.echo(f"Still missing before agents resume: {money.format_micros(granted.missing_micros)} credits.")


@wallet.command()
@click.argument("name")
@terminal.as_json
def show(name: str, as_json: bool) -> None:
    """Show balance, burn, time to zero and standing of the wallet NAME."""
    view = terminal.with_ledger(lambda ledger: _view(ledger, name), role=READ_ROLE)
    if as_json:
        terminal.print_json(dataclasses.asdict(view))
        return
    click.echo(f"Wallet        {view.name}")
    click.echo(f"Standing      {view.standing}")
    click.echo(f"Balance       {money.format_micros(view.live_balance_micros)} credits")
    click.echo(f"Burn          {money.format_price_per_hour(view.burn_picos)} credits per hour")
    click.echo(f"Time to zero  {_time_to_zero(view)}")
    if view.limit_reached:
        click.echo("Spend limit   used up until midnight UTC")
    if view.missing_micros:
        click.echo(f"Missing       {money.format_micros(view.missing_micros)} credits before agents resume")


@wallet.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many entries.")
@click.option("--before", type=click.IntRange(1), help="Only entries with a smaller number.")
@terminal.as_json
def history(name: str, limit: int, before: int | None, as_json: bool) -> None:
    """Show the movements of the wallet NAME, newest first."""

    async def call(ledger: Ledger) -> list[EntryView]:
        await _view(ledger, name)
        return await ledger.history(name, limit, before)

    entries = terminal.with_ledger(call, role=READ_ROLE)
    if as_json:
        terminal.print_json([dataclasses.asdict(entry) for entry in entries])
        return
    click.echo(f"{'#':>6}  {'when':20}  {'what':10}  {'credits':>16}  {'balance':>16}  why")
    for entry in entries:
        why = " · ".join(part for part in (entry.reason, entry.actor) if part)
        amount, balance = money.format_micros(entry.amount_micros), money.format_micros(entry.balance_after_micros)
        when = clock.rfc3339(entry.effective_at)
        click.echo(f"{entry.seq:>6}  {when:20}  {entry.kind:10}  {amount:>16}  {balance:>16}  {why}".rstrip())


@wallet.command(name="list")
@terminal.as_json
def list_wallets(as_json: bool) -> None:
    """List all wallets."""
    names = terminal.with_ledger(lambda ledger: ledger.wallet_names(), role=READ_ROLE)
    if as_json:
        terminal.print_json(names)
        return
    click.echo("\n".join(names) if names else "There is no wallet yet; `kubectl apply` a Wallet makes one.")


async def _view(ledger: Ledger, name: str) -> WalletView:
    view = await ledger.wallet(name)
    if view is None:
        raise terminal.unknown_wallet(name)
    return view


def _time_to_zero(view: WalletView) -> str:
    if view.standing is Standing.EXHAUSTED:
        return "it is at zero"
    if view.zero_at is None or view.runway_seconds is None:
        return "nothing burns"
    return f"{terminal.duration(view.runway_seconds)} ({clock.rfc3339(view.zero_at)})"
