"""The worked example of docs/ledger.md is true: each of its rows is played and compared."""

import asyncio
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from moorage.cli import main
from moorage.model import money
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

PAGE = Path(__file__).parents[3] / "docs" / "ledger.md"
HEAD = "| second | what happens | entries | balance | carry | standing |\n|---|---|---|---|---|---|\n"
RATE_PICOS = 2_500_000
STORY = [
    (0, "grant 0.0005"),
    (0, "start"),
    (101, "prove and settle"),
    (140, "stop"),
    (150, "start"),
    (200, "prove and settle"),
    (215, "prove and settle"),
    (215, "stop"),
    (300, "grant 1"),
]


class Player:
    """Plays one wallet with one agent, and writes down what it sees."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.agent = self.pod = ""

    async def open(self) -> None:
        """The wallet and the agent of the story."""
        await self.world.ledger.publish_rate(size="tiny", rate_picos=RATE_PICOS)
        await self.world.wallet("acme")
        self.agent = await self.world.agent("helper", size="tiny")

    async def row(self, second: int, command: str) -> str:
        """One row of the table, as it comes out."""
        before = await self.world.sql.fetchval("SELECT count(*) FROM money.entry")
        await self.world.proven_at(START_S + second)
        match command.split():
            case ["grant", credits]:
                await self.world.grant(money.parse_credits(credits), key=f"grant at {second}")
            case ["start"]:
                self.pod = await self.world.open(self.agent, START_S + second, size="tiny")
            case ["stop"]:
                await self.world.close(self.pod, START_S + second)
            case _:
                await self.world.settle()
        rows = await self.world.sql.fetch("SELECT * FROM money.entry ORDER BY seq OFFSET $1", before)
        booked = ", ".join(f"{row['seq']}: {row['kind']} {money.format_micros(row['amount_micros'])}" for row in rows)
        wallet = await self.world.sql.fetchrow("SELECT balance_micros, carry_picos, standing FROM money.wallet")
        balance = money.format_micros(wallet["balance_micros"])
        return f"| {second} | {command} | {booked} | {balance} | {wallet['carry_picos']} | {wallet['standing']} |\n"


async def test_every_row_of_the_example_comes_out(world: World, database_url: str) -> None:
    player = Player(world)
    await player.open()
    played = HEAD + "".join([await player.row(second, command) for second, command in STORY])
    assert _between("example") == played
    absorbed = await world.sql.fetchval("SELECT sum(amount_picos) FROM money.system_entry")
    assert absorbed == 5 * RATE_PICOS
    explained = await asyncio.to_thread(_explain, database_url)  # the command runs an event loop of its own
    assert _between("explanation") == f"```\n{explained}```\n"


def _explain(url: str) -> str:
    return CliRunner().invoke(main, ["ledger", "explain", "acme"], env={"MOORAGE_DATABASE_URL": url}).output


def _between(mark: str) -> str:
    found = re.search(rf"<!-- {mark} -->\n(.*?)<!-- end of {mark} -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, f"the page has no {mark}"
    return found[1].strip("\n") + "\n"
