"""What a tenant can check: the balance line by line, the movements as a file, the statement by agent."""

import asyncio
import csv
import io
import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from moorage.cli import main
from tests.integration.money.world import START_S, World, new_world

pytestmark = pytest.mark.postgres

Moorage = Callable[..., Result]
DAY_S = 86_400


async def _play(url: str) -> None:
    async with new_world(url) as world:
        await _story(world)


async def _story(world: World) -> None:
    """One credit; an agent for a hundred seconds, which ends; another that runs; a grant a day later."""
    await world.wallet("acme", micros=1_000_000)
    pod = await world.open(await world.agent("a"), START_S)
    await world.proven_at(START_S + 100)
    await world.close(pod, START_S + 100)
    await world.open(await world.agent("b"), START_S + 100)
    await world.proven_at(START_S + 150)
    await world.settle()
    await world.at(START_S + 160)
    await world.grant(2_000_000, key="second")
    await world.at(START_S + 170)
    assert await world.broken() == []


@pytest.fixture
def moorage(database_url: str) -> Moorage:
    """Runs the command on the story above."""
    asyncio.run(_play(database_url))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments), env={"MOORAGE_DATABASE_URL": database_url})

    return run


def test_the_explanation_adds_up_line_by_line(moorage: Moorage) -> None:
    done = moorage("ledger", "explain", "acme", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    booked = {one["kind"]: one["amount_micros"] for one in found["movements"]}
    assert booked == {"Grant": 3_000_000, "Usage": -1_500}
    assert sum(booked.values()) == found["balance_micros"]
    now = found["present"]
    metered = sum(line["amount_picos"] for line in now["metered"]) + now["open_picos"]
    assert metered == -1_000_000 * booked["Usage"] + now["carry_picos"]
    assert [(line["agent"], line["charged_seconds"]) for line in now["metered"]] == [("mn-acme/a", 100)]
    assert now["accrued_micros"] == 200  # twenty seconds since the last proof
    assert now["live_balance_micros"] == found["balance_micros"] - 200


def test_the_explanation_reads_like_a_statement(moorage: Moorage) -> None:
    lines = moorage("ledger", "explain", "acme").output.splitlines()
    assert lines[0] == "Wallet acme at 1970-01-12T13:49:30Z, in credits"
    assert "  Grant                2 entries                                             3.00" in lines
    assert "  mn-acme/a, Pod small                100 s                                 0.001" in lines
    assert lines[-2].split() == ["burn", "per", "hour", "0.036"]
    assert lines[-1].split()[0] == "zero"


def test_a_past_moment_shows_what_was_booked_then(moorage: Moorage) -> None:
    done = moorage("ledger", "explain", "acme", "--at", "1970-01-12T13:46:40Z", "--json")
    found = json.loads(done.output)
    assert (found["last_seq"], found["balance_micros"], found["present"]) == (1, 1_000_000, None)
    before = json.loads(moorage("ledger", "explain", "acme", "--at", "1970-01-01", "--json").output)
    assert (before["last_seq"], before["balance_micros"], before["movements"]) == (0, 0, [])


def test_the_export_has_every_movement_of_the_days_asked_for(moorage: Moorage) -> None:
    rows = list(csv.DictReader(io.StringIO(moorage("wallet", "export", "acme").output)))
    assert [(row["kind"], row["amount_micros"]) for row in rows] == [
        ("Grant", "1000000"),
        ("Usage", "-1000"),
        ("Usage", "-500"),
        ("Grant", "2000000"),
    ]
    days = ["--from", "1970-01-12", "--to", "1970-01-12"]
    in_json = moorage("wallet", "export", "acme", "--format", "json", *days).output.splitlines()
    assert [json.loads(line)["balance_after_micros"] for line in in_json] == [1_000_000, 999_000, 998_500, 2_998_500]
    assert moorage("wallet", "export", "acme", "--from", "1970-01-13").output.count("\n") == 1  # the header


def test_a_reason_that_looks_like_a_formula_stays_a_text(moorage: Moorage) -> None:
    moorage("wallet", "grant", "acme", "1", "--reason", "=1+1")
    rows = list(csv.DictReader(io.StringIO(moorage("wallet", "export", "acme").output)))
    assert rows[-1]["reason"] == "'=1+1"


def test_the_statement_adds_up_by_agent(moorage: Moorage) -> None:
    done = moorage("wallet", "statement", "acme", "--from", "1970-01-12", "--to", "1970-01-12", "--json")
    assert [(line["agent"], line["amount_picos"]) for line in json.loads(done.output)] == [("mn-acme/a", 1_000_000_000)]
    assert moorage("wallet", "statement", "acme").output.splitlines()[-1].split() == ["total", "0.001"]


@pytest.mark.parametrize(
    "command", [["ledger", "explain", "x"], ["wallet", "export", "x"], ["wallet", "statement", "x"]], ids=lambda c: c[1]
)
def test_an_unknown_wallet_is_answered_with_the_way_to_find_it(moorage: Moorage, command: list[str]) -> None:
    done = moorage(*command)
    assert done.exit_code == 1
    assert done.output == "Error: There is no wallet named x; `moorage wallet list` shows all of them.\n"


def test_days_in_the_wrong_order_are_refused_with_a_sentence(moorage: Moorage) -> None:
    done = moorage("wallet", "export", "acme", "--from", "2026-01-02", "--to", "2026-01-01")
    assert done.exit_code == 2
    assert "The last day lies before the first." in done.output


def test_seal_prints_the_head_and_finds_nothing_new_the_second_time(moorage: Moorage) -> None:
    first = moorage("ledger", "seal").output.splitlines()
    assert first[0] == "Sealed 4 entries and 0 system entries as seal 1."
    again = moorage("ledger", "seal").output.splitlines()
    assert again == ["Nothing new to seal.", first[-1]]
    head = json.loads(moorage("ledger", "seal", "--json").output)["head"]
    assert first[-1].startswith(f"Head: seal 1, {head['hash']}")


def test_verify_of_one_wallet_and_of_an_unknown_one(moorage: Moorage) -> None:
    assert moorage("ledger", "verify", "--wallet", "acme", "--since", "0").exit_code == 0
    done = moorage("ledger", "verify", "--wallet", "x")
    assert (done.exit_code, "There is no wallet named x" in done.output) == (2, True)
