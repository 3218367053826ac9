"""`python -m tests.fakes.cloudflare ZONE FILE ZONEFILE ADDRESS`: the account as a program.

It writes its URL into FILE, and what of the zone the world is to see into ZONEFILE, whose name server is at ADDRESS.
"""

import asyncio
import itertools
import sys
import time
from pathlib import Path

from tests.fakes.cloudflare.account import Account, Json
from tests.fakes.cloudflare.server import CloudflareServer
from tests.name_server import zone_file

PUBLISH_SECONDS = 0.1
FIRST_SERIAL = 2  # a name server may have begun with an empty zone


async def main(name: str, told: Path, published: Path, address: str) -> None:
    """Serve until killed."""
    account = Account(time.monotonic)
    zone, last = account.zone(name), [""]
    async with CloudflareServer(account).serving() as server:
        for serial in itertools.count(FIRST_SERIAL):
            lines = sorted(_line(record) for record in zone.records.values())
            if lines != last:
                _replace(published, zone_file(name, f"ns A {address}", *lines, serial=serial))
                last = lines
            if serial == FIRST_SERIAL:
                _replace(told, server.url)  # whoever reads it finds the zone as well
            await asyncio.sleep(PUBLISH_SECONDS)


def _line(record: Json) -> str:
    content = {"TXT": f'"{record["content"].strip(chr(34))}"', "CNAME": f"{record['content']}."}
    return f"{record['name']}. {record['type']} {content.get(record['type'], record['content'])}"


def _replace(path: Path, text: str) -> None:
    """Whoever reads meanwhile finds the old text or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
