"""The commands for payments and for what people do to wallets: what they change, say and answer to programs."""

import asyncio
import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from moorage.cli import main
from tests.integration.money.world import World, new_world

pytestmark = pytest.mark.postgres

Moorage = Callable[..., Result]


async def _set_up(url: str) -> None:
    async with new_world(url) as world:
        await _two_wallets(world)


async def _two_wallets(world: World) -> None:
    acme = await world.wallet("acme", micros=1_000_000)
    await world.wallet("zoo")
    await world.pay(acme, "pi_1", refunded_ext=100)
    await world.pay(4711, "pi_2")


@pytest.fixture
def moorage(database_url: str) -> Moorage:
    """Runs a command as `ann`, or as who is named."""
    asyncio.run(_set_up(database_url))

    def run(*arguments: str, user: str = "ann") -> Result:
        return CliRunner().invoke(
            main, list(arguments), env={"MOORAGE_DATABASE_URL": database_url, "LOGNAME": user, "USER": user}
        )

    return run


def _balance(moorage: Moorage, name: str = "acme") -> int:
    return int(json.loads(moorage("wallet", "show", name, "--json").output)["balance_micros"])


def test_payments_are_listed_with_what_became_of_them(moorage: Moorage) -> None:
    found = json.loads(moorage("payment", "list", "--json").output)
    assert {(one["obj_id"], one["wallet"], one["state"], one["trouble"]) for one in found} == {
        ("pi_1", "acme", "PartlyReversed", None),
        ("pi_2", None, "Pending", "UnknownWallet"),
    }
    assert "InSuspense" in moorage("payment", "list").output
    assert "pi_2" not in moorage("payment", "list", "--wallet", "acme").output
    assert "Reversed  1.00" in moorage("payment", "show", "pi_1").output


def test_a_payment_that_does_not_exist_is_said_so(moorage: Moorage) -> None:
    done = moorage("payment", "show", "pi_9")
    assert (done.exit_code, done.output) == (
        1, "Error: There is no payment pi_9; `moorage payment list` shows the last ones.\n")  # fmt: skip


def test_what_waits_is_listed_with_what_to_do_and_goes_when_it_is_assigned(moorage: Moorage) -> None:
    assert "moorage payment assign" in moorage("payment", "suspense").output
    assert "There is no wallet named nobody" in moorage("payment", "assign", "stripe", "pi_2", "nobody").output
    assert moorage("payment", "assign", "stripe", "pi_2", "zoo").output.startswith("Payment pi_2 is booked to zoo.")
    assert (_balance(moorage, "zoo"), moorage("payment", "suspense").output) == (10_000_000, "Nothing waits.\n")
    again = moorage("payment", "assign", "stripe", "pi_2", "zoo")
    assert (again.exit_code, again.output) == (1, "Error: no payment of this number waits for a wallet.\n")


def test_a_waiting_payment_can_be_dismissed_with_a_reason(moorage: Moorage) -> None:
    assert moorage("payment", "dismiss", "stripe", "pi_2").exit_code == 2
    assert moorage("payment", "dismiss", "stripe", "pi_2", "--reason", "paid back").exit_code == 0
    assert json.loads(moorage("payment", "suspense", "--json").output) == []


def test_a_payer_is_linked(moorage: Moorage) -> None:
    done = moorage("payment", "link", "Tribute", "telegram:7", "zoo")
    assert done.output == "What telegram:7 pays is zoo's from now on.\n"


def test_a_correction_takes_two_people(moorage: Moorage) -> None:
    asked = json.loads(moorage("wallet", "correct", "acme", "-2.5", "--reason", "a mistake", "--json").output)
    number = str(asked["correction_id"])
    assert "acme  -2.50 credits  a mistake (cli:ann" in moorage("wallet", "approve").output
    refused = moorage("wallet", "approve", number)
    assert (refused.exit_code, refused.output) == (
        1, "Error: whoever asked for a correction cannot approve it.\n")  # fmt: skip
    assert "is booked" in moorage("wallet", "approve", number, user="ben").output
    assert (_balance(moorage), moorage("wallet", "approve").output) == (7_500_000, "Nothing waits.\n")


@pytest.mark.parametrize("amount", ["--5", "lots", "-", "1e3", "0"])
def test_a_correction_of_no_amount_is_refused_with_a_sentence(moorage: Moorage, amount: str) -> None:
    done = moorage("wallet", "correct", "acme", amount, "--reason", "r")
    assert done.exit_code in (1, 2)
    assert "Traceback" not in done.output
    assert "amount" in done.output


def test_credit_is_given_once_per_campaign(moorage: Moorage) -> None:
    give = ("wallet", "give", "acme", "5", "--campaign", "hello", "--expires", "2100-01-01T00:00:00Z")
    assert [moorage(*give).output.splitlines()[0] for _ in "ab"] == [
        "Given to acme.", "This was given before; nothing was booked now."]  # fmt: skip
    assert _balance(moorage) == 15_000_000


def test_a_hold_is_placed_and_lifted_by_its_words(moorage: Moorage) -> None:
    assert moorage("wallet", "hold", "acme", "--ref", "fraud?").output == "acme is on hold.\n"
    assert "Standing      OnHold" in moorage("wallet", "show", "acme").output
    wrong = moorage("wallet", "unhold", "acme", "--ref", "fraud")
    assert (wrong.exit_code, "it is held for: Manual fraud?" in wrong.output) == (1, True)
    assert moorage("wallet", "unhold", "acme", "--ref", "fraud?").output == "acme is not on hold any more.\n"


def test_a_wallet_that_holds_credit_is_not_closed_but_merged(moorage: Moorage) -> None:
    refused = moorage("wallet", "close", "acme", "--reason", "left")
    assert (refused.exit_code, "correct its balance to nothing first" in refused.output) == (1, True)
    assert moorage("wallet", "merge", "acme", "zoo", "--reason", "one person").output == (
        "10.00 credits of acme are zoo's; acme is closed.\nBalance: 10.00 credits.\n")  # fmt: skip
    assert "There is no wallet named acme" in moorage("wallet", "close", "acme", "--reason", "left").output
    assert moorage("wallet", "merge", "acme", "zoo", "--reason", "r").exit_code == 1


@pytest.mark.parametrize("command", ["correct", "approve", "give", "hold", "unhold", "close", "merge"])
def test_every_command_says_what_it_does(moorage: Moorage, command: str) -> None:
    done = moorage("wallet", command, "--help")
    assert done.exit_code == 0
    assert "--json" in done.output
