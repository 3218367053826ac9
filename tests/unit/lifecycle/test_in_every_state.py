"""Whatever happens in whatever state: it ends where it should, with the data of the last write, and nothing twice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from moorage.model.agent import DesiredState
from moorage.model.names import SnapshotId
from moorage.model.record import AgentState, SnapshotFacts
from tests.factories import NOW
from tests.unit.lifecycle.puppet import Puppet

OLDER = SnapshotFacts(id=SnapshotId("older"), taken_at=NOW - timedelta(days=1), bytes=1, files=1, disk_bytes=1)


def running() -> Puppet:
    """An agent at work that has written something."""
    puppet = Puppet().live()
    puppet.write()
    return puppet


def emptied(state: AgentState) -> Puppet:
    """One whose credit has ended, on its way down until this state."""
    puppet = running()
    puppet.money(empty=True)
    return puppet.live(until=state)


def archived() -> Puppet:
    puppet = emptied(AgentState.SUSPENDED)
    puppet.now += puppet.desired.warm_window
    return puppet.live(until=AgentState.ARCHIVED)


def restoring() -> Puppet:
    puppet = archived()
    puppet.money(empty=False)
    puppet.live(until=AgentState.RESTORING)
    puppet.look()
    return puppet


def captured() -> Puppet:
    """One that runs on, stopped for a moment because somebody asked for a snapshot."""
    puppet = running()
    puppet.desired = replace(puppet.desired, request="now")
    return puppet.live(until=AgentState.SNAPSHOTTING)


STATES: dict[str, Callable[[], Puppet]] = {
    "running": running,
    "draining": lambda: emptied(AgentState.DRAINING),
    "snapshotting": lambda: emptied(AgentState.SNAPSHOTTING),
    "verifying": lambda: emptied(AgentState.VERIFYING),
    "suspended": lambda: emptied(AgentState.SUSPENDED),
    "archived": archived,
    "restoring": restoring,
    "captured": captured,
}
every_state = pytest.mark.parametrize("begin", STATES.values(), ids=STATES)


@every_state
def test_a_top_up_brings_the_agent_back_with_its_data(begin: Callable[[], Puppet]) -> None:
    puppet = begin()
    puppet.money(empty=False)
    puppet.live()
    assert (puppet.record.state, len(puppet.pods), puppet.data) == (AgentState.RUNNING, 1, puppet.written)
    assert (len(puppet.volumes), len(puppet.jobs)) == (1, 0)


@every_state
def test_zero_ends_in_a_suspension_with_a_verified_snapshot(begin: Callable[[], Puppet]) -> None:
    puppet = begin()
    puppet.money(empty=True)
    puppet.live()
    assert puppet.record.state in (AgentState.SUSPENDED, AgentState.ARCHIVED)
    assert puppet.record.snapshot is not None
    assert puppet.held[puppet.record.snapshot.id] == puppet.written
    assert (len(puppet.pods), len(puppet.jobs)) == (0, 0)


@every_state
def test_a_pause_is_one_and_its_end_brings_the_agent_back(begin: Callable[[], Puppet]) -> None:
    puppet = begin()
    puppet.money(empty=False)
    puppet.desired = replace(puppet.desired, state=DesiredState.SUSPENDED)
    puppet.live()
    assert puppet.record.state in (AgentState.SUSPENDED, AgentState.ARCHIVED)
    assert puppet.pods == {}
    puppet.desired = replace(puppet.desired, state=DesiredState.RUNNING)
    puppet.live()
    assert (puppet.record.state, puppet.data) == (AgentState.RUNNING, puppet.written)


@every_state
def test_a_top_up_does_not_start_what_its_user_has_paused(begin: Callable[[], Puppet]) -> None:
    puppet = begin()
    puppet.desired = replace(puppet.desired, state=DesiredState.SUSPENDED)
    puppet.money(empty=True)
    puppet.live()
    puppet.money(empty=False)
    puppet.live()
    assert puppet.record.state in (AgentState.SUSPENDED, AgentState.ARCHIVED)
    assert puppet.pods == {}


@every_state
@pytest.mark.parametrize("empty", [False, True], ids=["funded", "empty"])
def test_a_deletion_leaves_a_verified_snapshot_of_the_last_write_and_nothing_else(
    begin: Callable[[], Puppet], empty: bool
) -> None:
    puppet = begin()
    puppet.money(empty=empty)
    puppet.desired = replace(puppet.desired, deleting=True)
    puppet.live()
    assert puppet.finished
    assert puppet.record.snapshot is not None
    assert puppet.held[puppet.record.snapshot.id] == puppet.written
    assert (puppet.pods, puppet.volumes, puppet.jobs) == ({}, {}, {})


@every_state
def test_other_data_comes_in_and_the_present_is_kept(begin: Callable[[], Puppet]) -> None:
    puppet = begin()
    puppet.money(empty=False)
    puppet.held[OLDER.id] = -1
    puppet.record = replace(puppet.record, restore=OLDER)
    puppet.live()
    assert (puppet.record.state, puppet.data, puppet.record.restore) == (AgentState.RUNNING, -1, None)
    assert puppet.written in [puppet.held[one.id] for one in puppet.record.kept]


@every_state
def test_a_snapshot_that_is_asked_for_is_taken_or_there_already(begin: Callable[[], Puppet]) -> None:
    puppet = begin()
    puppet.money(empty=False)
    puppet.desired = replace(puppet.desired, request="another")
    puppet.live()
    puppet.now += timedelta(minutes=2)
    puppet.live()
    assert puppet.record.state is AgentState.RUNNING
    assert puppet.record.wish is None
    assert puppet.record.snapshot is not None
    assert puppet.held[puppet.record.snapshot.id] == puppet.written


def test_a_second_zero_during_a_restore_waits_for_it_and_keeps_the_data() -> None:
    puppet = restoring()
    puppet.money(empty=True)
    puppet.live()
    assert puppet.record.state is AgentState.SUSPENDED
    assert puppet.data == puppet.written
    assert puppet.copies == 2, "the volume and the snapshot it came from"


def test_a_life_of_many_suspensions_keeps_as_many_snapshots_as_it_should() -> None:
    puppet = running()
    for _ in range(6):
        puppet.money(empty=True)
        puppet.live()
        puppet.now += puppet.desired.warm_window
        puppet.live()
        puppet.money(empty=False)
        puppet.live()
        puppet.write()
    assert len(puppet.record.kept) == puppet.desired.keep
    assert len(puppet.volumes) == 1
