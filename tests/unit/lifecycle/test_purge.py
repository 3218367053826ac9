"""When data may go, over the product of states, wallets and clocks: never early, never while anybody can pay."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from moorage.lifecycle import conditions
from moorage.lifecycle import effects as do
from moorage.lifecycle.agent import transition
from moorage.lifecycle.decision import Decision, Desired
from moorage.model import clock
from moorage.model.observation import Observation
from moorage.model.record import AgentRecord, AgentState, Grace
from moorage.model.wallet import Standing, Veto
from tests import factories
from tests.factories import NOW, agent_record, desired, observation, snapshot_facts, volume_view, wallet_facts

DAY = timedelta(days=1)
GRACE = 30 * DAY
SINCE = NOW - GRACE


def starved(state: AgentState = AgentState.ARCHIVED, **changes: object) -> AgentRecord:
    """An agent whose wallet has been empty for the whole grace, with all notices delivered."""
    freed = state in (AgentState.ARCHIVED, AgentState.PURGED)
    base: dict[str, object] = {
        "state": state,
        "pod_uid": None,
        "veto": Veto.ZERO_BALANCE,
        "volume_uid": None if freed else "volume-1",
        "archive_at": None if freed else NOW + DAY,
        "snapshot": snapshot_facts(),
        "stored": (),
        "wallet": wallet_facts(standing=Standing.EXHAUSTED, empty=True),
        "grace": Grace(since=SINCE, ends_at=NOW, told_at=NOW - DAY),
    }
    return agent_record(**base | changes)


def world(record: AgentRecord) -> Observation:
    """No pod, and the volume that the record counts on."""
    return observation(pods=(), volumes=() if record.volume_uid is None else (volume_view(),))


def cases() -> Iterator[tuple[AgentRecord, Desired]]:
    wallets = (
        (Veto.ZERO_BALANCE, wallet_facts(standing=Standing.EXHAUSTED, empty=True)),
        (Veto.ZERO_BALANCE, wallet_facts(standing=Standing.EXHAUSTED, empty=False)),
        (Veto.BILLING_ON_HOLD, wallet_facts(standing=Standing.ON_HOLD)),
        (Veto.BUDGET_REACHED, wallet_facts(veto=Veto.BUDGET_REACHED)),
        (None, wallet_facts()),
    )
    graces = [Grace()]
    for late, told, tomb in itertools.product((-1, 0, 1), (None, 23, 24), (None, -1, 0, 1)):
        ends_at = NOW - timedelta(seconds=late)
        told_at = None if told is None else NOW - timedelta(hours=told)
        after = None if tomb is None else NOW - timedelta(seconds=tomb)
        graces.append(Grace(since=ends_at - GRACE, ends_at=ends_at, told_at=told_at, purge_after=after))
    for state, (veto, wallet), grace, paused, kept in itertools.product(
        AgentState, wallets, graces, (False, True), (None, snapshot_facts())
    ):
        for deleting in (False, True):
            record = starved(state, veto=veto, wallet=wallet, grace=grace, user_paused=paused, snapshot=kept)
            yield record, desired(deleting=deleting)


@pytest.fixture(scope="module")
def decisions() -> list[tuple[AgentRecord, Desired, Decision]]:
    return [(record, wish, transition(record, wish, world(record))) for record, wish in cases()]


def test_a_tombstone_is_put_only_when_grace_and_notices_are_over_and_nobody_can_pay(
    decisions: list[tuple[AgentRecord, Desired, Decision]],
) -> None:
    put = [
        (before, wish)
        for before, wish, after in decisions
        if after.record.state is AgentState.PURGE_PENDING and before.state is not AgentState.PURGE_PENDING
    ]
    assert {before.state for before, _ in put} == {AgentState.SUSPENDED, AgentState.ARCHIVED}
    for before, wish in put:
        assert before.wallet.veto is Veto.ZERO_BALANCE
        assert before.wallet.empty
        assert before.snapshot is not None
        assert not wish.deleting
        assert before.grace.ends_at is not None
        assert before.grace.ends_at <= NOW
        assert before.grace.told_at is not None
        assert before.grace.told_at <= NOW - DAY


def test_a_purge_is_asked_for_only_under_a_tombstone_that_has_stood_its_time(
    decisions: list[tuple[AgentRecord, Desired, Decision]],
) -> None:
    asked = [(before, wish) for before, wish, after in decisions if do.StartPurge() in after.effects]
    assert asked
    for before, wish in asked:
        assert before.state is AgentState.PURGE_PENDING
        assert before.grace.purge_after is not None
        assert before.grace.purge_after <= NOW
        assert before.wallet.veto is Veto.ZERO_BALANCE
        assert before.wallet.empty
        assert not wish.deleting


def test_an_agent_without_data_has_no_grace_and_one_that_waits_to_be_filled_has() -> None:
    for kept, counts in (({"snapshot": None}, False), ({"snapshot": None, "restore": snapshot_facts()}, True)):
        before = starved(grace=Grace(), **kept)  # type: ignore[arg-type]  # checked by the dataclass
        assert (transition(before, desired(), world(before)).record.grace.ends_at is not None) is counts


def test_no_decision_makes_an_agent_purged_that_is_the_databases_alone(
    decisions: list[tuple[AgentRecord, Desired, Decision]],
) -> None:
    for before, _, after in decisions:
        assert after.record.state is not AgentState.PURGED or before.state is AgentState.PURGED


def test_nothing_starts_in_a_purged_agent_whatever_is_wished_and_paid(
    decisions: list[tuple[AgentRecord, Desired, Decision]],
) -> None:
    harmless = (do.FreeVolume, do.DropMover, do.CloseStorage, do.Finish)
    for before, _, after in decisions:
        if before.state is AgentState.PURGED:
            assert after.record.state in (AgentState.PURGED, AgentState.DELETED)
            assert all(isinstance(effect, harmless) for effect in after.effects)


def test_a_grace_counts_only_at_rest_with_verified_data_and_an_empty_wallet(
    decisions: list[tuple[AgentRecord, Desired, Decision]],
) -> None:
    rest = (AgentState.SUSPENDED, AgentState.ARCHIVED, AgentState.PURGE_PENDING)
    for before, _, after in decisions:
        if after.record.grace.ends_at is not None and before.state is not AgentState.PURGED:
            assert before.state in rest
            assert before.wallet.empty
            assert before.snapshot is not None


@pytest.mark.parametrize("days", [1, 29, 30])
def test_a_shorter_grace_shortens_nothing_that_counts_already(days: int) -> None:
    before = starved(grace=Grace(since=NOW - DAY, ends_at=NOW + 29 * DAY))
    after = transition(before, desired(grace=days * DAY), world(before))
    assert after.record.grace == before.grace


def test_a_longer_grace_lifts_the_tombstone_and_asks_for_new_notices() -> None:
    before = starved(
        AgentState.PURGE_PENDING, grace=Grace(since=SINCE, ends_at=NOW, told_at=NOW - DAY, purge_after=NOW)
    )
    after = transition(before, desired(grace=31 * DAY), world(before))
    assert after.record.state is AgentState.SUSPENDED
    assert after.record.grace == Grace(since=SINCE, ends_at=NOW + DAY)


def test_a_volume_of_a_purged_agent_goes_by_its_uid_and_then_the_deleted_agent_may_go() -> None:
    before = starved(AgentState.PURGED, grace=Grace(purged_at=NOW))
    volume = volume_view(uid="left-over")
    seen = observation(pods=(), volumes=(volume,))
    assert transition(before, desired(deleting=True), seen).effects == (do.FreeVolume(volume.name, "left-over"),)
    gone = transition(before, desired(deleting=True), observation(pods=(), volumes=()))
    assert gone.record.state is AgentState.DELETED


def test_the_status_counts_down_and_is_not_written_again_while_nothing_changes() -> None:
    agent, before = factories.agent(storage={"size": "1Gi"}), starved(grace=Grace(since=NOW, ends_at=NOW + GRACE))
    shown = [
        conditions.agent_status(agent, replace(before, now=NOW + late), world(before), problem=None, rate_picos=None)
        for late in (timedelta(0), timedelta(minutes=5))
    ]
    assert shown[0]["purgeAt"] == clock.rfc3339(NOW + GRACE)
    assert shown[0] == shown[1]
    after = Grace(purged_at=NOW)
    gone = conditions.agent_status(
        agent, starved(AgentState.PURGED, grace=after), world(before), problem=None, rate_picos=None
    )
    assert (gone["purgedAt"], "purgeAt" in gone) == (clock.rfc3339(NOW), False)
    assert {item["reason"] for item in gone["conditions"]} >= {"Purged"}
