"""`python -m tests.fakes.cloudflare ZONE FILE`: the account as a program, which writes its URL into the file."""

import asyncio
import sys
import time
from pathlib import Path

from tests.fakes.cloudflare.account import Account
from tests.fakes.cloudflare.server import CloudflareServer


async def main(zone: str, told: Path) -> None:
    """Serve until killed."""
    account = Account(time.monotonic)
    account.zone(zone)
    async with CloudflareServer(account).serving() as server:
        told.write_text(server.url)  # noqa: ASYNC240  # nobody else waits
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
