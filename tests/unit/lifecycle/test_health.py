"""Healthy: what went wrong lately, told without flapping, and no longer than ten minutes."""

from datetime import timedelta
from typing import Any

import pytest

from moorage.lifecycle import conditions, health
from moorage.model.exits import ExitReason
from moorage.model.observation import UNKNOWN, PodPhase
from moorage.model.record import AgentState
from tests import factories
from tests.factories import NOW, agent_record, exit_of, observation, pod_view

CRASHING = {"ready": False, "waiting_reason": "CrashLoopBackOff", "restarts": 3, "last_exit": exit_of()}
FULL = factories.snapshot_facts(disk_bytes=1 << 30)
OVERFULL = factories.snapshot_facts(disk_bytes=(1 << 30) + 1)
EVICTED = {"last_exit": exit_of(ExitReason.EVICTED), "endings": 1, "start_at": NOW + timedelta(seconds=9)}


@pytest.mark.parametrize(
    ("record", "pod", "expected"),
    [
        pytest.param({}, {}, "True/Healthy", id="it runs"),
        pytest.param({}, {"ready": False}, "True/Healthy", id="not ready is not unhealthy"),
        pytest.param({}, None, "True/Healthy", id="no pod yet"),
        pytest.param({}, {"restarts": 1, "last_exit": exit_of()}, "False/Restarted", id="ended once"),
        pytest.param(
            {}, {"restarts": 9, "last_exit": exit_of(ran_seconds=3600)}, "False/Restarted",
            id="ended often, but each time after long",
        ),
        pytest.param({}, CRASHING, "False/CrashLoop", id="waits to be started again"),
        pytest.param(
            {}, CRASHING | {"waiting_reason": None, "ready": True}, "False/CrashLoop", id="ready between two crashes"
        ),
        pytest.param({}, {"ready": False, "waiting_reason": "RunContainerError"}, "False/CrashLoop", id="cannot start"),
        pytest.param(
            {}, CRASHING | {"last_exit": exit_of(ExitReason.OOM_KILLED)}, "False/OutOfMemory", id="out of memory"
        ),
        pytest.param(
            {}, {"restarts": 3, "last_exit": exit_of(at=NOW - timedelta(minutes=10))}, "True/Healthy", id="long ago"
        ),
        pytest.param(
            {}, {"restarts": 3, "last_exit": exit_of(at=NOW + timedelta(days=1))}, "False/CrashLoop",
            id="a node whose clock runs ahead",
        ),
        pytest.param(EVICTED, None, "False/Evicted", id="evicted, and waits for its next pod"),
        pytest.param(EVICTED | {"start_at": NOW}, {}, "False/Evicted", id="evicted, and runs again"),
        pytest.param(
            EVICTED | {"last_exit": exit_of(ExitReason.EPHEMERAL_STORAGE_FULL)}, None, "False/EphemeralStorageFull",
            id="wrote too much",
        ),
        pytest.param(EVICTED | {"last_exit": exit_of(), "endings": 2}, None, "False/CrashLoop", id="pod after pod"),
        pytest.param(
            EVICTED, {"restarts": 1, "last_exit": exit_of(ExitReason.OOM_KILLED)}, "False/OutOfMemory",
            id="the present pod speaks first",
        ),
        pytest.param({}, {"node_ready": False}, "Unknown/NodeUnreachable", id="silent node"),
        pytest.param({"snapshot": OVERFULL}, {}, "False/VolumeOverfull", id="more on the volume than its size"),
        pytest.param(
            {"snapshot": OVERFULL, "state": AgentState.SUSPENDED}, None, "False/VolumeOverfull", id="at rest as well"
        ),
        pytest.param({"snapshot": OVERFULL, "volume_uid": None}, None, "True/Healthy", id="its volume is gone"),
        pytest.param({"snapshot": FULL}, {}, "True/Healthy", id="a volume that is just full"),
        pytest.param({"snapshot": OVERFULL}, CRASHING, "False/CrashLoop", id="what stops it comes first"),
        pytest.param(
            {}, {"node_ready": False, "node": None, "phase": PodPhase.PENDING}, "True/Healthy", id="not on a node yet"
        ),
        pytest.param(EVICTED | {"state": AgentState.SUSPENDED}, None, "True/Healthy", id="at rest nothing is wrong"),
    ],
)  # fmt: skip
def test_health_says(record: dict[str, Any], pod: dict[str, Any] | None, expected: str) -> None:
    seen = observation(pods=() if pod is None else (pod_view(**pod),))
    status, reason = health.healthy(agent_record(**record), seen)
    assert f"{status}/{reason}" == expected


def test_health_is_unknown_while_the_pods_are() -> None:
    status, reason = health.healthy(agent_record(), observation(pods=UNKNOWN))
    assert f"{status}/{reason}" == "Unknown/StateUnknown"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (ExitReason.EVICTED, "Evicted"),
        (ExitReason.EPHEMERAL_STORAGE_FULL, "EphemeralStorageFull"),
        (ExitReason.ERROR, "CrashLoop"),
        (ExitReason.COMPLETED, "CrashLoop"),
        (ExitReason.OOM_KILLED, "CrashLoop"),
    ],
)
def test_ready_says_why_the_next_pod_waits(reason: ExitReason, expected: str) -> None:
    record = agent_record(**EVICTED | {"last_exit": exit_of(reason)})
    status = _status(record, observation(pods=()))
    assert {item["type"]: item["reason"] for item in status["conditions"]}["Ready"] == expected


def test_the_last_exit_is_told_in_our_words_alone() -> None:
    told = _status(agent_record(), observation(pods=(pod_view(last_exit=exit_of(code=137)),)))["lastExit"]
    assert told == {"reason": "Error", "exitCode": 137, "at": "2026-05-01T11:59:00Z"}


def test_the_last_exit_of_the_pod_before_stays_until_there_is_another() -> None:
    record = agent_record(last_exit=exit_of(ExitReason.EVICTED, code=None))
    told = _status(record, observation())["lastExit"]
    assert told == {"reason": "Evicted", "at": "2026-05-01T11:59:00Z"}


def test_what_was_told_stays_while_the_pods_cannot_be_read() -> None:
    shown = {"lastExit": {"reason": "Error"}, "restarts": 2}
    status = _status(agent_record(), observation(pods=UNKNOWN), shown=shown)
    assert (status["lastExit"], status["restarts"]) == ({"reason": "Error"}, 2)


@pytest.mark.parametrize(
    ("record", "pod", "seconds"),
    [
        ({}, {}, None),
        ({}, {"last_exit": exit_of()}, 540.0),
        ({}, {"last_exit": exit_of(at=NOW + timedelta(days=1))}, 600.0),
        ({}, {"last_exit": exit_of(at=NOW - timedelta(minutes=10))}, None),
        ({"state": AgentState.SUSPENDED}, {"last_exit": exit_of()}, None),
    ],
    ids=["nothing ended", "a minute ago", "a node whose clock runs ahead", "long ago", "at rest"],
)
def test_somebody_looks_again_when_it_is_no_longer_lately(
    record: dict[str, Any], pod: dict[str, Any], seconds: float | None
) -> None:
    seen = observation(pods=(pod_view(**pod),))
    assert health.changes_in_seconds(agent_record(**record), seen) == seconds


def _status(record: Any, seen: Any, shown: dict[str, Any] | None = None) -> dict[str, Any]:
    agent = factories.agent(storage={"size": "1Gi"}, status=shown)
    return conditions.agent_status(agent, record, seen, problem=None, rate_picos=1)
