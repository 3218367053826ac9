"""The command line: what it does to the ledger, and what it says when it cannot."""

import asyncio
import json
from collections.abc import Callable

import asyncpg
import pytest
from click.testing import CliRunner, Result

from dev.postgres import Postgres
from moorage.cli import main
from tests.integration.money.world import RATE_PICOS, World, new_world

pytestmark = pytest.mark.postgres

Moorage = Callable[..., Result]


async def _set_up(url: str) -> None:
    async with new_world(url) as world:
        await _open_one(world)


async def _open_one(world: World) -> None:
    await world.wallet("acme", micros=1_000_000)
    await world.open(await world.agent("a"), 1_000_000)


@pytest.fixture
def moorage(database_url: str) -> Moorage:
    """Runs the command on a ledger where acme has one credit and one agent."""
    asyncio.run(_set_up(database_url))

    def run(*arguments: str, url: str | None = database_url) -> Result:
        return CliRunner().invoke(main, list(arguments), env={"MOORAGE_DATABASE_URL": url})

    return run


def test_a_grant_is_booked_and_prints_its_key(moorage: Moorage) -> None:
    done = moorage("wallet", "grant", "acme", "12.5", "--reason", "hello", "--key", "k1")
    assert (done.exit_code, done.output) == (
        0,
        "Booked 12.50 credits to acme (key k1).\nBalance: 13.50 credits, Funded.\n",
    )
    again = moorage("wallet", "grant", "acme", "12.5", "--reason", "hello", "--key", "k1", "--json")
    answer = json.loads(again.output)
    assert (answer["repeated"], answer["balance_micros"]) == (True, 13_500_000)


def test_a_grant_without_a_key_is_a_new_grant_each_time(moorage: Moorage) -> None:
    keys = {json.loads(moorage("wallet", "grant", "acme", "1", "--reason", "r", "--json").output)["key"] for _ in "ab"}
    assert len(keys) == 2
    assert json.loads(moorage("wallet", "show", "acme", "--json").output)["balance_micros"] == 3_000_000


@pytest.mark.parametrize(
    ("amount", "sentence"),
    [
        pytest.param("-5", "-5 is not an amount: an amount of credits is a positive decimal number", id="negative"),
        pytest.param("lots", "lots is not an amount", id="a word"),
        pytest.param("0.0000001", "at most six decimals", id="too fine"),
        pytest.param("9999999", "may not exceed 9000000", id="too much"),
        pytest.param("0", "A grant of nothing", id="nothing"),
    ],
)
def test_a_grant_of_no_amount_is_refused_with_a_sentence(moorage: Moorage, amount: str, sentence: str) -> None:
    done = moorage("wallet", "grant", "acme", amount, "--reason", "r")
    assert done.exit_code == 2
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_a_key_with_another_amount_is_refused_with_a_sentence(moorage: Moorage) -> None:
    moorage("wallet", "grant", "acme", "1", "--reason", "r", "--key", "k")
    done = moorage("wallet", "grant", "acme", "2", "--reason", "r", "--key", "k")
    assert (done.exit_code, done.output) == (1, "Error: this key was used for another grant.\n")


@pytest.mark.parametrize(
    "command", [["grant", "nobody", "1", "--reason", "r"], ["show", "nobody"], ["history", "nobody"]]
)
def test_an_unknown_wallet_is_answered_with_the_way_to_find_it(moorage: Moorage, command: list[str]) -> None:
    done = moorage("wallet", *command)
    assert done.exit_code == 1
    assert done.output == "Error: There is no wallet named nobody; `moorage wallet list` shows all of them.\n"


def test_show_tells_balance_burn_and_time_to_zero(moorage: Moorage) -> None:
    done = moorage("wallet", "show", "acme")
    assert done.exit_code == 0
    assert f"{RATE_PICOS * 3600 // 1_000_000}" == "36000"
    assert "Balance       1.00 credits" in done.output
    assert "Burn          0.036 credits per hour" in done.output
    assert "Time to zero  1 d 3 h (1970-01-13T17:33:20Z)" in done.output


def test_history_shows_the_newest_entry_first(moorage: Moorage) -> None:
    moorage("wallet", "grant", "acme", "2", "--reason", "second")
    lines = moorage("wallet", "history", "acme").output.splitlines()
    assert len(lines) == 3
    assert "second" in lines[1]
    assert lines[1].split()[:5] == ["2", "1970-01-12T13:46:40Z", "Grant", "2.00", "3.00"]
    assert len(moorage("wallet", "history", "acme", "--before", "2").output.splitlines()) == 2


def test_list_names_all_wallets(moorage: Moorage) -> None:
    assert moorage("wallet", "list").output == "acme\n"


def test_verify_exits_with_one_when_an_entry_was_edited(moorage: Moorage, database_url: str) -> None:
    assert moorage("ledger", "verify").exit_code == 0

    async def tamper() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE money.entry SET amount_micros = amount_micros + 1")
        await connection.close()

    asyncio.run(tamper())
    done = moorage("ledger", "verify")
    assert done.exit_code == 1
    assert "FAIL I-1 " in done.output
    answer = json.loads(moorage("ledger", "verify", "--json").output)
    assert {check["id"] for check in answer if check["violations"]} == {"I-1", "I-2", "I-16"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(("/test_", "/none_"), "no database of this name", id="wrong database"),
        pytest.param(("moorage:", "moorage:x"), "refuses this user or password", id="wrong password"),
        pytest.param(("postgresql://", "mysql://"), "looks like postgresql://", id="wrong scheme"),
        pytest.param(("@127.0.0.1:", "@127.0.0.1:1"), "", id="wrong port"),
    ],
)
def test_a_wrong_database_url_is_answered_with_a_sentence(
    moorage: Moorage, database_url: str, change: tuple[str, str], sentence: str
) -> None:
    for command in (["wallet", "show", "acme"], ["ledger", "verify"], ["migrate"]):
        done = moorage(*command, url=database_url.replace(*change))
        assert done.exit_code == (2 if command[0] == "ledger" else 1)
        assert sentence in done.output
        assert isinstance(done.exception, SystemExit)


def test_a_missing_database_url_is_answered_with_a_sentence(moorage: Moorage) -> None:
    done = moorage("wallet", "show", "acme", url=None)
    assert done.exit_code == 2
    assert "MOORAGE_DATABASE_URL is not set" in done.output


def test_an_empty_database_asks_for_migrate(moorage: Moorage, postgres: Postgres) -> None:
    postgres.psql("CREATE DATABASE empty", database="postgres")
    done = moorage("wallet", "show", "acme", url=postgres.url("empty"))
    assert (done.exit_code, "run `moorage migrate` first" in done.output) == (1, True)
    assert "applied 0001_pre_house.sql" in moorage("migrate", url=postgres.url("empty")).output
    assert moorage("migrate", url=postgres.url("empty")).output == "The database is up to date.\n"
