"""The connection pool, and the one place where Postgres' errors become ours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg

from moorage.model.errors import HistoryInDoubt, LostLeadership, Transient, Unavailable

APP_ROLE = "moorage_app"
READ_ROLE = "moorage_read"
VERIFY_ROLE = "moorage_verify"
LOST_LEADERSHIP = "MO001"
HISTORY_IN_DOUBT = "MO050"
CLOSE_SECONDS = 5.0
DAMAGED = "the database's own files are damaged; restore a backup, and see docs/ledger.md"

# A client that hangs must not hold a wallet: every limit is far above a healthy call and below a reconcile's.
SESSION = {
    "application_name": "moorage",
    "jit": "off",
    "work_mem": "64MB",
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "10s",
    "TimeZone": "UTC",
}


@contextlib.contextmanager
def translated_errors() -> Any:
    """Turn driver errors into the house's families; anything else is a bug and passes."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate == LOST_LEADERSHIP:
            raise LostLeadership("another process leads") from error
        if error.sqlstate == HISTORY_IN_DOUBT:
            raise HistoryInDoubt(str(error)) from error
        if isinstance(
            error, asyncpg.TransactionRollbackError | asyncpg.LockNotAvailableError | asyncpg.QueryCanceledError
        ):
            raise Transient("the database asked to try again") from error
        if isinstance(
            error,
            asyncpg.OperatorInterventionError | asyncpg.InsufficientResourcesError | asyncpg.PostgresConnectionError,
        ):
            raise Unavailable("the database does not answer") from error
        if isinstance(error, asyncpg.DataCorruptedError | asyncpg.IndexCorruptedError):
            raise Unavailable(DAMAGED) from error
        raise
    # The last is what the driver says to whoever uses a connection whose server has just taken its leave.
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise Unavailable("the database cannot be reached") from error


async def _leave_as_is(_: object) -> None:
    """No statement of ours changes a session, so the round trip that resets one after each call is saved."""


class Database:
    """A pool of connections that act with the rights of one role, the application's unless it is said otherwise."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool
        self._listening: dict[str, Any] = {}  # by channel; Any: the pool's proxies of connections

    @classmethod
    async def connect(cls, url: str, *, size_max: int = 8, role: str = APP_ROLE) -> "Database":
        """Open the pool; raises Unavailable with a sentence when the server cannot be reached."""
        with translated_errors():
            pool = await asyncpg.create_pool(
                url,
                init_size=1,  # one connection shows whether the address is right
                min_size=0,  # a call that fails says more than a keeper of connections that tries again and logs
                max_size=size_max,
                server_settings={**SESSION, "role": role},
                command_timeout=35,
                timeout=10,
                reset=_leave_as_is,
            )
        return cls(pool)

    async def close(self) -> None:
        """Close all connections, waiting a moment for calls that run."""
        for connection in [*self._listening.values()]:  # held for good: the pool would wait for them for ever
            connection.terminate()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def row(self, sql: str, *args: object) -> "asyncpg.Record | None":
        """The first row of one statement."""
        with translated_errors():
            return await self._pool.fetchrow(sql, *args)

    async def rows(self, sql: str, *args: object) -> "list[asyncpg.Record]":
        """All rows of one statement."""
        with translated_errors():
            found: list[asyncpg.Record] = await self._pool.fetch(sql, *args)
            return found

    async def value(self, sql: str, *args: object) -> Any:  # Any: the column's own type
        """The first column of the first row of one statement."""
        with translated_errors():
            return await self._pool.fetchval(sql, *args)

    async def run(self, sql: str, *args: object) -> None:
        """One statement whose result nobody needs."""
        with translated_errors():
            await self._pool.execute(sql, *args)

    @contextlib.asynccontextmanager
    async def transaction(self) -> "AsyncIterator[asyncpg.Connection[Any]]":
        """One transaction; statements go through the connection it yields."""
        with translated_errors():
            async with self._pool.acquire() as connection, connection.transaction():
                yield connection

    async def listen(self, channel: str, notified: Callable[[], None]) -> None:
        """Call `notified` whenever the channel rings; a hint only, it may be lost.

        One listener a channel, on a connection of its own. Called again, it listens again if that connection was lost.
        """
        if channel in self._listening:
            return
        with translated_errors():
            connection = await self._pool.acquire()
            try:
                await connection.add_listener(channel, lambda *_: notified())
                connection.add_termination_listener(lambda _: self._listening.pop(channel, None))
                self._listening[channel] = connection
            finally:
                if channel not in self._listening:
                    await self._pool.release(connection)
