"""`moorage ledger replay-journal`: settle what a gateway had spent and not reported when it died."""

import dataclasses
from pathlib import Path

import click

from moorage.cli import terminal
from moorage.gateway import journal, spending
from moorage.gateway.spending import Replayed
from moorage.model import money
from moorage.model.money import PICOS_PER_MICRO
from moorage.store.database import Database
from moorage.store.leases import GATEWAY_ROLE, Leases


@click.command(name="replay-journal")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@terminal.as_json
def replay_journal(folder: Path, as_json: bool) -> None:
    """Settle the journal of a dead gateway in FOLDER, give its credit back, and remove the journal.

    Every request is charged once, however often this runs; those that were under way are recorded at no cost. A
    gateway of this name that still runs is refused by the ledger from now on. The login must be a member of the role
    moorage_gateway.
    """

    async def call(database: Database) -> Replayed:
        left = journal.read(folder)
        return await spending.settle_journal(await Leases.register(database, left.gateway), left)

    done = terminal.with_database(call, role=GATEWAY_ROLE)
    if as_json:
        terminal.print_json(dataclasses.asdict(done))
        return
    cost = money.format_micros(done.cost_picos // PICOS_PER_MICRO)
    click.echo(f"Gateway {done.gateway}: {done.ended} requests of {cost} credits are in the ledger.")
    if done.unfinished:
        click.echo(f"{done.unfinished} were under way and cost nothing.")
    click.echo(f"Leases closed: {done.leases_closed}.")
