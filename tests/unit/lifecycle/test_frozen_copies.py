"""An agent is down until its frozen copy is ready, and no copy of another moment is ever the snapshot of its stop."""

from datetime import timedelta
from typing import Any

import pytest

from moorage.lifecycle import effects as do
from moorage.lifecycle.agent import transition
from moorage.lifecycle.decision import Decision, Desired
from moorage.model.observation import JobOutcome
from moorage.model.record import AgentRecord, AgentState, AttemptKind, AttemptState, CopyState, SnapshotPurpose
from moorage.model.wallet import Standing, Veto
from tests.factories import (
    ATTEMPT_ID,
    NOW,
    agent_record,
    attempt,
    desired,
    job_view,
    observation,
    pod_view,
    volume_view,
    wallet_facts,
)

DEMAND, SUSPENSION = SnapshotPurpose.DEMAND, SnapshotPurpose.SUSPENSION
CAN_FREEZE = desired(freezable=frozenset({"fast"}))
VOLUME = volume_view(storage_class="fast")
FREEZE = do.FreezeVolume(ATTEMPT_ID, VOLUME)
OWN, COPY = VOLUME.name, f"frozen-{ATTEMPT_ID}"
EMPTY_WALLET = {"veto": Veto.ZERO_BALANCE, "wallet": wallet_facts(standing=Standing.EXHAUSTED)}


def captured(copy: CopyState | None, *, state: AgentState = AgentState.SNAPSHOTTING, **changes: Any) -> AgentRecord:
    """An agent that is to run on, stopped unless its state says otherwise, whose mover's turn has come."""
    asked_at = None if copy is None else NOW - timedelta(seconds=changes.pop("asked_seconds", 5))
    purpose = changes.pop("purpose", DEMAND)
    tried = attempt(state=changes.pop("reached", AttemptState.STARTED), purpose=purpose, copy=copy,
                    copy_asked_at=asked_at)  # fmt: skip
    return agent_record(**{"state": state, "wish": DEMAND, "pod_uid": None, "attempt": tried} | changes)


def decide(record: AgentRecord, wish: Desired = CAN_FREEZE, **seen: Any) -> Decision:
    """One step."""
    running = (pod_view(name="helper-1"),) if record.state is AgentState.RUNNING else ()
    return transition(record, wish, observation(**{"pods": running, "volumes": (VOLUME,)} | seen))


def runs(decision: Decision) -> list[str]:
    """The volumes that movers are to read."""
    return [effect.volume_name for effect in decision.effects if isinstance(effect, do.RunMover)]


@pytest.mark.parametrize("copy", [None, CopyState.ASKED])
def test_a_copy_is_asked_for_again_and_again_before_any_mover_runs(copy: CopyState | None) -> None:
    after = decide(captured(copy))
    assert FREEZE in after.effects
    assert (runs(after), after.wait_seconds, after.record.state) == ([], 2.0, AgentState.SNAPSHOTTING)


NOT_WORTH_IT: dict[str, tuple[AgentRecord, dict[str, Any]]] = {
    "nothing can be frozen here": (captured(None), {"wish": desired()}),
    "its class is another one": (captured(None), {"volumes": (volume_view(storage_class="local-path"),)}),
    "it is being suspended": (captured(None, purpose=SUSPENSION, wish=None, **EMPTY_WALLET), {}),
    "it was to run on, and its credit ended meanwhile": (captured(None, **EMPTY_WALLET), {}),
    "its volume is not bound": (captured(None), {"volumes": (volume_view(storage_class="fast", bound=False),)}),
    "an attempt has failed before, perhaps on its copy": (captured(None, failures=1), {}),
    "the copy was given up": (captured(CopyState.GIVEN_UP), {}),
}


@pytest.mark.parametrize(("record", "seen"), NOT_WORTH_IT.values(), ids=NOT_WORTH_IT)
def test_without_a_copy_the_mover_reads_the_volume_itself(record: AgentRecord, seen: dict[str, Any]) -> None:
    after = decide(record, **seen)
    assert runs(after) == [OWN]
    assert FREEZE not in after.effects


def test_nothing_is_frozen_under_a_mover_that_is_at_work() -> None:
    after = decide(captured(None), jobs=(job_view(),))
    assert (FREEZE in after.effects, runs(after)) == (False, [])


def test_the_agent_runs_again_as_soon_as_its_copy_is_ready() -> None:
    before = captured(CopyState.READY)
    for jobs in ((), (job_view(),)):  # a mover that has begun meanwhile reads the copy, and stays
        after = decide(before, jobs=jobs)
        assert (after.record.state, after.record.incarnation) == (AgentState.RUNNING, before.incarnation + 1)
        assert after.record.attempt == before.attempt
        assert not any(isinstance(effect, do.DropMover) for effect in after.effects)


def test_the_mover_reads_the_copy_beside_the_running_agent() -> None:
    after = decide(captured(CopyState.READY, state=AgentState.RUNNING))
    assert runs(after) == [COPY]
    assert after.record.state is AgentState.RUNNING
    assert not any(isinstance(effect, do.DeletePod) for effect in after.effects)
    at_work = decide(captured(CopyState.READY, state=AgentState.RUNNING), jobs=(job_view(),))
    assert runs(at_work) == []


def test_a_pod_that_is_replaced_does_not_wait_for_a_mover_that_reads_the_copy() -> None:
    after = decide(captured(CopyState.READY, state=AgentState.RUNNING), pods=(), jobs=(job_view(),))
    assert do.ApplyChildren(with_pod=True) in after.effects
    assert not any(isinstance(effect, do.DropMover) for effect in after.effects)
    own = decide(captured(None, state=AgentState.RUNNING, reached=AttemptState.UPLOADED), pods=(), jobs=(job_view(),))
    assert do.ApplyChildren(with_pod=True) not in own.effects


def test_a_mover_that_fails_beside_the_agent_fails_its_attempt_and_nothing_else() -> None:
    ended = (job_view(outcome=JobOutcome.FAILED),)
    after = decide(captured(CopyState.READY, state=AgentState.RUNNING), jobs=ended)
    assert do.FailAttempt(ATTEMPT_ID, "MoverFailed") in after.effects
    assert after.record.state is AgentState.RUNNING
    failed = captured(CopyState.READY, state=AgentState.RUNNING, reached=AttemptState.FAILED)
    over = decide(failed, jobs=ended)
    assert do.DropMover("mover-" + ATTEMPT_ID, "job-1") in over.effects
    assert (over.record.attempt, over.record.wish, over.record.failures) == (None, DEMAND, 1)


def test_a_mover_whose_snapshot_is_verified_goes_too() -> None:
    verified = captured(CopyState.READY, state=AgentState.RUNNING, reached=AttemptState.VERIFIED)
    over = decide(verified, jobs=(job_view(outcome=JobOutcome.SUCCEEDED),))
    assert do.DropMover("mover-" + ATTEMPT_ID, "job-1") in over.effects
    assert (over.record.attempt, over.record.wish) == (None, None)


def test_no_attempt_begins_beside_a_mover_of_the_one_before() -> None:
    record = agent_record(wish=DEMAND)
    assert not any(isinstance(effect, do.BeginAttempt) for effect in decide(record, jobs=(job_view(),)).effects)
    assert any(isinstance(effect, do.BeginAttempt) for effect in decide(record).effects)


@pytest.mark.parametrize(("asked_seconds", "given_up"), [(600, False), (601, True)])
def test_a_driver_that_takes_too_long_is_not_waited_for(asked_seconds: int, given_up: bool) -> None:
    after = decide(captured(CopyState.ASKED, asked_seconds=asked_seconds))
    assert (do.GiveUpCopy(ATTEMPT_ID) in after.effects) == given_up
    assert runs(after) == []


@pytest.mark.parametrize(
    "changes",
    [pytest.param(EMPTY_WALLET, id="its credit ends"), pytest.param({"volume_uid": "volume-1"}, id="its volume goes")],
)
def test_a_copy_that_is_of_no_use_any_more_is_given_up_before_the_volume_is_read(changes: dict[str, Any]) -> None:
    volumes = (VOLUME,) if "veto" in changes else ()
    after = decide(captured(CopyState.ASKED, **changes), volumes=volumes)
    assert do.GiveUpCopy(ATTEMPT_ID) in after.effects
    assert runs(after) == []


def test_an_agent_whose_credit_ends_while_it_is_still_down_may_use_its_copy() -> None:
    after = decide(captured(CopyState.READY, **EMPTY_WALLET))
    assert runs(after) == [COPY]  # nothing has written since
    assert after.record.state is AgentState.SNAPSHOTTING


def test_what_was_frozen_before_it_ran_on_is_not_the_snapshot_of_its_suspension() -> None:
    going = decide(captured(CopyState.READY, state=AgentState.RUNNING, **EMPTY_WALLET), jobs=(job_view(),))
    assert going.record.state is AgentState.DRAINING
    called_off = decide(going.record, jobs=(job_view(),))
    assert do.FailAttempt(ATTEMPT_ID, "CalledOff") in called_off.effects
    assert called_off.record.state is AgentState.DRAINING
    failed = captured(CopyState.READY, state=AgentState.DRAINING, reached=AttemptState.FAILED, **EMPTY_WALLET)
    down = decide(failed, jobs=(job_view(),))
    assert (down.record.state, down.record.attempt) == (AgentState.SNAPSHOTTING, None)
    dropped = decide(down.record, jobs=(job_view(),))
    assert do.DropMover("mover-" + ATTEMPT_ID, "job-1") in dropped.effects
    begun = decide(down.record)
    assert do.BeginAttempt(AttemptKind.SNAPSHOT, "node", SUSPENSION) in begun.effects
