"""A node is lost: who may come back elsewhere, what is left alone, and what happens when the node is back."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from moorage.lifecycle import effects as do
from moorage.lifecycle.agent import transition
from moorage.lifecycle.decision import Decision, Desired
from moorage.model.agent import Recovery
from moorage.model.names import PodUid
from moorage.model.observation import UNKNOWN, Observation, PodView, Unknown
from moorage.model.reasons import Reason
from moorage.model.record import AgentRecord, AgentState, AttemptKind, AttemptState
from moorage.model.wallet import Veto
from tests import factories
from tests.factories import NOW, agent_record, attempt, observation, pod_view, snapshot_facts, volume_view

WISH = factories.desired(recovery=Recovery.FROM_SNAPSHOT, node_lost_after=timedelta(minutes=5))
MANUAL = replace(WISH, recovery=Recovery.MANUAL)
START = do.ApplyChildren(with_pod=True)
LOST: dict[str, object] = {"node_ready": False, "node_lost": True, "ready": False}
OLD_POD = pod_view(**LOST)
STRAY = pod_view(**LOST, deleting=True)
OLD_VOLUME = volume_view(node_lost=True)
NEW_VOLUME = volume_view(name="data-helper-2", uid="volume-2")
AWAY = observation(pods=(OLD_POD,), volumes=(OLD_VOLUME,))


def running(**changes: object) -> AgentRecord:
    return agent_record(**{"snapshot": snapshot_facts(), "silent_since": NOW - timedelta(minutes=5)} | changes)


def moved_on(**changes: object) -> AgentRecord:
    """An agent that was restored elsewhere; its first pod and volume are still on the lost node."""
    base: dict[str, object] = {
        "incarnation": 3, "fenced_incarnation": 1, "pod_uid": PodUid("pod-3"), "volume_generation": 2,
        "volume_uid": "volume-2", "left_generation": 1, "silent_since": None, "stored": (),
    }  # fmt: skip
    return running(**base | changes)


def new_pod(**changes: object) -> PodView:
    return pod_view(**{"name": "helper-3", "uid": PodUid("pod-3"), "node": "other"} | changes)


def asked(decision: Decision, *kinds: type) -> list[do.Effect]:
    return [effect for effect in decision.effects if isinstance(effect, kinds)]


def test_the_silence_of_a_node_is_written_down_and_waited_for() -> None:
    after = transition(running(silent_since=None), WISH, AWAY)
    assert (after.record.silent_since, after.record.state) == (NOW, AgentState.RUNNING)
    assert after.wait_seconds == 300.0
    assert asked(after, do.DeletePod, do.CloseRun, do.FreeVolume) == []


def test_a_node_that_comes_back_in_time_costs_nothing() -> None:
    after = transition(running(silent_since=NOW - timedelta(seconds=299)), WISH, observation())
    assert (after.record.silent_since, after.record.state, after.record.pod_uid) == (None, AgentState.RUNNING, "pod-1")
    assert asked(after, do.DeletePod, do.CloseRun) == []


def test_after_five_minutes_the_agent_leaves_everything_behind_before_anything_is_done() -> None:
    early = transition(running(silent_since=NOW - timedelta(seconds=299)), WISH, AWAY)
    assert (early.record.state, early.wait_seconds) == (AgentState.RUNNING, 1.0)
    after = transition(running(), WISH, AWAY)
    record = after.record
    assert (record.state, record.fenced_incarnation, record.incarnation) == (AgentState.RESTORING, 1, 2)
    assert (record.left_generation, record.volume_generation, record.volume_uid) == (1, 2, None)
    assert asked(after, do.CloseRun) == [do.CloseRun(PodUid("pod-1"), None)], "to the last proof, nobody saw it end"
    assert asked(after, do.DeletePod, do.FreeVolume, do.BeginAttempt) == [], "first the record"


def test_the_restore_goes_on_beside_the_old_pod_and_spares_the_old_volume() -> None:
    record = transition(running(), WISH, AWAY).record
    after = transition(record, WISH, AWAY)
    assert asked(after, do.DeletePod) == [do.DeletePod("helper-1", PodUid("pod-1"))]
    assert asked(after, do.FreeVolume) == []
    begun = transition(record, WISH, observation(pods=(STRAY,), volumes=(OLD_VOLUME,)))
    assert [effect.kind for effect in begun.effects if isinstance(effect, do.BeginAttempt)] == [AttemptKind.RESTORE]
    assert asked(begun, do.DeletePod, do.FreeVolume) == []


def test_the_run_of_the_old_pod_ends_even_when_its_end_was_lost_on_the_way() -> None:
    record = replace(transition(running(), WISH, AWAY).record, attempt=attempt(kind=AttemptKind.RESTORE))
    after = transition(record, WISH, observation(pods=(), volumes=(OLD_VOLUME,)))
    assert asked(after, do.CloseRun) == [do.CloseRun(PodUid("pod-1"), None)]


def test_the_agent_runs_again_while_its_old_pod_is_still_terminating() -> None:
    restored = transition(
        running(
            state=AgentState.RESTORING, incarnation=2, fenced_incarnation=1, pod_uid=None, volume_generation=2,
            volume_uid=None, left_generation=1, attempt=attempt(kind=AttemptKind.RESTORE, state=AttemptState.VERIFIED),
        ),
        WISH,
        observation(pods=(STRAY,), volumes=(OLD_VOLUME, NEW_VOLUME)),
    ).record  # fmt: skip
    assert (restored.state, restored.incarnation, restored.volume_uid) == (AgentState.RUNNING, 3, "volume-2")
    after = transition(restored, WISH, observation(pods=(STRAY,), volumes=(OLD_VOLUME, NEW_VOLUME)))
    assert START in after.effects
    assert asked(after, do.DeletePod, do.FreeVolume) == []


def test_the_returned_node_loses_the_old_pod_at_once_and_its_volume_after_the_warm_window() -> None:
    pods, volumes = (new_pod(),), (volume_view(), NEW_VOLUME)
    # The kubelet speaks again, and nobody has told it yet that the pod has to go.
    back = transition(moved_on(), WISH, observation(pods=(*pods, pod_view()), volumes=volumes))
    assert asked(back, do.DeletePod) == [do.DeletePod("helper-1", PodUid("pod-1"))]
    assert asked(back, do.CloseRun, do.OpenRun, do.FreeVolume) == []
    assert back.record.left_until is None

    gone = transition(moved_on(), WISH, observation(pods=pods, volumes=volumes))
    assert gone.record.left_until == NOW + timedelta(hours=24)
    kept = replace(gone.record, now=NOW + timedelta(hours=23, minutes=59))
    early = transition(kept, WISH, observation(pods=pods, volumes=volumes))
    assert (asked(early, do.FreeVolume), early.wait_seconds) == ([], 60.0)
    late = transition(replace(kept, now=NOW + timedelta(hours=24)), WISH, observation(pods=pods, volumes=volumes))
    assert asked(late, do.FreeVolume) == [do.FreeVolume("data-helper-1", "volume-1")]
    done = transition(late.record, WISH, observation(pods=pods, volumes=(NEW_VOLUME,)))
    assert (done.record.left_generation, done.record.left_until) == (0, None)


def test_the_window_of_the_old_volume_begins_when_its_node_is_back() -> None:
    after = transition(moved_on(), WISH, observation(pods=(new_pod(),), volumes=(OLD_VOLUME, NEW_VOLUME)))
    assert (after.record.left_until, asked(after, do.FreeVolume)) == (None, [])


def test_the_old_volume_stays_while_the_snapshot_is_not_restored_yet() -> None:
    record = moved_on(
        state=AgentState.RESTORING, volume_uid=None, pod_uid=None, left_until=NOW - timedelta(days=9),
        attempt=attempt(kind=AttemptKind.RESTORE, state=AttemptState.FAILED), failures=3,
    )  # fmt: skip
    for _ in range(3):
        after = transition(record, WISH, observation(pods=(), volumes=(volume_view(), NEW_VOLUME)))
        assert do.FreeVolume("data-helper-1", "volume-1") not in after.effects
        record = replace(after.record, now=after.record.now + timedelta(hours=1))


@pytest.mark.parametrize("until", [None, NOW + timedelta(hours=24)], ids=["its node is away", "its node is back"])
def test_who_deletes_the_agent_gives_up_what_was_left_behind(until: datetime | None) -> None:
    wish = replace(WISH, deleting=True)
    record = moved_on(state=AgentState.ARCHIVED, pod_uid=None, volume_uid=None, volume_generation=3, left_until=until)
    after = transition(record, wish, observation(pods=(STRAY,), volumes=(OLD_VOLUME,)))
    assert do.FreeVolume("data-helper-1", "volume-1") in after.effects
    assert after.record.state is AgentState.ARCHIVED


@pytest.mark.parametrize(
    ("record", "wish"),
    [
        pytest.param(running(), MANUAL, id="its tenant has not asked for it"),
        pytest.param(running(snapshot=None), WISH, id="there is no snapshot"),
        pytest.param(running(), replace(WISH, problem=Reason.SIZE_UNKNOWN, pod_hash=None), id="it could not start"),
        pytest.param(
            running(wallet=factories.wallet_facts(veto=Veto.ZERO_BALANCE)), WISH, id="its wallet is at zero"
        ),
        pytest.param(running(user_paused=True), WISH, id="its tenant has suspended it"),
        pytest.param(running(), replace(WISH, deleting=True), id="it is being deleted"),
    ],
)  # fmt: skip
def test_nobody_is_moved_when(record: AgentRecord, wish: Desired) -> None:
    after = transition(replace(record, now=NOW + timedelta(days=9)), wish, AWAY)
    assert after.record.state in (AgentState.RUNNING, AgentState.DRAINING)
    assert (after.record.fenced_incarnation, after.record.left_generation) == (0, 0)
    assert asked(after, do.CloseRun, do.FreeVolume) == []


def test_a_top_up_on_a_lost_node_brings_the_agent_back_elsewhere() -> None:
    stopped = running(state=AgentState.DRAINING, stop_recorded=True)
    away = observation(pods=(STRAY,), volumes=(OLD_VOLUME,))
    assert transition(stopped, WISH, away).record.state is AgentState.RESTORING
    assert transition(stopped, MANUAL, away).record.state is AgentState.DRAINING


def test_an_agent_whose_new_pod_cannot_reach_its_old_volume_is_moved_too() -> None:
    stuck = pod_view(node=None, node_ready=False, ready=False, unschedulable=True, started_at=None, container_id=None)
    after = transition(running(), WISH, observation(pods=(stuck,), volumes=(OLD_VOLUME,)))
    assert after.record.state is AgentState.RESTORING
    elsewhere = observation(pods=(stuck,), volumes=(volume_view(),))
    assert transition(running(), WISH, elsewhere).record.state is AgentState.RUNNING, "only its node is full"


def test_an_agent_at_rest_is_left_alone() -> None:
    record = running(state=AgentState.SUSPENDED, user_paused=True, pod_uid=None, archive_at=NOW + timedelta(hours=1))
    after = transition(record, WISH, observation(pods=(), volumes=(OLD_VOLUME,)))
    assert (after.record.state, after.record.silent_since) == (AgentState.SUSPENDED, None)


def test_what_cannot_be_read_moves_nobody() -> None:
    after = transition(running(), WISH, replace(AWAY, pods=UNKNOWN))
    assert (after.record, after.effects) == (running(), ())


def everything() -> Iterator[tuple[AgentRecord, Desired, Observation]]:
    pods = [(), (STRAY,), (pod_view(),), (new_pod(),), (new_pod(), STRAY), (new_pod(), pod_view()), (new_pod(**LOST),)]
    volumes = [(), (NEW_VOLUME,), (OLD_VOLUME, NEW_VOLUME), (volume_view(), NEW_VOLUME)]
    attempts = [None, *(attempt(kind=kind, state=state) for kind in AttemptKind for state in AttemptState)]
    untils = (None, NOW, NOW + timedelta(hours=1))
    wishes = (WISH, MANUAL, replace(WISH, deleting=True))
    metered = ("pod-1", "pod-3", None)
    for state, tried, until, uid in itertools.product(AgentState, attempts, untils, metered):
        record = moved_on(
            state=state, attempt=tried, left_until=until, archive_at=NOW, pod_uid=uid,
            silent_since=NOW - timedelta(hours=1),
        )  # fmt: skip
        for wish, seen, kept in itertools.product(wishes, pods, volumes):
            yield record, wish, observation(pods=seen, volumes=kept)


def test_what_was_left_behind_never_counts_and_never_goes_too_early() -> None:
    for before, wish, seen in everything():
        assert not isinstance(seen.pods, Unknown)
        after = transition(before, wish, seen)
        context = (before, wish, seen, after)
        record, due = after.record, before.left_until is not None and before.left_until <= NOW
        for effect in after.effects:
            match effect:
                case do.FreeVolume() if before.state is AgentState.PURGED:
                    pass  # nothing of it is counted on any more
                case do.FreeVolume(name="data-helper-1"):
                    assert wish.deleting or due, context
                    assert record.state is not AgentState.RESTORING, context
                case do.FreeVolume(uid=uid):
                    assert uid != record.volume_uid, context
                case do.OpenRun(pod):
                    assert pod.name != "helper-1", context
                case do.CloseRun(pod_uid=uid):
                    assert uid == before.pod_uid, context
                    restoring = record.state is AgentState.RESTORING
                    assert uid == "pod-1" or restoring or all(pod.uid != uid for pod in seen.pods), context
        if START in after.effects:
            others = [pod for pod in seen.pods if pod.name != "helper-1"]
            assert all(pod.name == f"helper-{record.incarnation}" for pod in others), context
        assert record.fenced_incarnation < record.incarnation, context
        assert record.left_generation < record.volume_generation, context
