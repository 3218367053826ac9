"""`python -m tests.integration.money.full_disk FOLDER`: a ledger on a disk that fills up; prints its account as JSON.

It mounts a small file system on the folder, so it must be root in a mount namespace of its own.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg

from dev.postgres import Postgres
from moorage.model.errors import MoorageError
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from moorage.store.migrate import migrate
from tests.integration.money.world import START_S, World, new_world

DISK_MIB = 160
LEFT_BYTES = 400_000  # when the filling begins
CREDITS_MAX = 4_000
REFUSALS = 5
REASON = "r" * 900
CREDITS = "SELECT count(*) FROM money.entry WHERE key LIKE 'full-%'"


def main() -> None:
    """Until the disk is full, then with room again, then the account."""
    folder = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "none", str(folder)], check=True)
    server = Postgres(folder)
    try:
        server.start()
        asyncio.run(migrate(server.url()))
        ballast = folder / "ballast"
        answered, refused = asyncio.run(_until_full(server.url(), ballast))
        ballast.unlink()
        crashed = not server.running()
        if crashed:
            server.start()
        wrong = asyncio.run(_account(server.url(), answered, refused))
    finally:
        server.stop()
    sys.stdout.write(json.dumps({"answered": answered, "refused": refused, "crashed": crashed, "wrong": wrong}))


async def _until_full(url: str, ballast: Path) -> tuple[int, int]:
    """How many credits were answered, and how many were not, until nothing is answered any more."""
    async with new_world(url) as world:
        await world.wallet()
        await world.open(await world.agent("a"), START_S)
        _fill(ballast)
        answered = refused = in_a_row = 0
        while in_a_row < REFUSALS:
            assert answered < CREDITS_MAX, "the disk does not get full"
            try:
                # Time passes too, so that each credit charges the run first.
                await world.proven_at(START_S + answered + refused)
                await _credit(world, answered + refused)
            except (MoorageError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                refused, in_a_row = refused + 1, in_a_row + 1
            else:  # this one may have found room where another did not
                answered, in_a_row = answered + 1, 0
        return answered, refused


def _fill(ballast: Path) -> None:
    room = os.statvfs(ballast.parent)
    ballast.write_bytes(bytes(room.f_bavail * room.f_frsize - LEFT_BYTES))


async def _account(url: str, answered: int, refused: int) -> list[str]:
    """What is wrong once there is room again and everything that was refused is made again."""
    database, sql = await Database.connect(url), await asyncpg.connect(url)
    world = World(database, sql, Ledger(database), url=url)
    there, wrong = await sql.fetchval(CREDITS), await world.broken()
    # What was refused may have been committed only if the server died before it could say so.
    if not answered <= there <= answered + refused:
        wrong.append(f"{answered} were answered, {there} are there")
    for number in range(answered + refused):
        await _credit(world, number)
    there = await sql.fetchval(CREDITS)
    if there != answered + refused:
        wrong.append(f"{there} are there, {answered + refused} were asked for")
    wrong += await world.broken()
    await sql.close()
    await database.close()
    return wrong


async def _credit(world: World, number: int) -> None:
    await world.ledger.grant(wallet_name="acme", amount_micros=1_000, key=f"full-{number}", reason=REASON, actor="test")


if __name__ == "__main__":
    main()
