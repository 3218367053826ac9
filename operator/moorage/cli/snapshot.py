"""`moorage snapshot`: look after snapshots."""

import os
from pathlib import Path

import click
import msgspec

from moorage.cli import extract, snapshot_check, snapshot_wishes, terminal, vault
from moorage.model import names
from moorage.services import key_export
from moorage.services.keyring import Keyring
from moorage.store.database import Database


@click.group()
def snapshot() -> None:
    """Look after snapshots, and take them away."""


@snapshot.command()
@click.argument("name")
@click.option(
    "-o", "--output", metavar="FILE", help="Where to write; without it: NAME.key in this folder.",
    type=click.Path(dir_okay=False, path_type=Path),
)  # fmt: skip
def key(name: str, output: Path | None) -> None:
    """Write the key of the snapshot NAME to a file, for `moorage snapshot extract`.

    Whoever has this file and the object reads the snapshot, and no other, also after a purge: that it was given, and
    to whom, is written down. Needs MOORAGE_ROOT_KEY_FILE.
    """
    snapshot_id = names.snapshot_id(name)
    if snapshot_id is None:
        raise click.UsageError(f"{name} is not the name of a snapshot; it looks like snp_ and 32 digits.")

    async def call(database: Database, keyring: Keyring) -> key_export.Export | None:
        return await key_export.export(database, keyring, snapshot_id, actor=terminal.actor())

    export = vault.with_keyring(call)
    if export is None:
        raise click.ClickException(f"There is no snapshot {name}, or it was purged.")
    file = output or Path(f"{name}.key")
    _write_secret(file, msgspec.json.format(msgspec.json.encode(export.key), indent=2) + b"\n")
    click.echo(f"Wrote {file}; the object is {export.object_key} in the object store.", err=True)


def _write_secret(file: Path, content: bytes) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise click.ClickException(f"{file} exists; name a file that does not.") from error
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {os.strerror(error.errno or 0)}.") from error
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)


snapshot.add_command(extract.extract)
snapshot.add_command(snapshot_check.check)
snapshot.add_command(snapshot_wishes.list_snapshots)
snapshot.add_command(snapshot_wishes.take)
snapshot.add_command(snapshot_wishes.restore)
