"""`moorage ledger`: prove that the books are right."""

import dataclasses
import sys

import click

from moorage.cli import terminal

VIOLATED_EXIT = 1


class CouldNotRun(click.ClickException):
    """The check could not run, which is neither a yes nor a no."""

    exit_code = 2


@click.group()
def ledger() -> None:
    """Prove that the books are right."""


@ledger.command()
@terminal.as_json
def verify(as_json: bool) -> None:
    """Check every invariant of the ledger on one consistent view of it; changes and locks nothing.

    Exits with 0 when all hold, 1 when one is violated, 2 when the check could not run.
    """
    checks = terminal.with_ledger(lambda books: books.verify(), failure=CouldNotRun)
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
