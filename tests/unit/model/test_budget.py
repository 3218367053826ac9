"""Budgets at the door: a positive amount for a day, or no budget."""

import msgspec
import pytest

from moorage.model import agent, wallet
from tests import factories


def test_a_budget_is_read_exactly_into_the_unit_of_prices() -> None:
    found = agent.from_manifest(factories.agent_manifest(budget={"perDay": "2.000001"}))
    assert found.spec.budget is not None
    assert found.spec.budget.picos_per_day == 2_000_001_000_000
    spec = {"spendLimit": {"perDay": "999999.999999"}}
    limit = wallet.from_manifest({"metadata": {"name": "acme"}, "spec": spec}).spec.spend_limit
    assert limit is not None
    assert limit.picos_per_day == 999_999_999_999_000_000 < 2**63


@pytest.mark.parametrize("text", ["0", "0.000000", "-1", "0.0000001", "much", ""])
def test_what_is_no_amount_for_a_day_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        agent.from_manifest(factories.agent_manifest(budget={"perDay": text}))
