"""What the story reads out of the cluster's objects."""

import datetime

import pytest

from dev import story
from dev.scene import Scene

NOW = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)


def _scene(**parts: object) -> Scene:
    empty = {"wallet": None, "tenant": None, "agent": None, "pods": (), "now": NOW}
    return Scene(**{**empty, **parts})  # type: ignore[arg-type]  # the table's own keys


def test_empty_cluster_reads_as_nothing_yet() -> None:
    scene = _scene()
    assert (scene.balance, scene.exhausted, scene.seconds_to_zero, scene.snapshot) == (0, False, None, {})
    assert scene.condition("Ready") == ""
    assert "has not looked at it yet" in scene.reason("Ready")


def test_wallet_reads_with_its_balance_and_its_time_to_zero() -> None:
    wallet = {"balance": "0.05", "standing": "Funded", "zeroAt": "2026-03-01T12:00:09Z"}
    scene = _scene(wallet=wallet)
    assert str(scene.balance) == "0.05"
    assert scene.seconds_to_zero == 9
    assert not scene.exhausted


def test_condition_reads_with_its_reason_and_sentence() -> None:
    ready = {"type": "Ready", "status": "False", "reason": "PodStarting", "message": "The agent's pod is starting."}
    scene = _scene(agent={"conditions": [ready]})
    assert scene.condition("Ready") == "False"
    assert scene.reason("Ready") == "PodStarting: The agent's pod is starting."


@pytest.mark.parametrize(
    ("seconds", "text"), [(9, "9 s"), (119.6, "120 s"), (120, "0 h 2 min"), (19_950, "5 h 32 min")]
)
def test_duration_is_said_in_seconds_or_in_hours(seconds: float, text: str) -> None:
    assert story.duration(seconds) == text


@pytest.mark.parametrize(
    ("micros", "text"), [(0, "0.00"), (25_000, "0.025"), (50_000, "0.05"), (18 * 10**6, "18.00"), (99_840_000, "99.84")]
)
def test_credits_are_said_with_at_least_two_decimals(micros: int, text: str) -> None:
    assert story.credit(micros) == text
