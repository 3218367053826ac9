"""Reaching the database: one sentence for everything that can be wrong with its address."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import asyncpg

from moorage.model.errors import Unavailable
from moorage.store.database import APP_ROLE, Database

NOT_MIGRATED = "the database has no Moorage in it yet, or an older one; run `moorage migrate` first"


@contextlib.contextmanager
def connect_errors() -> Iterator[None]:
    """Turn what a wrong address or a missing server raises into Unavailable with a sentence for the user."""
    try:
        yield
    except asyncpg.InvalidCatalogNameError as error:
        raise Unavailable("the server has no database of this name; check the end of the database URL") from error
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError) as error:
        raise Unavailable("the database refuses this user or password; check the database URL") from error
    except (asyncpg.UndefinedObjectError, asyncpg.InvalidParameterValueError) as error:
        raise Unavailable(NOT_MIGRATED) from error
    except asyncpg.PostgresError as error:
        raise Unavailable("the database does not take connections at the moment") from error
    except (ValueError, OverflowError, asyncpg.InterfaceError) as error:
        raise Unavailable(
            "the database URL cannot be read; it looks like postgresql://user:password@host/db"
        ) from error
    except (OSError, TimeoutError) as error:
        raise Unavailable("the database cannot be reached; check the database URL and that the server runs") from error


@contextlib.asynccontextmanager
async def database(url: str, *, size_max: int = 2, role: str = APP_ROLE) -> AsyncIterator[Database]:
    """A pool, as small as one command needs unless it is said otherwise."""
    with connect_errors():
        try:
            opened = await Database.connect(url, size_max=size_max, role=role)
        except Unavailable as error:
            # The pool has already put the driver's error into our family; its cause tells more.
            raise error.__cause__ or error from None
    try:
        yield opened
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError) as error:
        raise Unavailable(NOT_MIGRATED) from error
    finally:
        await opened.close()
