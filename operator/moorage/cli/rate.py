"""`moorage rate`: the price list, its changes, and the second person that a large change needs."""

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from moorage.cli import terminal
from moorage.model import clock, rates
from moorage.model.rates import Meter, ProposalView, Proposed, RateView
from moorage.store.rates import Rates

T = TypeVar("T")


@click.group()
def rate() -> None:
    """Show and change prices. A version of a price is never changed; a new one follows it at a second to come."""


@rate.command(name="list")
@click.option("--all", "with_old", is_flag=True, help="Also versions that are over.")
@terminal.as_json
def list_rates(with_old: bool, as_json: bool) -> None:
    """List the prices in force and to come, and the proposals that wait for a second person."""

    async def look(book: Rates) -> tuple[list[RateView], list[ProposalView]]:
        return await book.all(), await book.waiting()

    versions, waiting = _with_rates(look)
    if not with_old:
        now = datetime.now(UTC)
        versions = [version for version in versions if version.in_force or version.valid_from > now]
    if as_json:
        terminal.print_json({"rates": _plain(versions), "proposals": _plain(waiting)})
        return
    click.echo(f"{'what':40}  {'credits':>14}  {'per':16}  valid from")
    for version in versions:
        mark = "" if version.in_force else "  (not in force)"
        click.echo(f"{_row(version)}{mark}")
    for proposal in waiting:
        click.echo(f"{_row(proposal)}  (proposal {proposal.id} of {proposal.actor} waits for a second person)")


@rate.command(name="set")
@click.argument("what")
@click.argument("price")
@click.option("--from", "valid_from", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), help="Valid from then on, in UTC.")
@click.option("--reason", default="", help="Why; kept beside the change.")
@terminal.as_json
def set_rate(what: str, price: str, valid_from: datetime | None, reason: str, as_json: bool) -> None:
    """Set the price of WHAT to PRICE credits.

    WHAT is Pod/SIZE (per hour), Volume or Snapshot (per GiB and 30 days), Domain (per month) or
    Model/MODEL/KIND (per million tokens). A change beyond the bound waits for `moorage rate approve`.
    """
    try:
        meter, class_ = rates.parse_subject(what)
        rate_picos = rates.parse_price(meter, price)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    from_s = None if valid_from is None else int(valid_from.replace(tzinfo=UTC).timestamp())
    done = _with_rates(
        lambda book: book.propose(
            meter=meter,
            class_=class_,
            rate_picos=rate_picos,
            valid_from_s=from_s,
            actor=terminal.actor(),
            reason=reason,
        )
    )
    if as_json:
        terminal.print_json(dataclasses.asdict(done))
        return
    click.echo(f"{_price(meter, rate_picos)} credits per {rates.UNITS[meter]}, {_fate(done)}")


@rate.command()
@click.argument("proposal", type=int)
@click.option("--reason", default="", help="Why; kept beside the change.")
@terminal.as_json
def approve(proposal: int, reason: str, as_json: bool) -> None:
    """Agree to a PROPOSAL of somebody else."""
    done = _with_rates(lambda book: book.approve(proposal_id=proposal, actor=terminal.actor(), reason=reason))
    if as_json:
        terminal.print_json(dataclasses.asdict(done))
        return
    click.echo(f"The price is {_fate(done)}")


def _fate(done: Proposed) -> str:
    if done.rate_id is None:
        return f"waits for a second person: moorage rate approve {done.proposal_id}"
    return f"valid from {clock.rfc3339(done.valid_from)}."


def _row(priced: RateView | ProposalView) -> str:
    what = f"{priced.meter}/{priced.class_}".rstrip("/")
    unit, start = rates.UNITS[priced.meter], clock.rfc3339(priced.valid_from)
    return f"{what:40}  {_price(priced.meter, priced.rate_picos):>14}  {unit:16}  {start}"


def _price(meter: Meter, rate_picos: int) -> str:
    return rates.format_price(meter, rate_picos)


def _plain(views: list[Any]) -> list[dict[str, Any]]:
    """Rows for programs; Python's `class_` is called class, as in the ledger."""
    return [{key.rstrip("_"): value for key, value in dataclasses.asdict(view).items()} for view in views]


def _with_rates(call: Callable[[Rates], Awaitable[T]]) -> T:
    return terminal.with_database(lambda database: call(Rates(database)))
