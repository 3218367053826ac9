"""A gateway spends from purses in memory; whatever happens to it, each request is charged once and no wallet owes."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from moorage import cli
from moorage.gateway import journal, spending
from moorage.gateway.journal import Journal
from moorage.gateway.spending import Spending
from moorage.gateway.tickets import Ask, OutOfCredit, Ticket
from moorage.model.errors import LostLeadership
from moorage.model.names import WalletId
from moorage.model.spending import Tokens
from moorage.store.leases import Leases
from tests.integration.money.spending import AGENT, PRICE, request_id
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
ACME = WalletId(1)
ROOT = Path(__file__).parents[3]


class Hand:
    """A gateway whose loops are turned by hand and whose clock the test sets."""

    def __init__(self, leases: Leases, folder: Path) -> None:
        self.now_s = 0.0
        self.journal = Journal(folder, "gw")
        self.spending = Spending(leases, self.journal, now_s=lambda: self.now_s, new_id=request_id)

    async def spend(self, output: int, *, output_max: int = 20, wallet: WalletId = ACME) -> int:
        """One request; returns how much output it was allowed."""
        ticket = await self.spending.admit(ask(output_max, wallet=wallet))
        self.spending.finish(ticket, Tokens(0, min(output, ticket.output_tokens_max)))
        return ticket.output_tokens_max


def ask(output_max: int, *, wallet: WalletId = ACME) -> Ask:
    """A request of one micro-credit per token of output."""
    return Ask(wallet=wallet, agent_uid=AGENT, price=PRICE, input_tokens=0, output_tokens_max=output_max)


@pytest.fixture
async def hand(world: World, tmp_path: Path) -> Hand:
    """A gateway on a wallet of 1,000 micro-credits."""
    await world.wallet(micros=1_000)
    return Hand(await world.gateway(), tmp_path)


async def held(world: World) -> tuple[int, int]:
    """Balance and what is held of it."""
    view = await world.see()
    return view.balance_micros, view.held_micros


async def calls(world: World) -> int:
    """How often leases were touched: every change of a row has its own transaction."""
    return int(await world.sql.fetchval("SELECT count(DISTINCT xmin) FROM money.lease"))


async def test_many_requests_are_one_report_and_draining_gives_the_rest_back(world: World, hand: Hand) -> None:
    for _ in range(5):
        await hand.spend(7)
    await hand.spending.flush()
    assert await world.sql.fetchval("SELECT count(*) FROM money.entry WHERE kind = 'Model'") == 1
    assert (await held(world))[0] == 1_000 - 35
    await hand.spending.drain()
    assert await held(world) == (965, 0)


async def test_a_busy_wallet_is_asked_once_for_the_next_seconds(world: World, hand: Hand) -> None:
    for step in range(40):
        hand.now_s = step / 10
        await hand.spend(10, output_max=10)
    leases = await world.sql.fetch("SELECT granted_micros FROM money.lease")
    assert len(leases) == 1
    # After three seconds of 100 micro-credits each, a slice is that large, not one request's.
    assert leases[0][0] - 400 >= 100
    await hand.spending.drain()


async def test_requests_at_once_are_never_promised_more_than_the_wallet_has(world: World, hand: Hand) -> None:
    tickets: list[Ticket] = []

    async def admit_all() -> None:
        while True:
            tickets.append(await hand.spending.admit(ask(70)))

    with pytest.raises(OutOfCredit):
        await admit_all()
    assert (tickets[-1].output_tokens_max, tickets[-1].lease_id) == (1_000 % 70, None)  # it got what was left
    assert sum(ticket.output_tokens_max for ticket in tickets) == 1_000
    for ticket in tickets:
        hand.spending.finish(ticket, Tokens(0, ticket.output_tokens_max))
    await hand.spending.flush()
    assert await held(world) == (0, 0)


async def test_idle_purses_are_returned_and_busy_ones_renewed(world: World, hand: Hand) -> None:
    await hand.spend(1, output_max=100)
    await hand.spending.flush()
    hand.now_s = 29.0
    await world.at(T + 29)
    await hand.spending.give_back()
    assert await world.sql.fetchval("SELECT expires_at FROM money.lease") == T + 29 + 120
    hand.now_s = 30.0
    await hand.spending.give_back()
    assert await held(world) == (999, 0)
    await hand.spend(1)  # and it may begin again
    await hand.spending.drain()


async def test_a_wallet_that_stops_revokes_its_purse_but_what_was_promised_is_served(world: World, hand: Hand) -> None:
    ticket = await hand.spending.admit(ask(50))
    await hand.spend(1, output_max=100)
    await world.ledger.place_hold(1, cause="Manual", ref="r", actor="test")
    await hand.spending.give_back()
    with pytest.raises(OutOfCredit):
        await hand.spending.admit(ask(1))
    assert (await held(world))[1] == 51
    hand.spending.finish(ticket, Tokens(0, 50))
    await hand.spending.give_back()
    assert await held(world) == (949, 0)


async def test_a_gateway_that_was_replaced_stops(world: World, hand: Hand) -> None:
    await hand.spend(3)
    await world.gateway()
    for work in (hand.spending.flush, hand.spending.give_back):
        with pytest.raises(LostLeadership):
            await work()


async def test_a_request_that_the_ledger_refuses_does_not_keep_the_others_back(world: World, hand: Hand) -> None:
    bad = await hand.spending.admit(ask(10))
    await hand.spend(4)
    hand.spending.finish(bad, Tokens(0, -1))
    await hand.spend(5)
    await hand.spending.flush()
    assert (await held(world))[0] == 1_000 - 9
    await hand.spending.drain()


async def test_a_journal_is_settled_once_however_often_it_is_replayed(world: World, hand: Hand, tmp_path: Path) -> None:
    await hand.spend(4)
    await hand.spending.flush()
    await hand.spend(5)
    await hand.spending.admit(ask(20))
    await hand.journal.write()  # and here the gateway dies
    left = journal.read(tmp_path)
    assert (len(left.ended), len(left.unfinished)) == (2, 1)
    for _ in range(2):
        done = await spending.settle_journal(await world.gateway(), left)
        assert (done.ended, done.unfinished, done.cost_picos) == (2, 1, 9_000_000)
    assert await held(world) == (991, 0)
    assert await world.sql.fetchval("SELECT count(*) FROM money.usage") == 3


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_gateway_killed_under_load_charges_each_request_once_and_never_more_than_its_worst_case(
    world: World, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallets = 4
    for number in range(wallets):
        await world.wallet(f"wallet-{number}", micros=(2_000, 50_000_000)[number % 2])
    command = [sys.executable, "-m", "tests.integration.money.dying_gateway", world.url, str(tmp_path), str(wallets)]
    environment = {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}", "PATH": "/usr/bin:/bin"}
    told = _until_killed([*command, str(seed)], environment, lines=400 + 131 * seed)
    monkeypatch.setenv("MOORAGE_DATABASE_URL", world.url)
    # In a thread: a command brings its own event loop.
    answer = await asyncio.to_thread(CliRunner().invoke, cli.main, ["ledger", "replay-journal", str(tmp_path)])
    assert answer.exit_code == 0, answer.output
    rows = await world.sql.fetch("SELECT id::text, amount_picos FROM money.usage")
    charged = {row["id"]: row["amount_picos"] for row in rows}
    assert len(charged) == len(rows)
    assert told <= set(charged)  # what was on disk is charged, though most of it was never reported
    worst = 3 * PRICE.input_picos + 20 * PRICE.output_picos
    assert max(charged.values()) <= worst
    assert await world.sql.fetchval("SELECT min(balance_micros) FROM money.wallet") >= 0
    assert await world.sql.fetchval("SELECT sum(held_micros) FROM money.wallet") == 0
    paid = await world.sql.fetchval("SELECT sum(spent_picos + late_picos) FROM money.lease")
    paid += await world.sql.fetchval("SELECT coalesce(sum(paid_picos), 0) FROM money.hold")
    assert paid == sum(charged.values())
    assert _is_empty(tmp_path)


def _until_killed(command: list[str], environment: dict[str, str], *, lines: int) -> set[str]:
    """Run it until it has said so many lines, kill it, and return what it said."""
    read: Callable[[], str]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        read = gateway.stdout.readline
        said = {read().strip() for _ in range(lines)}
        gateway.send_signal(signal.SIGKILL)
        rest = gateway.stdout.read()
    return said | {text for text in rest.splitlines() if len(text) == 36}


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None
