"""A durable PostgreSQL for one benchmark, and what it and its clients spend while something is measured."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.postgres import Postgres
from moorage.store import ledger_verify
from moorage.store.database import Database

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
MEBIBYTE = 2**20


def run(measure: Callable[[Postgres], Awaitable[dict[str, Any]]]) -> None:
    """Measure on a server of its own and print the result as one JSON object."""

    async def found(server: Postgres) -> dict[str, Any]:
        return await measure(server)

    with started() as (server, _):
        result = asyncio.run(found(server))
    sys.stdout.write(json.dumps(result) + "\n")


@contextlib.contextmanager
def started() -> Iterator[tuple[Postgres, Path]]:
    """An empty server for as long as the block runs, and its folder."""
    with tempfile.TemporaryDirectory(prefix="moorage-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = Postgres(folder, durable=True)
        server.start()
        try:
            yield server, folder
        finally:
            server.stop()


async def check_books(database: Database) -> None:
    """Every invariant holds, or the numbers mean nothing."""
    broken = [check.id for check in await ledger_verify.verify(database) if check.violations]
    assert not broken, f"the books do not hold: {broken}"


@dataclass(frozen=True)
class Effort:
    """What was spent since the server started: seconds of CPU, and bytes of WAL."""

    at: float
    server_s: float
    client_s: float
    wal: int

    @classmethod
    async def now(cls, server: Postgres, connection: Any) -> "Effort":  # Any: asyncpg has no types
        """Read it; `connection` belongs to the same server."""
        wal = await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
        times = os.times()
        client = times.user + times.system + times.children_user + times.children_system
        return cls(at=time.perf_counter(), server_s=_cpu_seconds(server), client_s=client, wal=int(wal))

    def since(self, earlier: "Effort") -> dict[str, float]:
        """Cores in use on both sides, and MiB of WAL per second."""
        seconds = self.at - earlier.at
        return {
            "server_cores": round((self.server_s - earlier.server_s) / seconds, 2),
            "client_cores": round((self.client_s - earlier.client_s) / seconds, 2),
            "wal_mib_per_second": round((self.wal - earlier.wal) / MEBIBYTE / seconds, 2),
        }


def told(effort: dict[str, float]) -> str:
    """The effort as part of a sentence."""
    return (
        f"PostgreSQL used {effort['server_cores']} cores and its clients {effort['client_cores']}, "
        f"{effort['wal_mib_per_second']} MiB of WAL a second"
    )


async def commit_milliseconds(connection: Any) -> float:  # Any: asyncpg has no types
    """What one client waits for a commit that has to reach the disk: the floor of everything that is not batched."""
    await connection.execute("CREATE TABLE IF NOT EXISTS bare_commit (n bigint)")
    took = []
    for _ in range(200):
        begun = time.perf_counter()
        await connection.execute("INSERT INTO bare_commit VALUES (1)")
        took.append(time.perf_counter() - begun)
    return round(1000 * sorted(took)[len(took) // 2], 2)


def _cpu_seconds(server: Postgres) -> float:
    """Of the server, its processes that run and those that ended."""
    postmaster = (server.data / "postmaster.pid").read_text().splitlines()[0]
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        if stat.parent.name == postmaster:
            ticks += sum(int(field) for field in fields[11:15])  # its own, and of children it has waited for
        elif fields[1] == postmaster:
            ticks += sum(int(field) for field in fields[11:13])
    return ticks / TICKS_PER_SECOND
