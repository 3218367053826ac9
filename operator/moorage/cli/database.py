"""`moorage migrate`: bring the database up to this version."""

import click

from moorage.cli import terminal
from moorage.store import migrate


@click.command(name="migrate")
@terminal.as_json
def migrate_database(as_json: bool) -> None:
    """Apply the migrations that the database does not have yet.

    Uses MOORAGE_MIGRATION_URL where it is set: a role that owns the schemas, which the platform itself needs not be.
    """
    applied = terminal.run(migrate.migrate(terminal.database_url("MOORAGE_MIGRATION_URL")))
    if as_json:
        terminal.print_json(applied)
        return
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The database is up to date.")
