"""A Wallet's status: what the ledger says, and no write for what usage does to it from second to second."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from moorage.kube import status as statuses
from moorage.lifecycle import conditions, verdicts
from moorage.lifecycle.conditions import USAGE_AGE_MAX
from moorage.model import clock
from moorage.model.conditions import Status
from moorage.model.ledger import WalletView
from moorage.model.reasons import Reason
from moorage.model.wallet import Standing
from moorage.operation import RESYNC_SECONDS
from tests import factories
from tests.factories import NOW, wallet_view

DAY = timedelta(days=1)


def status_of(
    view: WalletView | None, *, shown: dict[str, Any] | None = None, problem: Reason | None = None
) -> dict[str, Any]:
    return conditions.wallet_status(factories.wallet(status=shown), view, problem=problem)


def said(status: dict[str, Any]) -> dict[str, str]:
    return {item["type"]: f"{item['status']}/{item['reason']}" for item in status["conditions"]}


def test_a_wallet_shows_what_the_ledger_says() -> None:
    status = status_of(wallet_view(missing_micros=6_000, held_micros=200_000))
    assert said(status) == {"Ready": "True/LedgerReady", "Funded": "True/Funded"}
    del status["conditions"]
    assert status == {
        "observedGeneration": 1,
        "asOf": "2026-05-01T12:00:00Z",
        "balance": "12.345678",
        "held": "0.20",
        "burnPerHour": "0.036",
        "zeroAt": "2026-05-01T13:00:00Z",
        "standing": "Funded",
        "missing": "0.006",
    }


@pytest.mark.parametrize(
    ("standing", "limit_reached", "funded"),
    [
        (Standing.FUNDED, False, "True/Funded"),
        (Standing.FUNDED, True, "False/BudgetReached"),
        (Standing.LOW, False, "True/LowBalance"),
        (Standing.LOW, True, "False/BudgetReached"),
        (Standing.EXHAUSTED, False, "False/ZeroBalance"),
        (Standing.EXHAUSTED, True, "False/ZeroBalance"),
        (Standing.ON_HOLD, False, "False/BillingOnHold"),
        (Standing.ON_HOLD, True, "False/BillingOnHold"),
    ],
)
def test_funded_names_the_reason_that_lasts_longest(standing: Standing, limit_reached: bool, funded: str) -> None:
    view = wallet_view(standing=standing, limit_reached=limit_reached)
    assert said(status_of(view))["Funded"] == funded
    tenant = conditions.tenant_status(factories.tenant(), problem=None, wallet=view, agents=(0, 0, 0))
    assert said(tenant)["Funded"] == funded


def test_funded_says_by_which_mark_the_wallet_is_low() -> None:
    funded = {}
    for by_runway in (False, True):
        status = status_of(wallet_view(standing=Standing.LOW, low_by_runway=by_runway))
        funded[by_runway] = next(item for item in status["conditions"] if item["type"] == "Funded")
    assert (funded[False]["reason"], funded[True]["reason"]) == ("LowBalance", "LowRunway")
    assert "below its lowBalance" in funded[False]["message"]
    assert "24 hours of runway" in funded[True]["message"]
    agent = factories.agent_record(wallet=factories.wallet_facts(standing=Standing.LOW, low_by_runway=True))
    assert verdicts.funded(agent) == (Status.TRUE, Reason.LOW_RUNWAY)


def test_a_wallet_in_use_is_not_ready_but_still_funded() -> None:
    status = status_of(wallet_view(), problem=Reason.WALLET_IN_USE)
    assert said(status) == {"Ready": "False/WalletInUse", "Funded": "True/Funded"}


def test_a_wallet_the_ledger_does_not_know_is_unknown() -> None:
    assert set(said(status_of(None)).values()) == {"Unknown/StateUnknown"}


AGO, LONG_AGO = NOW - timedelta(hours=1), NOW - USAGE_AGE_MAX


@pytest.mark.parametrize(
    ("shown_at", "changes", "fresh"),
    [
        pytest.param(LONG_AGO, {}, False, id="nothing moved"),
        pytest.param(LONG_AGO, {"balance_micros": 9_500_000}, False, id="usage took a little"),
        pytest.param(AGO, {"balance_micros": 5_000_000}, False, id="usage took much, but not long ago"),
        pytest.param(LONG_AGO, {"balance_micros": 9_000_000}, True, id="usage took a tenth, and long ago"),
        pytest.param(AGO, {"held_micros": 1_000_000}, False, id="a slice was set aside not long ago"),
        pytest.param(LONG_AGO, {"held_micros": 1_000_000}, True, id="a slice was set aside long ago"),
        pytest.param(AGO, {"balance_micros": 10_000_001}, True, id="credit came"),
        pytest.param(AGO, {"burn_picos": 1, "balance_micros": 9_999_999}, True, id="the burn changed"),
        pytest.param(AGO, {"standing": Standing.LOW, "balance_micros": 9_999_999}, True, id="the standing changed"),
        pytest.param(AGO, {"limit_reached": True, "balance_micros": 9_999_999}, True, id="the limit was reached"),
        pytest.param(AGO, {"missing_micros": 1, "balance_micros": 9_999_999}, True, id="something is missing"),
        pytest.param(AGO, {"zero_at": NOW, "balance_micros": 9_999_999}, True, id="zero comes much sooner"),
    ],
)
def test_amounts_are_shown_anew_when_it_is_worth_a_write(
    shown_at: datetime, changes: dict[str, Any], fresh: bool
) -> None:
    shown = status_of(wallet_view(balance_micros=10_000_000, now=shown_at))
    status = status_of(wallet_view(**{"balance_micros": 10_000_000, **changes}), shown=shown)
    assert status["asOf"] == clock.rfc3339(NOW if fresh else shown_at)
    assert statuses.same(shown, status) is not fresh


def test_a_debt_is_written_once() -> None:
    debt = wallet_view(balance_micros=-1_000_000, standing=Standing.EXHAUSTED, burn_picos=0, now=LONG_AGO)
    shown = status_of(debt)
    assert statuses.same(shown, status_of(wallet_view(**{**fields(debt), "now": NOW}), shown=shown))
    paid = wallet_view(**{**fields(debt), "balance_micros": 1, "now": NOW})
    assert status_of(paid, shown=shown)["balance"] == "0.000001"


def fields(view: WalletView) -> dict[str, Any]:
    return {name: getattr(view, name) for name in WalletView.__slots__}


def test_a_status_of_an_earlier_version_is_brought_up_to_date() -> None:
    shown = status_of(wallet_view())
    del shown["asOf"]
    assert status_of(wallet_view(), shown=shown)["asOf"] == clock.rfc3339(NOW)


@dataclass
class Spender:
    """A wallet that burns at a constant rate, some of them with requests to models besides, until it is at zero."""

    dice: random.Random
    balance_micros: int
    burn_micros: int  # per second
    models_micros: int  # per second, of no run
    shown: dict[str, Any] = field(default_factory=dict)

    def written_at(self, now: datetime) -> bool:
        """Look at it once, as the controller does; whether that led to a write."""
        gone = round((now - NOW).total_seconds())
        left = self.balance_micros - gone * (self.burn_micros + self.models_micros)
        held = min(left, self.dice.randrange(10**6)) if self.models_micros else 0
        cut = NOW + timedelta(seconds=self.balance_micros // (self.burn_micros + self.models_micros))
        view = wallet_view(
            standing=Standing.FUNDED if left > 0 else Standing.EXHAUSTED,
            balance_micros=max(0, left),
            held_micros=max(0, held),
            burn_picos=self.burn_micros * 10**6 if left > 0 else 0,
            zero_at=now + timedelta(seconds=left // self.burn_micros) if left > 0 else cut,
            now=now,
        )
        wanted = status_of(view, shown=self.shown)
        if statuses.same(self.shown, wanted):
            return False
        self.shown = statuses.dated(wanted, self.shown, clock.rfc3339(now))
        return True


# The wallets do not know of each other: every hundredth of ten thousand stands for its neighbours.
SPENDERS, NEIGHBOURS = 100, 100


@pytest.mark.parametrize("runway_days_max", [1, 7, 60])
def test_ten_thousand_wallets_at_work_are_written_at_most_every_other_second(runway_days_max: int) -> None:
    dice = random.Random(runway_days_max)
    written = 0
    for number in range(SPENDERS):
        runway_seconds = dice.randrange(3600, runway_days_max * 86_400)
        burn = dice.randrange(1, 500)
        models = burn // 4 if number % 10 == 0 else 0
        spender = Spender(dice, runway_seconds * (burn + models), burn, models)
        # The first day is not counted: until then they were all made within six hours.
        look = NOW + timedelta(seconds=dice.uniform(0, USAGE_AGE_MAX.total_seconds()))
        while look < NOW + DAY:
            wrote = spender.written_at(look)
            written += wrote and look >= NOW + USAGE_AGE_MAX
            look += timedelta(seconds=dice.uniform(*RESYNC_SECONDS))
    per_second = written * NEIGHBOURS / (DAY - USAGE_AGE_MAX).total_seconds()
    assert 0 < per_second <= 0.5
