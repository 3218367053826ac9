"""Any order of operations, each once, twice or in two sessions at once, leaves the books the model predicts.

After every single operation all invariants are asked, and ledger and model are compared.
"""

import asyncio
import os
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from moorage.store.database import Database
from tests.integration.money import operations
from tests.integration.money import stage as stages
from tests.integration.money.operations import ALONE
from tests.integration.money.stage import Stage
from tests.integration.money.steps import Seeded, Step, T
from tests.integration.money.world import new_world

pytestmark = pytest.mark.postgres

SEED = int(os.environ.get("MOORAGE_TEST_SEED", "20261121"))
RUNS, OPERATIONS_PER_RUN = 300, 24
BURNING = 3  # runs that are open from the start
NAMES = (*sorted(ALONE), "tick", "tick", "grant", "open_run", "report")  # without time nothing burns


class Hypothesised:
    """Choices that Hypothesis makes, and makes simpler when they fail."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def pick(self, options: Sequence[T]) -> T:
        """One of them."""
        return self._data.draw(st.sampled_from(options))

    def number(self, low: int, high: int) -> int:
        """Between both, inclusive."""
        return self._data.draw(st.integers(low, high))


class LedgerMachine(RuleBasedStateMachine):
    """One rule: an operation of the table."""

    stage: Stage
    second: Database
    runner: asyncio.Runner

    @initialize(low=st.sampled_from([0, 40]), micros=st.sampled_from([60, 500]))
    def begin(self, low: int, micros: int) -> None:
        self.place, self.model = self.runner.run(self.stage.begin("m", low_micros=low, micros=micros))
        for number in range(BURNING):
            step = operations.open_run(Seeded(f"begin {number}"), self.place)
            assert step is not None
            self.runner.run(self.play(step, "once"))

    @rule(data=st.data(), name=st.sampled_from(NAMES), how=st.sampled_from(["once", "twice", "two sessions"]))
    def operate(self, data: st.DataObject, name: str, how: str) -> None:
        self.place.down = stages.down(self.model)
        step = ALONE[name](Hypothesised(data), self.place)
        if step is not None:
            note(f"{step.name}, {how}")
            self.runner.run(self.play(step, how))

    async def play(self, step: Step, how: str) -> None:
        ours, theirs = self.stage.hands(), self.stage.hands(self.second)
        if how == "two sessions" and not step.name.startswith(("tick", "follow")):
            await asyncio.gather(step.call(ours), step.call(theirs))
        else:
            for _ in range(1 if how == "once" else 2):
                await step.call(ours)
        step.apply(self.model)
        assert await self.stage.disagreements(self.model) == []


def test_any_operations_once_twice_or_in_two_sessions_agree_with_the_model(database_url: str) -> None:
    print(f"seed {SEED}")  # noqa: T201  # pytest shows it with a failure
    with asyncio.Runner() as runner:
        scope = new_world(database_url)
        world = runner.run(scope.__aenter__())
        second = runner.run(Database.connect(database_url, size_max=2))
        try:
            stage = runner.run(Stage.build(world))
            machine = type("Machine", (LedgerMachine,), {"stage": stage, "second": second, "runner": runner})
            run_state_machine_as_test(
                seed(SEED)(machine),
                settings=settings(
                    max_examples=RUNS,
                    stateful_step_count=OPERATIONS_PER_RUN,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(second.close())
            runner.run(scope.__aexit__(None, None, None))
