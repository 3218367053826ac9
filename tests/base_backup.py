"""A base backup of a server that runs, its archive, and another server that recovers from both up to a named point."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncpg

from dev.postgres import Postgres

POINT = "drill"


def start_archiving(server: Postgres, archive: Path) -> None:
    """Start the server, new if need be, with a copy of each piece of its write-ahead log."""
    archive.mkdir()
    archive.chmod(0o777)
    server.start()
    server.psql("ALTER SYSTEM SET archive_mode = 'on'")
    server.psql(f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f'")
    server.stop()
    server.start()


def mark(server: Postgres) -> None:
    """Name this moment: what comes after it will be lost."""
    server.psql(f"SELECT pg_create_restore_point('{POINT}')")


async def archived(server: Postgres, archive: Path) -> None:
    """Return when everything until now is in the archive."""
    last = server.psql("SELECT pg_walfile_name(pg_switch_wal())")
    await _until((archive / last).exists)


async def recovered(restored: Postgres) -> None:
    """Start a server that recovers, and return when it may be written to."""
    restored.start()
    await _until(lambda: restored.psql("SELECT pg_is_in_recovery()") == "f")


async def take(server: Postgres, into: Path) -> None:
    """A copy of the files while the server runs, between the two calls that make it a backup."""
    session = await asyncpg.connect(server.url())
    try:
        await session.execute("SELECT pg_backup_start('drill', true)")
        await asyncio.to_thread(_copy, server.data, into)
        label = await session.fetchval("SELECT labelfile FROM pg_backup_stop(false)")
    finally:
        await session.close()
    (into / "data" / "backup_label").write_text(label)
    (into / "data" / "postmaster.pid").unlink()


def recovering(folder: Path, archive: Path) -> Postgres:
    """A server over a copy, set up to recover from the archive up to the point that was named."""
    settings = {
        "archive_mode": "off",
        "restore_command": f"cp {archive}/%f %p",
        "recovery_target_name": POINT,
        "recovery_target_action": "promote",
    }
    data = folder / "data"
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
    (data / "recovery.signal").touch()
    owner = (data / "PG_VERSION").stat()
    for path in (folder, folder / "password", data / "backup_label", data / "recovery.signal"):
        shutil.chown(path, owner.st_uid, owner.st_gid)
    return Postgres(folder, durable=False)


def _copy(data: Path, into: Path) -> None:
    into.mkdir()
    subprocess.run(["cp", "-a", data, into / "data"], check=True)
    shutil.copy2(data.parent / "password", into / "password")


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not reached():  # noqa: ASYNC110  # another program cannot set an event
            await asyncio.sleep(0.05)
