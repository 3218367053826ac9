"""A daemon is known by pid and start, so that a reused pid is never taken for it."""

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import processes
from dev.layout import Layout
from dev.trouble import Trouble

SLEEPER = ["sleep", "1000"]


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    (tmp_path / "dev" / "toolchain").mkdir(parents=True)
    layout = Layout(
        root=tmp_path, cache=tmp_path / "cache", run=tmp_path / "run", name="moorage-test", ports_first=20000
    )
    yield layout
    for name in processes.names(layout):
        processes.stop(layout, name, grace_seconds=0)


def own_record() -> processes.Record:
    started = processes.started_ticks(os.getpid())
    assert started is not None
    return processes.Record(os.getpid(), started, processes.boot_id(), "", 0.0)


def write(layout: Layout, name: str, record: processes.Record) -> None:
    layout.pids.mkdir(parents=True, exist_ok=True)
    (layout.pids / f"{name}.json").write_text(json.dumps(dataclasses.asdict(record)))


def test_a_started_daemon_is_alive_until_stopped(layout: Layout) -> None:
    processes.start(layout, "sleeper", SLEEPER, inside=False)
    assert processes.alive(layout, "sleeper")

    processes.stop(layout, "sleeper")
    assert not processes.alive(layout, "sleeper")
    assert processes.names(layout) == []


def test_a_second_start_with_the_same_command_leaves_the_daemon_alone(layout: Layout) -> None:
    processes.start(layout, "sleeper", SLEEPER, inside=False)
    first = processes.pid_of(layout, "sleeper")
    processes.start(layout, "sleeper", SLEEPER, inside=False)

    assert processes.pid_of(layout, "sleeper") == first


@pytest.mark.parametrize(("argv", "env"), [(["sleep", "1001"], {}), (SLEEPER, {"SETTING": "new"})])
def test_a_second_start_replaces_the_daemon_when_its_settings_changed(
    layout: Layout, argv: list[str], env: dict[str, str]
) -> None:
    processes.start(layout, "sleeper", SLEEPER, inside=False)
    first = processes._read(layout, "sleeper")
    processes.start(layout, "sleeper", argv, inside=False, env=env)

    assert not processes.is_alive(first)
    assert processes.alive(layout, "sleeper")


def test_nothing_of_our_environment_leaks_into_a_daemon(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somewhere")
    processes.start(layout, "printer", ["sh", "-c", "env; exec sleep 1000"], inside=False, env={"ASKED": "yes"})
    log = processes.log_file(layout, "printer")
    processes.wait(layout, "printer", lambda: "ASKED=yes" in log.read_text(), seconds=60, what="its environment")

    assert "KUBECONFIG" not in log.read_text()


def test_no_open_file_of_ours_leaks_into_a_daemon(layout: Layout, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with lock.open("w") as held:
        os.set_inheritable(held.fileno(), True)
        fcntl.flock(held, fcntl.LOCK_EX)
        processes.start(layout, "sleeper", ["sleep", "60"], inside=False)
    try:
        with lock.open("w") as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        processes.stop(layout, "sleeper", grace_seconds=0)


def test_a_record_of_a_reused_pid_is_dead_and_its_new_owner_is_spared(layout: Layout) -> None:
    # The pid is ours, but the record speaks of a process that was started earlier.
    mine = own_record()
    write(layout, "reused", dataclasses.replace(mine, started=mine.started - 1))

    assert not processes.alive(layout, "reused")
    processes.stop(layout, "reused", grace_seconds=0)  # would end this very test run
    assert processes.names(layout) == []


def test_a_record_of_another_boot_is_dead(layout: Layout) -> None:
    write(layout, "yesterday", dataclasses.replace(own_record(), boot="another"))

    assert not processes.alive(layout, "yesterday")


def test_our_own_record_is_alive(layout: Layout) -> None:
    write(layout, "myself", own_record())

    assert processes.alive(layout, "myself")
    (layout.pids / "myself.json").unlink()


def test_a_zombie_has_no_start(layout: Layout) -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has taken note yet

    assert processes.started_ticks(child) is None
    os.waitpid(child, 0)


def test_waiting_fails_with_the_log_when_the_daemon_ends(layout: Layout) -> None:
    processes.start(layout, "broken", ["sh", "-c", "echo no certificate; exit 3"], inside=False)

    with pytest.raises(Trouble, match=r"(?s)ended before readiness.*no certificate"):
        processes.wait(layout, "broken", lambda: False, seconds=60, what="readiness")


def test_waiting_fails_when_the_time_is_over(layout: Layout) -> None:
    processes.start(layout, "sleeper", SLEEPER, inside=False)

    with pytest.raises(Trouble, match="did not happen within 0 s"):
        processes.wait(layout, "sleeper", lambda: False, seconds=0, what="readiness")


def test_a_daemon_that_ignores_the_polite_signal_is_killed(layout: Layout) -> None:
    processes.start(
        layout, "stubborn", ["sh", "-c", "trap '' TERM; echo set; while :; do sleep 1000; done"], inside=False
    )
    log = processes.log_file(layout, "stubborn")
    processes.wait(layout, "stubborn", lambda: "set" in log.read_text(), seconds=60, what="its trap")
    record = processes._read(layout, "stubborn")
    processes.stop(layout, "stubborn", grace_seconds=0.01)

    assert not processes.is_alive(record)


def test_stopping_what_never_ran_is_fine(layout: Layout) -> None:
    processes.stop(layout, "nobody")


def test_a_failed_program_becomes_one_sentence() -> None:
    with pytest.raises(Trouble, match="no such thing"):
        processes.run(["sh", "-c", "echo no such thing >&2; exit 1"])


def test_a_missing_program_becomes_one_sentence() -> None:
    with pytest.raises(Trouble, match="Install surely-not-there"):
        processes.run(["surely-not-there"])
