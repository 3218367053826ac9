"""An attempt waits for its turn without harm, and its time runs from its turn on, as long as its data is large."""

from datetime import timedelta
from typing import Any

import pytest

from moorage.lifecycle import agent, conditions
from moorage.lifecycle import effects as do
from moorage.lifecycle.decision import Decision
from moorage.model.conditions import ConditionType
from moorage.model.names import AgentUid
from moorage.model.record import AgentRecord, AgentState, AttemptKind, AttemptState
from moorage.model.wallet import Veto
from tests import factories
from tests.factories import NOW, agent_record, desired, observation, volume_view

WISH = desired()
KINDS = {AttemptKind.SNAPSHOT: AgentState.SNAPSHOTTING, AttemptKind.RESTORE: AgentState.RESTORING}
HOUR = 3_600


def moving(kind: AttemptKind, state: AttemptState, **changes: Any) -> AgentRecord:
    """An agent that is down for want of money, or comes back, on an attempt in this state."""
    veto = Veto.ZERO_BALANCE if kind is AttemptKind.SNAPSHOT else None
    tried = factories.attempt(kind=kind, state=state, **changes.pop("attempt", {}))
    given = {"veto": veto, "wallet": factories.wallet_facts(veto=veto), "pod_uid": None, "stored": ()} | changes
    return agent_record(uid=AgentUid(factories.AGENT_UID), state=KINDS[kind], attempt=tried, **given)


def decide(record: AgentRecord, **seen: Any) -> Decision:
    """One step; a volume that nobody meters keeps the effects to the mover's."""
    volumes = seen.pop("volumes", (volume_view(mib=None),))
    return agent.transition(record, WISH, observation(pods=(), volumes=volumes, **seen))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_happens_while_an_attempt_waits_and_somebody_looks_again(kind: AttemptKind) -> None:
    record = moving(kind, AttemptState.CREATED, attempt={"granted_at": None, "created_at": NOW - timedelta(days=30)})
    after = decide(record)
    assert (after.record, after.effects, after.again) == (record, (), False)
    assert after.wait_seconds == 15


@pytest.mark.parametrize("kind", KINDS)
def test_an_attempt_starts_when_its_turn_has_come(kind: AttemptKind) -> None:
    after = decide(moving(kind, AttemptState.CREATED))
    assert (after.effects, after.again) == ((do.StartAttempt(factories.ATTEMPT_ID),), True)


def test_a_top_up_calls_a_snapshot_off_that_waits() -> None:
    waits = moving(AttemptKind.SNAPSHOT, AttemptState.CREATED, attempt={"granted_at": None}, veto=None,
                   wallet=factories.wallet_facts())  # fmt: skip
    assert decide(waits).effects == (do.FailAttempt(factories.ATTEMPT_ID, "CalledOff"),)


def test_a_snapshot_queues_for_the_node_of_its_volume_and_a_restore_for_any() -> None:
    record = agent_record(
        state=AgentState.SNAPSHOTTING, veto=Veto.ZERO_BALANCE, pod_uid=None, stored=(),
        wallet=factories.wallet_facts(veto=Veto.ZERO_BALANCE),
    )  # fmt: skip
    volumes = (volume_view(mib=None, node="here"),)
    assert decide(record, volumes=volumes).effects == (do.BeginAttempt(AttemptKind.SNAPSHOT, "here"),)
    record = agent_record(state=AgentState.RESTORING, volume_uid=None, pod_uid=None, stored=())
    assert decide(record, volumes=()).effects == (do.BeginAttempt(AttemptKind.RESTORE, None),)


@pytest.mark.parametrize(
    ("volume_mib", "snapshot_bytes", "limit_seconds"),
    [
        pytest.param(None, 0, HOUR, id="nobody knows the size"),
        pytest.param(1_024, 0, HOUR + 1_024, id="a small volume"),
        pytest.param(10_240, 0, HOUR + 10_240, id="ten gibibytes, which a store of 1 MB/s takes in 10,738 s"),
        pytest.param(1_024, 20 << 30, HOUR + 20_480, id="a snapshot that is larger than the volume says"),
        pytest.param(1 << 24, 0, 86_400, id="no more than a day"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mover_has_as_long_as_its_data_is_large(
    kind: AttemptKind, volume_mib: int | None, snapshot_bytes: int, limit_seconds: int
) -> None:
    volumes = (volume_view(mib=volume_mib),)

    def after(waited: timedelta) -> Decision:
        record = moving(
            kind, AttemptState.STARTED, snapshot=factories.snapshot_facts(bytes=snapshot_bytes),
            attempt={"granted_at": NOW - waited, "created_at": NOW - timedelta(days=3)},
        )  # fmt: skip
        return decide(record, volumes=volumes)

    in_time, late = (after(timedelta(seconds=limit_seconds + more)) for more in (0, 1))
    assert do.RunMover(factories.ATTEMPT_ID, kind, "data-helper-1", limit_seconds) in in_time.effects
    assert do.FailAttempt(factories.ATTEMPT_ID, "MoverFailed") in late.effects


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("changes", "snapshot", "restore"),
    [
        pytest.param({"attempt": {"granted_at": None}}, "SnapshotQueued", "RestoreQueued", id="it waits"),
        pytest.param({}, "Snapshotting", "Restoring", id="its turn has come"),
        pytest.param(
            {"attempt": {"granted_at": None}, "failures": 1}, "SnapshotFailed", "RestoreFailed",
            id="it waits after a failure, which is the news",
        ),
    ],
)  # fmt: skip
def test_conditions_say_what_an_agent_waits_for(
    kind: AttemptKind, changes: dict[str, Any], snapshot: str, restore: str
) -> None:
    record = moving(kind, AttemptState.CREATED, **changes)
    stored = factories.agent(storage={"size": "1Gi"})
    status = conditions.agent_status(stored, record, observation(pods=()), problem=None, rate_picos=None)
    said = {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}
    own = ConditionType.SNAPSHOT_READY if kind is AttemptKind.SNAPSHOT else ConditionType.VOLUME_READY
    expected = ("False", snapshot if kind is AttemptKind.SNAPSHOT else restore)
    assert {said[item] for item in (own, ConditionType.SUSPENDED, ConditionType.READY)} == {expected}
