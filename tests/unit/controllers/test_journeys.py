"""How long stops and starts take, told from the records that a reconcile saves."""

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from moorage.controllers.journeys import Journeys
from moorage.model.record import AgentState
from moorage.model.wallet import Veto
from moorage.observability import Metrics
from tests.factories import NOW, agent_record

READY: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "True"}]}
STARTING: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "False"}]}


def taken(metrics: Metrics, name: str) -> dict[str, tuple[float, float]]:
    """By label: how many were measured, and the sum of their seconds."""
    return {
        value: (
            metrics.registry.get_sample_value(f"{name}_count", {label: value}) or 0,
            metrics.registry.get_sample_value(f"{name}_sum", {label: value}) or 0,
        )
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == f"{name}_count"
        for label, value in sample.labels.items()
    }


@pytest.mark.parametrize(
    ("before", "between", "path"),
    [
        (AgentState.SUSPENDED, (), "Volume"),
        (AgentState.SNAPSHOTTING, (), "Volume"),
        (AgentState.VERIFYING, (), "Volume"),
        (AgentState.ARCHIVED, (AgentState.RESTORING,), "Snapshot"),
    ],
)
def test_a_start_is_measured_from_the_decision_to_the_first_ready(
    before: AgentState, between: tuple[AgentState, ...], path: str
) -> None:
    metrics = Metrics()
    journeys = Journeys(metrics)
    states = [before, *between, AgentState.RUNNING]
    for second, (one, other) in enumerate(itertools.pairwise(states)):
        record = agent_record(state=one, now=NOW + timedelta(seconds=second))
        journeys.moved(record, replace(record, state=other))
    record = agent_record(state=AgentState.RUNNING, now=NOW + timedelta(seconds=4))
    journeys.told(record, STARTING)
    assert taken(metrics, "moorage_resume_seconds") == {}
    journeys.told(record, READY)
    # A pod that becomes ready once more, after a crash say, is no resume.
    journeys.told(replace(record, now=NOW + timedelta(hours=1)), READY)
    assert taken(metrics, "moorage_resume_seconds") == {path: (1, 4)}


def test_a_new_agent_is_measured_from_its_record() -> None:
    metrics = Metrics()
    journeys = Journeys(metrics)
    record = agent_record(state=AgentState.RUNNING, state_since=NOW, now=NOW)
    journeys.born(record)
    journeys.told(replace(record, now=NOW + timedelta(seconds=2)), READY)
    assert taken(metrics, "moorage_resume_seconds") == {"New": (1, 2)}


def test_a_start_that_is_called_off_is_not_measured() -> None:
    metrics = Metrics()
    journeys = Journeys(metrics)
    resting = agent_record(state=AgentState.SUSPENDED, now=NOW)
    running = replace(resting, state=AgentState.RUNNING)
    journeys.moved(resting, running)
    journeys.moved(running, replace(running, state=AgentState.DRAINING))
    journeys.told(replace(running, now=NOW + timedelta(seconds=9)), READY)
    assert taken(metrics, "moorage_resume_seconds") == {}


@pytest.mark.parametrize(
    ("veto", "after", "measured"),
    [
        (Veto.ZERO_BALANCE, AgentState.SNAPSHOTTING, {"ZeroBalance": (1, 7)}),
        (Veto.BUDGET_REACHED, AgentState.SUSPENDED, {"BudgetReached": (1, 7)}),
        (None, AgentState.SNAPSHOTTING, {"Other": (1, 7)}),
        (Veto.ZERO_BALANCE, AgentState.RUNNING, {}),  # called off
        (None, AgentState.RESTORING, {}),  # left on a lost node
    ],
)
def test_a_stop_is_measured_until_no_pod_is_left(
    veto: Veto | None, after: AgentState, measured: dict[str, tuple[float, float]]
) -> None:
    metrics = Metrics()
    record = agent_record(state=AgentState.DRAINING, veto=veto, state_since=NOW - timedelta(seconds=7), now=NOW)
    Journeys(metrics).moved(record, replace(record, state=after))
    assert taken(metrics, "moorage_suspend_seconds") == measured
