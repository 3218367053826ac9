"""`moorage keys`: see which keys are in use, and replace them."""

import dataclasses
import sys

import click

from moorage.cli import terminal, vault
from moorage.model import clock
from moorage.services.key_rotation import KeyRotation, Rotated
from moorage.services.keyring import Keyring
from moorage.services.root_keys import RootKeys
from moorage.store.database import Database
from moorage.store.owner_keys import OwnerKeys
from moorage.store.rotations import Rotations

UNREADABLE_EXIT = 1
SHOWN_MAX = 10


@click.group()
def keys() -> None:
    """See which keys are in use, and replace them."""


@keys.command()
@terminal.as_json
def status(as_json: bool) -> None:
    """Show the root keys, what each still wraps, and rotations that were not finished.

    Works with any root keys: it opens nothing.
    """

    async def call(database: Database, roots: RootKeys) -> tuple[RootKeys, dict[str, int], int]:
        rows = Rotations(database, actor=terminal.actor())
        return roots, await OwnerKeys(database).roots(), await rows.unfinished()

    roots, used, unfinished = vault.with_roots(call)
    answer = [
        {"rootKey": root, "setUp": root in roots.known, "wraps": root == roots.newest.id, "keys": used.get(root, 0)}
        for root in sorted(roots.known | used.keys())
    ]
    if as_json:
        terminal.print_json({"rootKeys": answer, "unfinished": unfinished})
        return
    for one in answer:
        click.echo(f"{one['keys']:7} keys  {one['rootKey']}  {_role(one)}")
    if unfinished:
        click.echo(f"{unfinished} tenants have an old key left; `moorage keys rotate-tenant --all` ends that.")


@keys.command("rotate-root")
def rotate_root() -> None:
    """Wrap every key with the newest root key; afterwards the others are needed for old backups only.

    May be stopped and run again at any moment, while everything else goes on.
    """
    _told(vault.with_roots(lambda database, roots: _rotation(database, roots).root()), "keys wrapped anew")


@keys.command("rotate-tenant")
@click.argument("name", required=False)
@click.option("--all", "everybody", is_flag=True, help="Every tenant that has a key.")
@click.option(
    "--older-than", "days", metavar="DAYS", type=click.IntRange(0), default=0, help="With --all: only older keys."
)
def rotate_tenant(name: str | None, everybody: bool, days: int) -> None:
    """Give the tenant NAME a new key, seal everything of it with that, and destroy the old key.

    May be stopped and run again at any moment; what was begun before is brought to its end.
    """
    if (name is None) is not everybody:
        raise click.UsageError("Name a tenant, or say --all.")

    async def call(database: Database, roots: RootKeys) -> Rotated:
        rows = Rotations(database, actor=terminal.actor())
        owner = None if name is None else await rows.tenant(name)
        if name is not None and owner is None:
            raise click.ClickException(f"There is no tenant named {name}.")
        done, rotation = Rotated(), _rotation(database, roots)
        for one in [owner] if owner else await rows.owners(days):
            result = await rotation.owner(one)
            done.moved += result.moved
            done.unreadable += result.unreadable
        return done

    _told(vault.with_roots(call), "values sealed anew")


@keys.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many lines.")
@terminal.as_json
def audit(limit: int, as_json: bool) -> None:
    """Show who replaced which keys, the newest first; nobody can change it."""
    lines = terminal.with_database(lambda database: Rotations(database, actor=terminal.actor()).audit(limit))
    if as_json:
        terminal.print_json([dataclasses.asdict(line) for line in lines])
        return
    for line in lines:
        whose = f"  of {line.owner}" if line.owner else ""
        click.echo(f"{clock.rfc3339(line.at)}  {line.step:14}  {line.count:6}  {line.subject}{whose}  {line.actor}")
    if not lines:
        click.echo("No key was replaced yet.")


def _rotation(database: Database, roots: RootKeys) -> KeyRotation:
    rows = Rotations(database, actor=terminal.actor())
    return KeyRotation(roots, Keyring(roots, OwnerKeys(database)), rows)


def _role(root: dict[str, object]) -> str:
    if not root["setUp"]:
        return "is not set up here: put it back"
    if root["wraps"]:
        return "wraps"
    return "opens; `moorage keys rotate-root` frees it" if root["keys"] else "is needed for old backups only"


def _told(done: Rotated, what: str) -> None:
    click.echo(f"{done.moved} {what}.")
    if done.unreadable:
        click.echo(f"{len(done.unreadable)} do not open and were left as they are:", err=True)
        for one in done.unreadable[:SHOWN_MAX]:
            click.echo(f"  {one}", err=True)
        sys.exit(UNREADABLE_EXIT)
