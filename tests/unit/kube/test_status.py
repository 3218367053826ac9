"""Statuses: which differences count, and when a condition last changed."""

from typing import Any

import pytest

from moorage.kube import status

LONG_AGO, NOW = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"


def ready(state: str = "True", reason: str = "PodReady", generation: int = 1, since: str = "") -> dict[str, Any]:
    """A Ready condition."""
    item = {"type": "Ready", "status": state, "reason": reason, "message": "…", "observedGeneration": generation}
    return {**item, "lastTransitionTime": since} if since else item


FUNDED = {"type": "Funded", "status": "True", "reason": "Funded", "message": "…", "observedGeneration": 1}

SAME = {
    "only the transition time": ({"conditions": [ready(since=LONG_AGO)]}, {"conditions": [ready()]}),
    "the order of conditions": ({"conditions": [FUNDED, ready()]}, {"conditions": [ready(), FUNDED]}),
    "an absent value": ({"podName": None, "conditions": []}, {}),
}
DIFFERENT = {
    "a reason": ({"conditions": [ready()]}, {"conditions": [ready(reason="PodNotReady")]}),
    "the observed generation": ({"conditions": [ready()]}, {"conditions": [ready(generation=2)]}),
    "a condition more": ({"conditions": [ready()]}, {"conditions": [ready(), FUNDED]}),
    "a condition less": ({"conditions": [ready(), FUNDED]}, {"conditions": [ready()]}),
    "a field": ({"podName": "a-1"}, {"podName": "a-2"}),
    "a field less": ({"podName": "a-1"}, {}),
    "everything": ({}, {"conditions": [ready()]}),
}


@pytest.mark.parametrize(("seen", "wanted"), SAME.values(), ids=SAME.keys())
def test_difference_is_not_written_when_it_is(seen: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert status.same(seen, wanted)


@pytest.mark.parametrize(("seen", "wanted"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_difference_is_written_when_it_is(seen: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert not status.same(seen, wanted)


def test_transition_time_is_kept_when_only_the_reason_changed() -> None:
    dated = status.dated({"conditions": [ready(reason="Other")]}, {"conditions": [ready(since=LONG_AGO)]}, NOW)
    assert dated["conditions"][0]["lastTransitionTime"] == LONG_AGO


def test_transition_time_is_now_when_the_status_changed_or_is_new() -> None:
    seen = {"conditions": [ready(since=LONG_AGO)]}
    dated = status.dated({"conditions": [ready(state="False"), FUNDED]}, seen, NOW)
    assert [item["lastTransitionTime"] for item in dated["conditions"]] == [NOW, NOW]


def test_conditions_are_sorted_so_that_equal_statuses_are_equal_bytes() -> None:
    dated = status.dated({"conditions": [ready(), FUNDED], "podName": "a-1"}, {}, NOW)
    assert [item["type"] for item in dated["conditions"]] == ["Funded", "Ready"]
    assert dated["podName"] == "a-1"
