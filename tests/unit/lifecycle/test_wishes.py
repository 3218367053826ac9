"""Snapshots of an agent that is to run on: when they begin, how long they keep it down, and when they are given up."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from moorage.lifecycle import effects as do
from moorage.lifecycle import snapshot, wishes
from moorage.lifecycle.agent import transition
from moorage.lifecycle.decision import Decision
from moorage.model import agent as agents
from moorage.model.names import SnapshotId
from moorage.model.observation import JobOutcome, Observation
from moorage.model.reasons import Reason
from moorage.model.record import AgentRecord, AgentState, AttemptKind, AttemptState, SnapshotPurpose
from moorage.model.wallet import Standing
from tests.factories import (
    NOW,
    agent_record,
    attempt,
    desired,
    job_view,
    observation,
    pod_view,
    snapshot_facts,
    wallet_facts,
)

DEMAND, SCHEDULE = SnapshotPurpose.DEMAND, SnapshotPurpose.SCHEDULE


def captured(reached: AttemptState, **changes: Any) -> AgentRecord:
    """An agent with a wish whose attempt has come this far."""
    return agent_record(wish=DEMAND, attempt=attempt(state=reached, purpose=DEMAND), **changes)


OTHER = snapshot_facts(id=SnapshotId("e0000000-0000-4000-8000-000000000001"))


DOWN = observation(pods=())


def test_a_new_request_is_a_wish_and_the_same_again_is_none() -> None:
    heard = wishes.heard(agent_record(), desired(request="a"))
    assert (heard.wish, heard.request_seen) == (DEMAND, "a")
    assert wishes.heard(replace(heard, wish=None), desired(request="a")).wish is None
    assert wishes.heard(replace(heard, wish=None), desired(request="b")).wish is DEMAND
    assert wishes.heard(replace(heard, wish=None), desired(request=None)).request_seen == "a"


@pytest.mark.parametrize("state", [AgentState.SUSPENDED, AgentState.ARCHIVED, AgentState.RESTORING])
def test_a_request_to_an_agent_at_rest_is_fulfilled_already(state: AgentState) -> None:
    heard = wishes.heard(agent_record(state=state, archive_at=NOW), desired(request="a"))
    assert (heard.wish, heard.request_seen) == (None, "a")


def test_an_agent_without_data_has_nothing_to_wish_for() -> None:
    assert wishes.heard(agent_record(volume_uid=None), desired(request="a")).wish is None


def test_a_schedule_is_due_once_at_its_time_and_not_for_times_that_passed() -> None:
    begun = wishes.heard(agent_record(), desired(schedule="0 3 * * *"))
    assert (begun.wish, begun.next_snapshot_at) == (None, NOW.replace(hour=3) + timedelta(days=1))
    late = replace(begun, now=NOW + timedelta(days=5))
    due = wishes.heard(late, desired(schedule="0 3 * * *"))
    assert (due.wish, due.next_snapshot_at) == (SCHEDULE, NOW.replace(hour=3) + timedelta(days=6))
    assert wishes.heard(replace(due, wish=None), desired(schedule="0 3 * * *")).wish is None


def test_times_that_pass_while_it_is_suspended_are_left_out() -> None:
    asleep = agent_record(
        state=AgentState.SUSPENDED, schedule="0 3 * * *", next_snapshot_at=NOW - timedelta(hours=1), archive_at=NOW
    )
    assert wishes.heard(asleep, desired(schedule="0 3 * * *")).wish is None


def test_a_schedule_that_changes_counts_from_now_and_one_that_goes_leaves_nothing() -> None:
    before = agent_record(schedule="0 3 * * *", next_snapshot_at=NOW - timedelta(hours=1))
    changed = wishes.heard(before, desired(schedule="0 4 * * *"))
    assert (changed.wish, changed.next_snapshot_at) == (None, NOW.replace(hour=4) + timedelta(days=1))
    assert wishes.heard(before, desired()).next_snapshot_at is None


def test_a_settled_agent_with_a_schedule_is_looked_at_when_it_is_due() -> None:
    before = agent_record(pod_uid="pod-1", schedule="0 3 * * *", next_snapshot_at=NOW + timedelta(minutes=7))
    after = transition(before, desired(schedule="0 3 * * *"), observation())
    assert (after.record, after.wait_seconds) == (before, 420.0)


def test_the_attempt_gets_its_turn_while_the_agent_runs() -> None:
    begun = transition(agent_record(wish=DEMAND), desired(), observation())
    assert do.BeginAttempt(AttemptKind.SNAPSHOT, "node", DEMAND) in begun.effects
    assert begun.record.state is AgentState.RUNNING
    for granted_at, effects in ((None, ()), (NOW, (do.StartAttempt(attempt().id),))):
        queued = attempt(state=AttemptState.CREATED, purpose=DEMAND, granted_at=granted_at)
        waiting = transition(agent_record(wish=DEMAND, attempt=queued), desired(), observation())
        assert [one for one in waiting.effects if isinstance(one, do.StartAttempt)] == list(effects)
        assert waiting.record.state is AgentState.RUNNING


def test_only_then_the_pod_is_stopped_and_nothing_calls_the_stop_off() -> None:
    before = captured(AttemptState.STARTED)
    stop = transition(before, desired(), observation())
    assert (stop.record.state, stop.record.stop_recorded, stop.record.attempt) == (
        AgentState.DRAINING,
        True,
        before.attempt,
    )
    drained = transition(stop.record, desired(), observation())
    assert do.DeletePod("helper-1", pod_view().uid) in drained.effects
    gone = transition(replace(drained.record, pod_uid=None), desired(), DOWN)
    assert (gone.record.state, gone.record.attempt) == (AgentState.SNAPSHOTTING, before.attempt)
    moving = transition(gone.record, desired(), DOWN)
    assert any(isinstance(one, do.RunMover) and one.attempt_id == attempt().id for one in moving.effects)


def test_it_runs_again_as_soon_as_the_volume_is_read_and_no_mover_is_left() -> None:
    read = captured(AttemptState.UPLOADED, state=AgentState.SNAPSHOTTING)
    still = transition(read, desired(), observation(pods=(), jobs=(job_view(outcome=JobOutcome.SUCCEEDED),)))
    assert still.record.state is AgentState.SNAPSHOTTING
    up = transition(read, desired(), DOWN)
    assert (up.record.state, up.record.incarnation) == (AgentState.RUNNING, read.incarnation + 1)
    assert up.record.attempt == read.attempt


@pytest.mark.parametrize(
    ("state", "effect"),
    [
        (AttemptState.UPLOADED, do.CommitAttempt(attempt().id)),
        (AttemptState.COMMITTED, do.VerifyAttempt(attempt().id)),
    ],
)
def test_the_rest_happens_beside_the_running_agent(state: AttemptState, effect: do.Effect) -> None:
    after = transition(captured(state), desired(), observation())
    assert effect in after.effects
    assert after.record.state is AgentState.RUNNING
    assert not any(isinstance(one, do.DeletePod) for one in after.effects)


def test_a_verified_snapshot_fulfils_the_wish() -> None:
    after = transition(captured(AttemptState.VERIFIED, failures=1), desired(), observation())
    assert (after.record.wish, after.record.attempt, after.record.failures) == (None, None, 0)


def test_a_failed_one_lets_the_agent_run_and_is_tried_again_later_and_then_given_up() -> None:
    down = transition(captured(AttemptState.FAILED, state=AgentState.SNAPSHOTTING), desired(), DOWN)
    assert down.record.state is AgentState.RUNNING
    first = transition(down.record, desired(), observation(pods=(pod_view(name="helper-2"),)))
    assert (first.record.failures, first.record.wish, first.record.attempt) == (1, DEMAND, None)
    assert first.record.retry_at is not None
    waits = transition(first.record, desired(), observation(pods=(pod_view(name="helper-2"),)))
    assert not any(isinstance(effect, do.BeginAttempt) for effect in waits.effects)
    last = transition(captured(AttemptState.FAILED, failures=wishes.FAILURES_MAX - 1), desired(), observation())
    assert (last.record.wish, last.record.failures) == (None, wishes.FAILURES_MAX)


def test_zero_in_the_middle_makes_it_the_snapshot_of_the_suspension() -> None:
    broke = {"wallet": wallet_facts(standing=Standing.EXHAUSTED)}
    read = captured(AttemptState.UPLOADED, state=AgentState.SNAPSHOTTING, **broke)
    assert do.CommitAttempt(attempt().id) in transition(read, desired(), DOWN).effects
    verified = captured(AttemptState.VERIFIED, state=AgentState.VERIFYING, **broke)
    assert transition(verified, desired(), DOWN).record.state is AgentState.SUSPENDED


@pytest.mark.parametrize("state", [AttemptState.UPLOADED, AttemptState.COMMITTED])
def test_data_read_before_the_agent_ran_on_is_never_the_snapshot_of_its_suspension(state: AttemptState) -> None:
    stopped = captured(state, state=AgentState.DRAINING, pod_uid=None, wallet=wallet_facts(standing=Standing.EXHAUSTED))
    after = transition(stopped, desired(), DOWN)
    assert after.effects == (do.FailAttempt(attempt().id, "CalledOff"),)
    failed = replace(stopped, attempt=attempt(state=AttemptState.FAILED, purpose=DEMAND))
    fresh = transition(failed, desired(), DOWN).record
    assert (fresh.state, fresh.attempt) == (AgentState.SNAPSHOTTING, None)


def test_what_a_mover_read_beside_a_pod_is_of_no_use() -> None:
    moving = agent_record(state=AgentState.SNAPSHOTTING, attempt=attempt(), user_paused=True)
    assert transition(moving, desired(), observation()).effects == (do.FailAttempt(attempt().id, "CalledOff"),)


@pytest.mark.parametrize(
    ("before", "wish", "world"),
    [
        pytest.param({}, {"problem": Reason.SIZE_UNKNOWN}, observation(), id="it could not start again"),
        pytest.param({}, {}, observation(pods=(pod_view(node_ready=False),)), id="its node does not answer"),
        pytest.param({}, {}, observation(volumes=()), id="its volume is not there"),
        pytest.param(
            {"snapshot": snapshot_facts(taken_at=NOW - timedelta(seconds=59))},
            {},
            observation(),
            id="one was just taken",
        ),
        pytest.param({"retry_at": NOW + timedelta(seconds=1)}, {}, observation(), id="one has just failed"),
    ],
)
def test_an_agent_is_not_stopped_for_a_snapshot_while(
    before: dict[str, Any], wish: dict[str, Any], world: Observation
) -> None:
    after = transition(agent_record(wish=DEMAND, **before), desired(**wish), world)
    assert not any(isinstance(effect, do.BeginAttempt) for effect in after.effects)


def test_a_top_up_while_a_suspensions_snapshot_is_read_back_does_not_wait_for_it() -> None:
    read = agent_record(state=AgentState.VERIFYING, attempt=attempt(state=AttemptState.COMMITTED))
    up = transition(read, desired(), DOWN)
    assert (up.record.state, up.record.attempt) == (AgentState.RUNNING, read.attempt)
    done = transition(replace(up.record, attempt=attempt(state=AttemptState.VERIFIED)), desired(), observation())
    assert done.record.attempt is None


def test_surplus_snapshots_are_given_up_and_all_that_are_kept_are_metered() -> None:
    facts = tuple(
        snapshot_facts(id=SnapshotId(f"d0000000-0000-4000-8000-00000000000{n}"), bytes=n << 20) for n in (4, 3, 2, 1)
    )
    after = transition(agent_record(snapshot=facts[0], kept=facts), desired(keep=3), observation())
    assert do.KeepNewest(3) in after.effects
    opened = {effect.stored.object_id for effect in after.effects if isinstance(effect, do.OpenStorage)}
    assert opened == {one.id for one in facts}
    assert not any(
        isinstance(effect, do.KeepNewest)
        for effect in transition(agent_record(snapshot=facts[0], kept=facts[:3]), desired(), observation()).effects
    )


def test_other_data_takes_the_place_of_the_present_only_after_that_is_in_a_verified_snapshot() -> None:
    record = agent_record(restore=OTHER, snapshot=snapshot_facts())
    assert transition(record, desired(), observation()).record.state is AgentState.DRAINING
    rested = replace(record, state=AgentState.SUSPENDED, archive_at=NOW + timedelta(hours=24))
    assert do.Archive() in transition(rested, desired(), DOWN).effects
    emptied = replace(record, state=AgentState.ARCHIVED, volume_uid=None, volume_generation=2)
    back = transition(emptied, desired(), observation(pods=(), volumes=()))
    assert (back.record.state, back.record.restore) == (AgentState.RESTORING, OTHER)


def test_it_never_runs_on_with_the_old_data_once_other_data_is_chosen() -> None:
    for state in (AgentState.DRAINING, AgentState.SNAPSHOTTING, AgentState.VERIFYING, AgentState.SUSPENDED):
        record = agent_record(state=state, restore=OTHER, snapshot=snapshot_facts(), archive_at=NOW, attempt=attempt())
        assert transition(record, desired(), DOWN).record.state is not AgentState.RUNNING


def _restored(**changes: Any) -> Decision:
    done = attempt(kind=AttemptKind.RESTORE, state=AttemptState.VERIFIED, snapshot_id=OTHER.id)
    record = agent_record(state=AgentState.RESTORING, restore=OTHER, volume_uid=None, attempt=done, **changes)
    return transition(record, desired(), DOWN)


def test_restored_data_of_an_agent_that_stays_down_gets_a_snapshot_of_its_own() -> None:
    assert _restored().record.state is AgentState.RUNNING
    assert _restored().record.restore is None
    for down in ({"user_paused": True}, {"wallet": wallet_facts(standing=Standing.EXHAUSTED)}):
        after = _restored(**down)
        assert (after.record.state, after.record.restore) == (AgentState.DRAINING, None)


def test_an_attempt_for_data_that_is_no_longer_wanted_is_called_off() -> None:
    record = agent_record(
        state=AgentState.RESTORING, restore=OTHER, volume_uid=None, attempt=attempt(kind=AttemptKind.RESTORE)
    )
    assert do.FailAttempt(attempt().id, "CalledOff") in transition(record, desired(), DOWN).effects


@pytest.mark.parametrize(
    ("spec", "room", "reason"),
    [
        ({"snapshots": {"schedule": "* * * * *"}}, "1Gi", Reason.SCHEDULE_INVALID),
        ({}, "3Mi", Reason.VOLUME_TOO_SMALL),
        ({}, "4Mi", None),
    ],
)
def test_what_cannot_be_done_is_said(spec: dict[str, Any], room: str, reason: Reason | None) -> None:
    manifest = {"metadata": {"name": "helper"}, "spec": {"size": "small", "storage": {"size": room}, **spec}}
    record = agent_record(restore=snapshot_facts(disk_bytes=4_000_000))
    assert wishes.objection(record, agents.from_manifest(manifest).spec) is reason


def test_an_agent_that_goes_back_to_older_data_gets_room_for_it_instead_of_an_objection() -> None:
    manifest = {"metadata": {"name": "helper"}, "spec": {"size": "small", "storage": {"size": "3Mi"}}}
    record = agent_record(
        state=AgentState.ARCHIVED,
        volume_uid=None,
        snapshot=snapshot_facts(),
        restore=snapshot_facts(id=OTHER.id, disk_bytes=4 << 20),
    )
    assert wishes.objection(record, agents.from_manifest(manifest).spec) is None
    after = transition(record, desired(), observation(pods=(), volumes=()))
    assert (after.record.state, after.record.volume_floor_mib) == (AgentState.RESTORING, 4)


def test_a_mover_that_fills_a_new_agent_has_as_long_as_its_source_is_large() -> None:
    clone = agent_record(state=AgentState.RESTORING, volume_uid=None, restore=snapshot_facts(bytes=1000 << 20))
    assert snapshot.limit_seconds(clone, None) == snapshot.LIMIT_SECONDS_MIN + 1000 * snapshot.LIMIT_SECONDS_PER_MIB
