"""A gateway that spends as fast as it can until it is killed; test_gateway_spending.py starts it as its own program."""

import asyncio
import random
import sys
import time
from pathlib import Path

from moorage.gateway import spending
from moorage.gateway.journal import Journal
from moorage.gateway.spending import Spending
from moorage.gateway.tickets import Ask, OutOfCredit
from moorage.model.names import WalletId
from moorage.model.spending import Tokens
from moorage.store.database import Database
from moorage.store.leases import GATEWAY_ROLE, Leases
from tests.integration.money.spending import AGENT, PRICE

CLIENTS = 20


async def main(url: str, folder: Path, wallets: int, seed: int) -> None:
    """Print the id of every request that ended, after the journal has it on disk."""
    database = await Database.connect(url, size_max=3, role=GATEWAY_ROLE)
    journal = Journal(folder, "gw")
    gateway = Spending(
        await Leases.register(database, "gw"),
        journal,
        now_s=time.monotonic,
        new_id=lambda: spending.new_request_id(int(time.time() * 1000)),
    )
    rng = random.Random(seed)

    async def client() -> None:
        while True:
            wallet = WalletId(rng.randint(1, wallets))
            ask = Ask(wallet=wallet, agent_uid=AGENT, price=PRICE, input_tokens=3, output_tokens_max=20)
            try:
                ticket = await gateway.admit(ask)
            except OutOfCredit:
                await asyncio.sleep(0)
                continue
            await asyncio.sleep(0)
            gateway.finish(ticket, Tokens(2, rng.randint(0, ticket.output_tokens_max), 1))
            await journal.write()
            sys.stdout.write(f"{ticket.id}\n")
            sys.stdout.flush()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(gateway.run())
        for _ in range(CLIENTS):
            tasks.create_task(client())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
