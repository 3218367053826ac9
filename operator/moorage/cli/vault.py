"""What commands on snapshots share: database, object store and keys, opened as the operator's settings name them."""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import click

from moorage import settings as knobs
from moorage.cli import terminal
from moorage.providers.ports import ObjectStore
from moorage.services import object_stores, root_keys
from moorage.services.keyring import Keyring
from moorage.services.root_keys import RootKeys
from moorage.settings import Settings, SettingsError
from moorage.store.database import Database
from moorage.store.owner_keys import OwnerKeys

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """Everything there is to snapshots, open."""

    settings: Settings
    database: Database
    keyring: Keyring
    store: ObjectStore


def with_vault(
    call: Callable[[Vault], Awaitable[T]], *, failure: type[click.ClickException] = click.ClickException
) -> T:
    """Run one call with all of it; the root key must be the one this installation was set up with."""
    settings = _settings(failure, needs_store=True)

    async def work(database: Database) -> T:
        async with _keyring(settings, database) as keyring, object_stores.opened(settings, keyring) as store:
            return await call(Vault(settings=settings, database=database, keyring=keyring, store=store))

    return terminal.with_database(work, failure=failure)


def with_keyring(call: Callable[[Database, Keyring], Awaitable[T]]) -> T:
    """Run one call with database and keys, without the object store."""
    settings = _settings(click.ClickException, needs_store=False)

    async def work(database: Database) -> T:
        async with _keyring(settings, database) as keyring:
            return await call(database, keyring)

    return terminal.with_database(work)


def with_roots(call: Callable[[Database, RootKeys], Awaitable[T]]) -> T:
    """Run one call with database and root keys, whether or not these open what is there."""
    settings = _settings(click.ClickException, needs_store=False)

    async def work(database: Database) -> T:
        async with root_keys.opened(settings) as roots:
            return await call(database, roots)

    return terminal.with_database(work)


@contextlib.asynccontextmanager
async def _keyring(settings: Settings, database: Database) -> AsyncIterator[Keyring]:
    async with root_keys.opened(settings) as roots:
        keyring = Keyring(roots, OwnerKeys(database))
        await keyring.require()
        yield keyring


def _settings(failure: type[click.ClickException], *, needs_store: bool) -> Settings:
    try:
        settings = knobs.load(os.environ)
        knobs.required(settings, *(object_stores.required(settings) if needs_store else ()))
        root_keys.check(settings)
    except SettingsError as error:
        raise failure(f"{error}.") from error
    return settings
