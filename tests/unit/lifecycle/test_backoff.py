"""A pod that ended by itself is followed by another one, but not at once and not for ever at the same pace."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from moorage.lifecycle import backoff
from moorage.lifecycle import effects as do
from moorage.lifecycle.agent import transition
from moorage.lifecycle.decision import Decision
from moorage.model.exits import Exit, ExitReason
from moorage.model.names import PodUid
from moorage.model.observation import PodPhase, PodView
from moorage.model.record import AgentRecord
from tests.factories import NOW, agent_record, desired, exit_of, observation, pod_view

DESIRED = desired()
START = do.ApplyChildren(with_pod=True)


def ended_pod(**changes: object) -> PodView:
    base: dict[str, object] = {
        "phase": PodPhase.FAILED, "ready": False, "started_at": NOW - timedelta(minutes=1), "ended_at": NOW,
        "last_exit": exit_of(ExitReason.EVICTED, at=NOW),
    }  # fmt: skip
    return pod_view(**base | changes)


def decide(record: AgentRecord, *pods: PodView, at: datetime | None = None) -> Decision:
    return transition(replace(record, now=at or record.now), DESIRED, observation(pods=pods))


@pytest.mark.parametrize("phase", [PodPhase.FAILED, PodPhase.SUCCEEDED])
def test_an_ended_pod_is_charged_to_its_end_and_deleted_and_the_end_is_kept(phase: PodPhase) -> None:
    after = decide(agent_record(), ended_pod(phase=phase))
    assert after.effects == (do.CloseRun(PodUid("pod-1"), NOW), do.DeletePod("helper-1", PodUid("pod-1")))
    assert after.record.incarnation == 2
    assert after.record.last_exit == exit_of(ExitReason.EVICTED, at=NOW)
    assert after.record.start_at == NOW + timedelta(seconds=10)


def test_one_end_is_counted_once_however_often_it_is_looked_at() -> None:
    first = decide(agent_record(), ended_pod())
    again = decide(first.record, ended_pod())
    assert (again.record.endings, again.record.start_at) == (1, first.record.start_at)
    assert do.DeletePod("helper-1", PodUid("pod-1")) in again.effects
    assert START not in again.effects


def test_no_pod_starts_before_its_time_and_one_does_at_it() -> None:
    waiting = decide(agent_record(pod_uid=None), ended_pod()).record
    early = decide(waiting, at=NOW + timedelta(seconds=9))
    assert (early.effects, early.wait_seconds) == ((), 1.0)
    assert decide(waiting, at=NOW + timedelta(seconds=10)).effects == (START,)


def test_each_end_in_a_row_doubles_the_pause_up_to_five_minutes() -> None:
    record, pauses = agent_record(pod_uid=None), []
    for _ in range(8):
        name = f"helper-{record.incarnation}"
        record = decide(record, ended_pod(name=name)).record
        assert record.start_at is not None
        pauses.append((record.start_at - NOW).total_seconds())
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize(("minutes", "endings"), [(9, 5), (10, 1)])
def test_a_pod_that_ran_ten_minutes_begins_the_pauses_anew(minutes: int, endings: int) -> None:
    pod = ended_pod(started_at=NOW - timedelta(minutes=minutes))
    assert decide(agent_record(endings=4), pod).record.endings == endings


@pytest.mark.parametrize("last", [None, exit_of(ExitReason.EVICTED, at=None, code=None)])
def test_a_pod_that_ended_before_it_started_is_an_end_of_this_moment(last: Exit | None) -> None:
    after = decide(agent_record(pod_uid=None), ended_pod(started_at=None, ended_at=None, last_exit=last))
    assert after.record.last_exit is not None
    assert after.record.last_exit.at == NOW
    assert after.record.endings == 1


def test_a_pod_that_is_replaced_for_a_new_spec_waits_for_nothing() -> None:
    after = decide(agent_record(), pod_view(spec_hash="old"))
    assert (after.record.start_at, after.record.endings) == (None, 0)


def test_the_pause_never_grows_beyond_its_limit_whatever_the_row_says() -> None:
    assert backoff.wait_seconds(1_000_000) == 300
