"""`moorage payment`: what came in from outside, and what waits for a person to decide."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from moorage.cli import terminal
from moorage.model import clock, money
from moorage.model.errors import Permanent
from moorage.model.payments import PaymentView, Source, Trouble
from moorage.store.payments import Payments

T = TypeVar("T")

# What a person can do about a payment that waits.
ADVICE = {
    Trouble.UNKNOWN_WALLET: "find out whose it is, then `moorage payment assign`",
    Trouble.WALLET_CLOSED: "assign it to another wallet, or pay it back and `moorage payment dismiss`",
    Trouble.UNKNOWN_CURRENCY: "price the currency, or pay it back and `moorage payment dismiss`",
    Trouble.UNKNOWN_PRODUCT: "list the product, or pay it back and `moorage payment dismiss`",
    Trouble.AMOUNT_REFUSED: "look at it at the provider; nothing of it is credit",
    Trouble.AMOUNT_OVERFLOW: "the wallet cannot hold so much; pay it back, then `moorage payment dismiss`",
    Trouble.REFUND_ABOVE_PAYMENT: "more was taken back than was paid; look at it at the provider",
    Trouble.PAYMENT_CHANGED: "a booked payment has become another one; look at it at the provider",
    Trouble.MALFORMED_PAYLOAD: "the provider's answer could not be understood; look at it there",
    Trouble.UNREADABLE: "the provider does not show it; it is tried again by itself",
}
_source = click.argument("source", type=click.Choice([source.value for source in Source], case_sensitive=False))
_object = click.argument("payment_id", metavar="ID")


@click.group()
def payment() -> None:
    """Look at payments from outside, and decide what the ledger cannot."""


@payment.command(name="list")
@click.option("--wallet", help="Only payments of this wallet.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@terminal.as_json
def list_payments(wallet: str | None, limit: int, as_json: bool) -> None:
    """List payments, the last changed first."""
    found = _with_payments(lambda payments: payments.payments(wallet=wallet, limit=limit))
    if as_json:
        terminal.print_json([dataclasses.asdict(one) for one in found])
        return
    click.echo(f"{'source':8}  {'id':30}  {'wallet':20}  {'state':14}  {'credits':>14}  changed")
    for one in found:
        kept = money.format_micros(one.granted_micros - one.reversed_micros - one.disputed_micros)
        state, changed = _state(one), clock.rfc3339(one.changed_at)
        click.echo(f"{one.source:8}  {one.obj_id:30}  {one.wallet or '-':20}  {state:14}  {kept:>14}  {changed}")


@payment.command()
@_object
@terminal.as_json
def show(payment_id: str, as_json: bool) -> None:
    """Show the payment ID: what it brought, and what of it was taken back."""
    found = _with_payments(lambda payments: payments.payments(obj_id=payment_id))
    if not found:
        raise click.ClickException(f"There is no payment {payment_id}; `moorage payment list` shows the last ones.")
    if as_json:
        terminal.print_json([dataclasses.asdict(one) for one in found])
        return
    for one in found:
        click.echo(f"Payment   {one.source} {one.obj_id}")
        click.echo(f"Wallet    {one.wallet or 'nobody knows whose it is'}")
        click.echo(f"Paid      {one.ext_amount} in the smallest unit of {one.currency}")
        click.echo(f"State     {_state(one)}")
        click.echo(f"Credit    {money.format_micros(one.granted_micros)}")
        click.echo(f"Reversed  {money.format_micros(one.reversed_micros)}")
        click.echo(f"Disputed  {money.format_micros(one.disputed_micros)}")
        if one.trouble is not None:
            click.echo(f"Waits     {one.trouble}: {ADVICE[one.trouble]}")


@payment.command()
@terminal.as_json
def suspense(as_json: bool) -> None:
    """List what could not be booked and waits for a person, the most urgent first."""
    found = _with_payments(lambda payments: payments.suspense())
    if as_json:
        terminal.print_json([dataclasses.asdict(one) for one in found])
        return
    for one in found:
        until = "overdue since" if one.overdue else "decide until"
        click.echo(f"{one.source} {one.obj_id}  {one.trouble}, {until} {clock.rfc3339(one.deadline)}")
        click.echo(f"    {ADVICE[one.trouble]}")
    if not found:
        click.echo("Nothing waits.")


@payment.command()
@_source
@_object
@click.argument("wallet")
@terminal.as_json
def assign(source: str, payment_id: str, wallet: str, as_json: bool) -> None:
    """Say that the payment ID of SOURCE, which waits for a wallet, belongs to WALLET; it is booked at once."""
    done = _with_payments(
        lambda payments: payments.assign(
            source=Source(source), obj_id=payment_id, wallet_name=wallet, actor=terminal.actor()
        ),
        wallet=wallet,
    )
    if as_json:
        terminal.print_json(dataclasses.asdict(done))
        return
    click.echo(f"Payment {payment_id} is booked to {wallet}.")
    if done.resumed:
        click.echo(f"Agents that resume: {done.resumed}.")


@payment.command()
@_source
@_object
@click.option("--reason", required=True, help="Why nothing is booked, such as: paid back by hand.")
@terminal.as_json
def dismiss(source: str, payment_id: str, reason: str, as_json: bool) -> None:
    """Say that nothing of the waiting payment ID of SOURCE is to be booked. It comes back if it changes."""
    _with_payments(
        lambda payments: payments.dismiss(source=Source(source), obj_id=payment_id, note=reason, actor=terminal.actor())
    )
    if as_json:
        terminal.print_json({"source": source, "payment": payment_id, "dismissed": True})
        return
    click.echo(f"Payment {payment_id} does not wait any more; nothing was booked.")


@payment.command()
@_source
@click.argument("payer")
@click.argument("wallet")
@terminal.as_json
def link(source: str, payer: str, wallet: str, as_json: bool) -> None:
    """Say that what PAYER pays at SOURCE, such as `telegram:12321`, belongs to WALLET from now on."""
    _with_payments(
        lambda payments: payments.link_payer(
            source=Source(source), payer=payer, wallet_name=wallet, actor=terminal.actor()
        ),
        wallet=wallet,
    )
    if as_json:
        terminal.print_json({"source": source, "payer": payer, "wallet": wallet})
        return
    click.echo(f"What {payer} pays is {wallet}'s from now on.")


def _state(one: PaymentView) -> str:
    return one.state if one.trouble is None else "InSuspense"


def _with_payments(call: Callable[[Payments], Awaitable[T]], *, wallet: str = "") -> T:
    async def work(payments: Payments) -> T:
        try:
            return await call(payments)
        except Permanent as error:
            raise terminal.unknown_wallet(wallet) from error

    return terminal.with_database(lambda database: work(Payments(database)))
