"""The transition over the full product of states, wishes and observations: what may never happen, never does."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from moorage.lifecycle import edges, frozen
from moorage.lifecycle import effects as do
from moorage.lifecycle.agent import transition
from moorage.lifecycle.decision import Decision, Desired
from moorage.lifecycle.snapshot import retry_seconds
from moorage.model.agent import DesiredState, Recovery
from moorage.model.names import AgentUid, PodUid, SnapshotId, TenantUid, WalletId
from moorage.model.observation import (
    UNKNOWN,
    JobOutcome,
    JobView,
    Observation,
    PodPhase,
    PodView,
    VolumeView,
)
from moorage.model.rates import Meter, Stored
from moorage.model.reasons import Reason
from moorage.model.record import (
    AgentRecord,
    AgentState,
    Attempt,
    AttemptKind,
    AttemptState,
    CopyState,
    Grace,
    SnapshotFacts,
    SnapshotPurpose,
    WalletFacts,
)
from moorage.model.wallet import Standing, Veto
from tests import factories

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HASH = "abc123"


def pod(incarnation: int = 1, **changes: object) -> PodView:
    made = PodView(
        name=f"helper-{incarnation}",
        uid=PodUid(f"pod-{incarnation}"),
        phase=PodPhase.RUNNING,
        ready=True,
        deleting=False,
        node="node",
        node_ready=True,
        node_lost=False,
        spec_hash=HASH,
        container_id="containerd://1",
        started_at=NOW - timedelta(minutes=5),
        ended_at=None,
        waiting_reason=None,
        unschedulable=False,
        restarts=0,
        last_exit=None,
        image_id=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # checked by the dataclass


def volume(generation: int = 1, **changes: object) -> VolumeView:
    made = VolumeView(
        name=f"data-helper-{generation}",
        uid=f"volume-{generation}",
        bound=True,
        deleting=False,
        mib=1024,
        node="node",
        node_lost=False,
        storage_class="local-path",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # checked by the dataclass


def job(outcome: JobOutcome = JobOutcome.ACTIVE, **changes: object) -> JobView:
    made = JobView(name="mover-attempt", uid="job", attempt_id="attempt", outcome=outcome, deleting=False)
    return replace(made, **changes)  # type: ignore[arg-type]  # checked by the dataclass


def seen(
    pods: tuple[PodView, ...] = (), volumes: tuple[VolumeView, ...] = (), jobs: tuple[JobView, ...] = ()
) -> Observation:
    return Observation(pods=pods, volumes=volumes, jobs=jobs, ended=())


def attempt(state: AttemptState, kind: AttemptKind = AttemptKind.SNAPSHOT, **changes: object) -> Attempt:
    made = Attempt(
        id="attempt",
        snapshot_id=SnapshotId("snapshot"),
        kind=kind,
        state=state,
        created_at=NOW,
        granted_at=NOW,
        copy=None,
        copy_asked_at=None,
        purpose=None if kind is AttemptKind.RESTORE else SnapshotPurpose.SUSPENSION,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # checked by the dataclass


NOTHING_ASKED: dict[str, None] = dict.fromkeys(("restore", "wish", "request_seen", "schedule", "next_snapshot_at"))


def record(state: AgentState = AgentState.RUNNING, **changes: object) -> AgentRecord:
    standing = changes.pop("standing", Standing.FUNDED)
    veto = changes.pop("veto", Veto.ZERO_BALANCE if standing is Standing.EXHAUSTED else None)
    made = AgentRecord(
        uid=AgentUid("agent"),
        tenant_uid=TenantUid("tenant"),
        namespace="mn-acme",
        name="helper",
        state=state,
        state_since=NOW - timedelta(minutes=1),
        fence=7,
        veto=veto,
        budget_picos=None,
        user_paused=False,
        incarnation=1,
        pod_uid=None,
        endings=0,
        start_at=None,
        last_exit=None,
        silent_since=None,
        fenced_incarnation=0,
        left_generation=0,
        left_until=None,
        stop_recorded=False,
        has_storage=False,
        volume_generation=1,
        volume_floor_mib=0,
        volume_uid=None,
        failures=0,
        retry_at=None,
        archive_at=None,
        attempt=None,
        snapshot=None,
        kept=(changes["snapshot"],) if changes.get("snapshot") else (),  # type: ignore[arg-type]  # facts
        **NOTHING_ASKED,
        stored=(),
        wallet=WalletFacts(
            id=WalletId(1),
            name="acme",
            standing=standing,
            low_by_runway=False,
            zero_at=None,
            missing_micros=0,
            veto=veto,  # type: ignore[arg-type]  # as given
            empty=veto is Veto.ZERO_BALANCE,
        ),
        now=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # checked by the dataclass


def desired(**changes: object) -> Desired:
    return factories.desired(**{"pod_hash": HASH} | changes)


FACTS = SnapshotFacts(id=SnapshotId("snapshot"), taken_at=NOW, bytes=10, files=1, disk_bytes=4096)
OVERFULL = replace(FACTS, disk_bytes=(1 << 30) + 1)
VOLUME = Stored(Meter.VOLUME, "volume-1", 1024)
SNAPSHOT = Stored(Meter.SNAPSHOT, "snapshot", 1)


OTHER = replace(FACTS, id=SnapshotId("other"), taken_at=NOW - timedelta(days=1))
# What was asked for beside: nothing, a snapshot of the running agent, other data in place of what it has.
ASKED: tuple[dict[str, object], ...] = ({}, {"wish": SnapshotPurpose.DEMAND}, {"restore": OTHER})


def records() -> Iterator[AgentRecord]:
    attempts: list[Attempt | None] = [None]
    attempts += [attempt(state, kind) for state in AttemptState for kind in AttemptKind]
    attempts += [attempt(AttemptState.CREATED, kind, granted_at=None) for kind in AttemptKind]
    attempts += [attempt(AttemptState.VERIFIED, AttemptKind.RESTORE, snapshot_id=OTHER.id)]
    attempts += [
        attempt(AttemptState.STARTED, copy=copy, copy_asked_at=NOW) for copy in (CopyState.ASKED, CopyState.READY)
    ]
    held = ((None, None), ("volume-1", "pod-1"), ("volume-1", None), ("lost", None))
    for state, tried, (data, metered), asked in itertools.product(AgentState, attempts, held, ASKED):
        if asked and data != "volume-1":  # nothing is asked for of an agent without data
            continue
        # A stop is recorded on the way down only; the vetoes differ in nothing but their name once it is down.
        for stop in (False, True) if state is AgentState.DRAINING else (False,):
            for veto in (None, *Veto) if state is AgentState.RUNNING else (None, Veto.ZERO_BALANCE):
                yield record(
                    state,
                    attempt=tried and replace(tried, purpose=tried.purpose and asked.get("wish", tried.purpose)),
                    stop_recorded=stop,
                    has_storage=data is not None,
                    volume_uid=data,
                    pod_uid=metered,
                    snapshot=FACTS,
                    archive_at=NOW + timedelta(hours=bool(metered)) if state is AgentState.SUSPENDED else None,
                    silent_since=NOW - timedelta(minutes=5),
                    veto=veto,
                    grace=grace(state) if veto is Veto.ZERO_BALANCE else Grace(),
                    **asked,
                )


def grace(state: AgentState) -> Grace:
    """One that is over."""
    told_at, entombed = NOW - timedelta(days=1), state is AgentState.PURGE_PENDING
    return Grace(since=NOW - timedelta(days=30), ends_at=NOW, told_at=told_at, purge_after=NOW if entombed else None)


PODS = (
    (),
    (pod(),),
    (pod(deleting=True),),
    (pod(phase=PodPhase.FAILED),),
    (pod(spec_hash="old"),),
    (pod(incarnation=2),),
    (pod(node_ready=False, node_lost=True),),
    (pod(), pod(incarnation=2)),
    (pod(phase=PodPhase.PENDING, started_at=None, container_id=None, node=None),),
)
VOLUMES = ((), (volume(),), (volume(deleting=True), volume(2)))
JOBS = ((), (job(),), (job(JobOutcome.FAILED),))
WISHES = (
    desired(recovery=Recovery.FROM_SNAPSHOT, freezable=frozenset({"local-path"})),
    desired(state=DesiredState.SUSPENDED),
    desired(deleting=True),
    desired(problem=Reason.SIZE_UNKNOWN, pod_hash=None),
)


def product() -> Iterator[tuple[AgentRecord, Desired, Observation]]:
    worlds = [seen(*parts) for parts in itertools.product(PODS, VOLUMES, JOBS)]
    for before in records():
        for wish in WISHES:
            for world in worlds:
                yield before, wish, world


@pytest.fixture(scope="module")
def decisions() -> list[tuple[AgentRecord, Desired, Observation, Decision]]:
    return [(before, wish, world, transition(before, wish, world)) for before, wish, world in product()]


def test_states_move_along_every_declared_edge_and_no_other(
    decisions: list[tuple[AgentRecord, Desired, Observation, Decision]],
) -> None:
    moved = {(before.state, after.record.state) for before, _, _, after in decisions}
    assert {(one, two) for one, two in moved if one is not two} == edges.DECIDED


def test_no_pod_starts_while_anybody_objects(
    decisions: list[tuple[AgentRecord, Desired, Observation, Decision]],
) -> None:
    for before, wish, _, after in decisions:
        if do.ApplyChildren(with_pod=True) in after.effects:
            assert before.wallet.veto is None
            assert wish.state is not DesiredState.SUSPENDED
            assert not wish.deleting
            assert wish.problem is None


def test_never_two_pods_at_once(decisions: list[tuple[AgentRecord, Desired, Observation, Decision]]) -> None:
    for _, _, world, after in decisions:
        if do.ApplyChildren(with_pod=True) in after.effects:
            assert all(one.name == f"helper-{after.record.incarnation}" for one in world.pods)  # type: ignore[union-attr]  # known here


def test_no_start_with_an_empty_disk_when_the_volume_is_lost(
    decisions: list[tuple[AgentRecord, Desired, Observation, Decision]],
) -> None:
    for before, _, world, after in decisions:
        if before.volume_uid == "lost" and not world.pods:
            assert do.ApplyChildren(with_pod=True) not in after.effects


def test_a_volume_is_read_or_frozen_only_when_no_pod_is_left(
    decisions: list[tuple[AgentRecord, Desired, Observation, Decision]],
) -> None:
    asked = Counter[type[do.Effect]]()
    for before, _, world, after in decisions:
        for effect in after.effects:
            if isinstance(effect, do.FreezeVolume):
                assert world.pods == ()
            elif isinstance(effect, do.RunMover) and effect.kind is AttemptKind.SNAPSHOT:
                own = effect.volume_name == f"data-helper-{before.volume_generation}"
                copied = before.attempt is not None and before.attempt.copy is CopyState.READY
                assert own != copied
                assert world.pods == () or copied
            asked[type(effect)] += 1
    assert asked[do.FreezeVolume] > 0


def test_what_was_frozen_while_it_ran_on_is_never_the_snapshot_of_its_stop(
    decisions: list[tuple[AgentRecord, Desired, Observation, Decision]],
) -> None:
    for before, _, _, after in decisions:
        if before.state is AgentState.DRAINING and after.record.state is AgentState.SNAPSHOTTING:
            assert after.record.attempt is None or after.record.attempt.copy is None


def test_the_current_volume_is_never_freed(
    decisions: list[tuple[AgentRecord, Desired, Observation, Decision]],
) -> None:
    for before, _, _, after in decisions:
        for effect in after.effects:
            if isinstance(effect, do.FreeVolume):
                if before.state is AgentState.PURGED:
                    continue  # nothing of it is counted on any more
                assert effect.name != f"data-helper-{after.record.volume_generation}"
                assert before.state in (AgentState.ARCHIVED, AgentState.RESTORING)


def test_a_volume_is_given_up_only_when_suspended_with_its_time_over(
    decisions: list[tuple[AgentRecord, Desired, Observation, Decision]],
) -> None:
    for before, wish, _, after in decisions:
        if do.Archive() in after.effects:
            assert before.state is AgentState.SUSPENDED
            over = before.archive_at is not None and before.archive_at <= before.now
            assert over or wish.deleting or before.restore is not None


def test_the_object_goes_only_when_the_record_is_deleted_and_no_run_is_open(
    decisions: list[tuple[AgentRecord, Desired, Observation, Decision]],
) -> None:
    assert any(do.Finish() in after.effects for _, _, _, after in decisions)
    for before, wish, _, after in decisions:
        if do.Finish() in after.effects:
            assert before.state is AgentState.DELETED
            assert wish.deleting


def test_a_pod_is_deleted_on_the_way_down_only_after_the_decision_is_durable(
    decisions: list[tuple[AgentRecord, Desired, Observation, Decision]],
) -> None:
    for before, _, _, after in decisions:
        if before.state is AgentState.DRAINING and any(isinstance(effect, do.DeletePod) for effect in after.effects):
            assert after.record.stop_recorded


def test_nothing_is_decided_when_the_world_could_not_be_read() -> None:
    for before in records():
        for field in ("pods", "volumes", "jobs"):
            after = transition(before, desired(), replace(seen(), **{field: UNKNOWN}))
            assert after.effects == ()
            assert after.record == before


def test_a_settled_agent_keeps_its_record_and_asks_only_for_what_exists() -> None:
    before = record(pod_uid="pod-1", has_storage=True, volume_uid="volume-1", stored=(VOLUME,))
    after = transition(before, desired(), seen((pod(),), (volume(),)))
    assert after.record == before
    assert after.effects == (do.ApplyChildren(with_pod=True),)


def test_no_pod_starts_beside_a_mover_of_its_volume(
    decisions: list[tuple[AgentRecord, Desired, Observation, Decision]],
) -> None:
    for before, _, world, after in decisions:
        if frozen.reads_copy(before.attempt):
            continue
        starts = do.ApplyChildren(with_pod=True) in after.effects and not world.pods
        assert not (starts and any(one.outcome is JobOutcome.ACTIVE for one in world.jobs))  # type: ignore[union-attr]


def test_an_opened_run_is_looked_at_again_although_nobody_rings() -> None:
    after = transition(record(has_storage=True), desired(), seen((pod(),), (volume(),)))
    assert do.OpenRun(pod()) in after.effects
    assert after.wait_seconds == 2.0
    before = record(has_storage=True)
    known = replace(before, wallet=replace(before.wallet, zero_at=NOW + timedelta(hours=1)))
    assert transition(known, desired(), seen((pod(),), (volume(),))).wait_seconds is None, "others burn already"


def test_a_top_up_before_the_stop_is_recorded_lets_the_agent_run_on() -> None:
    after = transition(record(AgentState.DRAINING), desired(), seen((pod(),)))
    assert after.record.state is AgentState.RUNNING


def test_a_top_up_after_the_stop_is_recorded_lets_it_come_back() -> None:
    after = transition(record(AgentState.DRAINING, stop_recorded=True), desired(), seen((pod(),)))
    assert after.record.state is AgentState.DRAINING
    assert any(isinstance(effect, do.DeletePod) for effect in after.effects)


def test_a_vanished_pod_ends_its_run_and_its_name_is_not_used_again() -> None:
    before = record(pod_uid="pod-1")
    end = NOW - timedelta(seconds=3)
    after = transition(before, desired(), replace(seen(), ended=((PodUid("pod-1"), end),)))
    assert after.effects == (do.CloseRun(PodUid("pod-1"), end),)
    assert after.record.incarnation == 2


def test_a_failed_snapshot_keeps_the_agent_down_and_waits_longer_each_time() -> None:
    before = record(
        AgentState.SNAPSHOTTING, has_storage=True, volume_uid="volume-1", attempt=attempt(AttemptState.FAILED),
        failures=2, standing=Standing.EXHAUSTED,
    )  # fmt: skip
    after = transition(before, desired(), seen(volumes=(volume(),)))
    assert after.record.state is AgentState.SNAPSHOTTING
    assert after.record.failures == 3
    assert after.record.retry_at == NOW + timedelta(seconds=retry_seconds(3))


def test_money_and_user_vetoes_do_not_clear_each_other() -> None:
    paused = record(
        AgentState.SUSPENDED,
        user_paused=True,
        archive_at=NOW + timedelta(hours=1),
        volume_uid="volume-1",
        has_storage=True,
    )
    world = seen(volumes=(volume(),))
    assert transition(paused, desired(), world).record.state is AgentState.SUSPENDED
    broke = replace(
        paused,
        user_paused=False,
        veto=Veto.ZERO_BALANCE,
        wallet=replace(paused.wallet, standing=Standing.EXHAUSTED, veto=Veto.ZERO_BALANCE),
    )
    assert transition(broke, desired(state=DesiredState.RUNNING), world).record.state is AgentState.SUSPENDED


def test_a_failed_restore_goes_into_a_new_volume_and_the_old_one_is_freed() -> None:
    before = record(AgentState.RESTORING, attempt=attempt(AttemptState.FAILED, AttemptKind.RESTORE), snapshot=FACTS)
    waiting = transition(before, desired(), seen(volumes=(volume(),)))
    assert waiting.record.volume_generation == 2
    later = replace(waiting.record, now=NOW + timedelta(hours=1))
    again = transition(later, desired(), seen(volumes=(volume(),)))
    free = do.FreeVolume("data-helper-1", "volume-1")
    assert again.effects == (do.OpenStorage(SNAPSHOT), free, do.BeginAttempt(AttemptKind.RESTORE, None))


def test_a_restore_asks_for_room_for_all_that_the_snapshot_holds() -> None:
    before = record(AgentState.ARCHIVED, volume_generation=2, snapshot=OVERFULL)
    assert transition(before, desired(), seen()).record.volume_floor_mib == 1025
    running = record(volume_uid="volume-1", snapshot=OVERFULL, volume_floor_mib=7)
    assert transition(running, desired(), seen((pod(),), (volume(),))).record.volume_floor_mib == 7, "as it was made"


def test_nothing_new_starts_while_its_wallet_should_have_been_stopped_a_while_ago() -> None:
    before = record(has_storage=True, volume_uid="volume-1", stored=(VOLUME,))
    for late_seconds, effects in ((60, (do.ApplyChildren(with_pod=True),)), (61, ())):
        late = replace(before.wallet, zero_at=NOW - timedelta(seconds=late_seconds))
        after = transition(replace(before, wallet=late), desired(), seen(volumes=(volume(),)))
        assert (after.effects, after.record.state) == (effects, AgentState.RUNNING)


@pytest.mark.parametrize(
    ("before", "volumes", "metered"),
    [
        pytest.param(record(), (volume(mib=None),), [], id="a volume that is not bound yet"),
        pytest.param(record(), (volume(),), [do.OpenStorage(VOLUME)], id="a volume that was just bound"),
        pytest.param(record(volume_uid="volume-1", stored=(VOLUME,)), (volume(),), [], id="a volume that is metered"),
        pytest.param(
            record(volume_uid="volume-1", stored=(VOLUME,)), (volume(mib=2048),),
            [do.OpenStorage(replace(VOLUME, mib=2048))], id="a volume that grew",
        ),
        pytest.param(
            record(volume_uid="volume-1", snapshot=OVERFULL, stored=(VOLUME, SNAPSHOT)), (volume(),),
            [do.OpenStorage(replace(VOLUME, mib=1025))], id="a volume that holds more than its size",
        ),
        pytest.param(
            record(volume_uid="volume-1", snapshot=FACTS, stored=(replace(VOLUME, mib=1025), SNAPSHOT)), (volume(),),
            [do.OpenStorage(VOLUME)], id="a volume that was emptied since",
        ),
        pytest.param(
            record(volume_uid="volume-1", stored=(VOLUME,)), (), [do.CloseStorage(VOLUME)], id="a volume that is lost"
        ),
        pytest.param(
            record(AgentState.VERIFYING, volume_uid="volume-1", snapshot=FACTS, stored=(VOLUME,),
                   attempt=attempt(AttemptState.VERIFIED)),
            (volume(),), [do.OpenStorage(SNAPSHOT)], id="a snapshot that was verified",
        ),
        pytest.param(
            record(AgentState.ARCHIVED, volume_generation=2, snapshot=FACTS, stored=(VOLUME, SNAPSHOT),
                   veto=Veto.ZERO_BALANCE),
            (volume(),), [do.CloseStorage(VOLUME)], id="a volume that was given up",
        ),
        pytest.param(
            record(AgentState.SUSPENDED, volume_uid="volume-1", archive_at=NOW, snapshot=FACTS, veto=Veto.ZERO_BALANCE,
                   stored=(VOLUME, Stored(Meter.SNAPSHOT, "older", 7))),
            (volume(),), [do.CloseStorage(Stored(Meter.SNAPSHOT, "older", 7)), do.OpenStorage(SNAPSHOT)],
            id="a snapshot that a newer one follows",
        ),
        pytest.param(
            record(AgentState.DELETED, snapshot=FACTS, stored=(SNAPSHOT,)), (), [do.CloseStorage(SNAPSHOT)],
            id="a snapshot of a deleted agent",
        ),
    ],
)  # fmt: skip
def test_what_is_stored_is_metered_while_the_agent_counts_on_it(
    before: AgentRecord, volumes: tuple[VolumeView, ...], metered: list[do.Effect]
) -> None:
    after = transition(before, desired(deleting=before.state is AgentState.DELETED), seen(volumes=volumes))
    assert [one for one in after.effects if isinstance(one, do.OpenStorage | do.CloseStorage)] == metered
