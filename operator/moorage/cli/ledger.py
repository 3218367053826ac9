"""`moorage ledger`: prove that the books are right."""

import dataclasses
import sys
import time

import click

from moorage.cli import statement, terminal
from moorage.model import clock
from moorage.model.ledger import Check, Seal
from moorage.store import ledger_verify, statements
from moorage.store.database import VERIFY_ROLE, Database
from moorage.store.lineage import Lineage
from moorage.store.seals import Seals

VIOLATED_EXIT = 1
SILENT_SECONDS = 2.0


class CouldNotRun(click.ClickException):
    """The check could not run, which is neither a yes nor a no."""

    exit_code = 2


@click.group()
def ledger() -> None:
    """Prove that the books are right."""


@ledger.command()
@click.option("--wallet", metavar="NAME", help="Only what breaks in this wallet.")
@click.option("--since", metavar="SEAL", type=click.IntRange(0), default=0, help="Do not hash again up to this seal.")
@terminal.as_json
def verify(wallet: str | None, since: int, as_json: bool) -> None:
    """Check every invariant of the ledger on one consistent view of it; changes and locks nothing.

    Exits with 0 when all hold, 1 when one is violated, 2 when the check could not run.
    """

    async def call(database: Database) -> list[Check]:
        wallet_id = None if wallet is None else await statements.wallet_id(database, wallet)
        if wallet is not None and wallet_id is None:
            raise CouldNotRun(f"There is no wallet named {wallet}; `moorage wallet list` shows all of them.")
        report = _Progress().report
        return await ledger_verify.verify(database, wallet_id=wallet_id, since_seal=since, progress=report)

    checks = terminal.with_database(call, role=VERIFY_ROLE, failure=CouldNotRun)
    if as_json:
        terminal.print_json([dataclasses.asdict(check) for check in checks])
    else:
        for check in checks:
            mark = "ok  " if check.violations == 0 else "FAIL"
            click.echo(f"{mark} {check.id:5} {check.sentence}")
            if check.violations:
                click.echo(f"     {check.violations} broken, such as: {', '.join(check.examples)}")
    if any(check.violations for check in checks):
        sys.exit(VIOLATED_EXIT)


@ledger.command()
@terminal.as_json
def seal(as_json: bool) -> None:
    """Seal what was booked since the last seal, and print the head of the chain.

    Keep the head where nobody of this database can change it: an edit of a sealed row cannot be hidden from that.
    """

    async def call(database: Database) -> tuple[list[Seal], Seal | None]:
        seals = Seals(database)
        return await seals.seal(), await seals.head()

    made, head = terminal.with_database(call, role=VERIFY_ROLE)
    if as_json:
        terminal.print_json(
            {"made": [dataclasses.asdict(one) for one in made], "head": head and dataclasses.asdict(head)}
        )
        return
    for one in made:
        click.echo(f"Sealed {one.entries} entries and {one.system_entries} system entries as seal {one.no}.")
    if not made:
        click.echo("Nothing new to seal.")
    if head is not None:
        click.echo(f"Head: seal {head.no}, {head.hash}, {clock.rfc3339(head.at)}")


@ledger.command(name="trust-restore")
@click.option("--reason", required=True, help="What was restored, and what was lost; kept for ever.")
def trust_restore(reason: str) -> None:
    """Say that a restored database is the ledger from now on, after checking every invariant of it.

    Until then nothing is charged and no agent changes its state. Exits with 1 when an invariant is violated.
    """

    async def call(database: Database) -> tuple[list[Check], bool]:
        checks = await ledger_verify.verify(database, progress=_Progress().report)
        if any(check.violations for check in checks):
            return checks, False
        return checks, await Lineage(database).trust(reason=reason, actor=terminal.actor())

    checks, trusted = terminal.with_database(call, role=VERIFY_ROLE, failure=CouldNotRun)
    broken = [check.id for check in checks if check.violations]
    if broken:
        click.echo(f"Not trusted: {', '.join(broken)} do not hold; `moorage ledger verify` shows where.", err=True)
        sys.exit(VIOLATED_EXIT)
    click.echo("Trusted; the operator goes on by itself." if trusted else "Nobody doubts this database.")


ledger.add_command(statement.explain)


class _Progress:
    """Tells a person who waits how far it is; a short check says nothing."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def report(self, done: int, of: int) -> None:
        """Say it on standard error, so that the answer can be piped."""
        if time.monotonic() - self._begun > SILENT_SECONDS:
            click.echo(f"{done} of {of} checked", err=True)
