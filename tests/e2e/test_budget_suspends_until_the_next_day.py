"""A day's budget is spent: the agent stops at that second, credit does not bring it back, a larger budget does."""

import datetime
from decimal import Decimal

import pytest

from tests.e2e.cluster import condition
from tests.e2e.house import MICROS, House
from tests.e2e.tenancy import PLENTY_MICROS, SOON_OVER_SECONDS, Tenant, seconds_of_demo

pytestmark = pytest.mark.cluster

DAY_SECONDS = 86_400
TEST_SECONDS_MAX = 300


def test_an_agent_stops_at_its_budget_and_comes_back_with_a_larger_one(house: House, tenant: Tenant) -> None:
    _not_over_midnight()
    budget = seconds_of_demo(SOON_OVER_SECONDS)
    helper = tenant.open(PLENTY_MICROS).agent(size="demo", budget=_per_day(budget))
    first = helper.until_ready()["status"]["podName"]
    assert helper.chat("remember the tide is low")
    agent = helper.until_suspended()

    assert condition(agent, "Suspended") == ("True", "BudgetReached")
    assert condition(agent, "Funded") == ("False", "BudgetReached")
    assert agent["status"]["lastSnapshot"]["verified"] is True
    wallet = house.row("SELECT * FROM money.wallet WHERE name = $1", tenant.name)
    assert wallet["balance_micros"] == PLENTY_MICROS - budget, "charged to the second of the budget"
    assert (wallet["standing"], wallet["burn_picos"]) == ("Funded", 0)
    _until_midnight(helper.record()["reached_until"], wallet["due_at"])

    house.grant(tenant.name, PLENTY_MICROS)
    both = str(Decimal(2 * PLENTY_MICROS - budget) / MICROS)
    shown = house.cluster.until_one(
        "wallets", "", tenant.name, lambda seen: seen["status"]["balance"] == both, "the second grant"
    )
    assert condition(shown, "Funded") == ("True", "Funded")
    assert (helper.record()["veto"], helper.pods()) == ("BudgetReached", [])

    helper.patch(budget=_per_day(PLENTY_MICROS))
    second = helper.until_ready()
    assert second["status"]["podName"] != first
    assert condition(second, "Funded") == ("True", "Funded")
    assert "the tide is low" in helper.chat("recall")
    house.books_are_right()


def test_a_wallets_limit_stops_all_its_agents_and_says_so(house: House, tenant: Tenant) -> None:
    _not_over_midnight()
    tenant.open(PLENTY_MICROS)
    helpers = [tenant.agent(name, size="demo", storage=None, env=None) for name in ("one", "two")]
    for helper in helpers:
        helper.until_ready()
    house.cluster.patch("wallets", "", tenant.name, {"spec": {"spendLimit": _per_day(1)}})
    for helper in helpers:
        helper.until_says("Suspended", "BudgetReached")
    shown = house.cluster.until_one(
        "wallets", "", tenant.name, lambda seen: condition(seen, "Funded")[1] == "BudgetReached", "the wallet's word"
    )
    assert shown["status"]["standing"] == "Funded"

    house.cluster.patch("wallets", "", tenant.name, {"spec": {"spendLimit": None}})
    for helper in helpers:
        helper.until_ready()
    house.books_are_right()


def _per_day(micros: int) -> dict[str, str]:
    return {"perDay": str(Decimal(micros) / MICROS)}


def _until_midnight(reached_until: int, due_at: int) -> None:
    """It is remembered until midnight, and somebody looks at the wallet then."""
    now = datetime.datetime.now(datetime.UTC).timestamp()
    assert reached_until % DAY_SECONDS == 0
    assert 0 < reached_until - now <= DAY_SECONDS
    assert due_at <= reached_until


def _not_over_midnight() -> None:
    left = DAY_SECONDS - datetime.datetime.now(datetime.UTC).timestamp() % DAY_SECONDS
    if left < TEST_SECONDS_MAX:
        pytest.skip("a new day would begin in the middle of this test")
