"""`moorage snapshot check`: prove by hand what the operator proves by the clock."""

import dataclasses
import sys

import click

from moorage.cli import terminal, vault
from moorage.cli.ledger import VIOLATED_EXIT, CouldNotRun
from moorage.cli.vault import Vault
from moorage.services import store_census
from moorage.services.restore_tests import RestoreOutcome, RestoreTests
from moorage.services.scratch import Scratch
from moorage.services.store_census import Census
from moorage.store.catalogue import Catalogue


@click.command()
@click.option("--restore", "count", type=click.IntRange(1), metavar="N", help="Restore the N longest untested.")
@click.option("--census", is_flag=True, help="Compare catalogue and object store, both ways.")
@terminal.as_json
def check(count: int | None, census: bool, as_json: bool) -> None:
    """Restore snapshots into a scratch folder, or compare the catalogue with the object store; changes nothing.

    Without an option: the census. Exits with 0 when all is well, 1 when something is not, 2 when the check could not
    run. Needs the settings of the operator for database, object store and root key.
    """

    async def call(opened: Vault) -> tuple[list[RestoreOutcome], Census | None]:
        catalogue = Catalogue(opened.database)
        scratch = Scratch(opened.settings.scratch_folder, opened.settings.scratch_bytes_max)
        tests = RestoreTests(catalogue, opened.store, opened.keyring, scratch)
        tested = [await tests.test(snapshot) for snapshot in await tests.sample(count or 0)]
        found = await store_census.take(catalogue, opened.store) if census or not count else None
        return [one for one in tested if one is not None], found

    tested, found = vault.with_vault(call, failure=CouldNotRun)
    if as_json:
        terminal.print_json(
            {
                "restored": [dataclasses.asdict(one) for one in tested],
                "census": found and dataclasses.asdict(found),
            }
        )
    else:
        _print(tested, found, count)
    if any(one.failure for one in tested) or (found is not None and found.lacking_count + found.unknown_count):
        sys.exit(VIOLATED_EXIT)


def _print(tested: list[RestoreOutcome], found: Census | None, count: int | None) -> None:
    for one in tested:
        click.echo(f"{'ok  ' if one.failure is None else 'FAIL'} {one.snapshot} {one.failure or 'restored'}")
    if count and not tested:
        click.echo("Nothing to restore: every snapshot that fits was tested within the last day.")
    if found is None:
        return
    click.echo(f"{found.living} snapshots, {found.lacking_count} of them not in the store as they should be.")
    for name in found.lacking:
        click.echo(f"     lacking {name}")
    click.echo(f"{found.unknown_count} objects that nobody has on record.")
    for key in found.unknown:
        click.echo(f"     unknown {key}")
