"""What all commands share: the database's address, one run of the event loop, and sentences instead of stack traces."""

import asyncio
import getpass
import json
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from moorage.model import clock
from moorage.model.errors import MoorageError
from moorage.store import connecting
from moorage.store.database import APP_ROLE, Database
from moorage.store.ledger import Ledger

T = TypeVar("T")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def database_url(*names: str) -> str:
    """The first of these environment variables that is set; MOORAGE_DATABASE_URL is always asked last."""
    for name in (*names, "MOORAGE_DATABASE_URL"):
        if url := os.environ.get(name):
            return url
    raise click.UsageError(
        'MOORAGE_DATABASE_URL is not set; for the local platform `eval "$(make -s env)"` sets it, '
        "elsewhere it looks like postgresql://user:password@host/database"
    )


def run(work: Awaitable[T], *, failure: type[click.ClickException] = click.ClickException) -> T:
    """Run a command's work; what can go wrong becomes a sentence, and the exit code of `failure`."""

    async def awaited() -> T:
        return await work

    try:
        return asyncio.run(awaited())
    except MoorageError as error:
        raise failure(f"{error}.") from error


def with_database(
    call: Callable[[Database], Awaitable[T]],
    *,
    role: str = APP_ROLE,
    failure: type[click.ClickException] = click.ClickException,
) -> T:
    """Run one call on the database that MOORAGE_DATABASE_URL names, with the rights of a role."""
    url = database_url()

    async def work() -> T:
        async with connecting.database(url, role=role) as database:
            return await call(database)

    return run(work(), failure=failure)


def with_ledger(call: Callable[[Ledger], Awaitable[T]], *, role: str = APP_ROLE) -> T:
    """Run one call on the ledger that MOORAGE_DATABASE_URL names."""
    return with_database(lambda database: call(Ledger(database)), role=role)


def actor() -> str:
    """Who is at the terminal, as the ledger remembers it."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user id may have no name
        return "cli:unknown"


def unknown_wallet(name: str) -> click.ClickException:
    """What to say when there is no such wallet."""
    return click.ClickException(f"There is no wallet named {name}; `moorage wallet list` shows all of them.")


def print_json(answer: Any) -> None:
    """Print an answer for programs; amounts are whole micro-credits, times are RFC 3339."""
    click.echo(json.dumps(answer, default=_plain, indent=2))


def duration(seconds: int) -> str:
    """A length of time with its two largest units, such as `3 d 4 h`."""
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for unit, length in units:
        count, seconds = divmod(seconds, length)
        if count or parts:
            parts.append(f"{count} {unit}")
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"


def _plain(item: Any) -> str:
    if isinstance(item, datetime):
        return clock.rfc3339(item)
    raise TypeError(type(item).__name__)
