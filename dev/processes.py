"""Start, watch and stop the test bed's daemons, each known by a record that survives us and pid reuse."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.layout import Layout
from dev.trouble import Trouble

POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 15
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Record:
    """What is written down about a started process."""

    pid: int
    started: int
    """Clock ticks after boot: with the boot's id it tells the process from a later one with the same pid."""
    boot: str
    command: str
    """Hash of command and environment, so that a changed setting restarts the process."""
    since: float


def start(
    layout: Layout,
    name: str,
    argv: Sequence[str],
    *,
    inside: bool,
    env: Mapping[str, str] | None = None,
    user: int | None = None,
) -> None:
    """Start a daemon unless it runs already with the same command and environment; restart it if these changed.

    `inside` puts it on the node's network; `env` comes on top of a small fixed environment (nothing of ours leaks in).
    """
    environment = {"PATH": f"{layout.bin}:{SYSTEM_PATH}", "HOME": "/root", "LANG": "C.UTF-8", **(env or {})}
    command = [*(enter(layout) if inside else []), *(drop_to(user) if user is not None else []), *argv]
    fingerprint = hashlib.sha256(json.dumps([command, environment], sort_keys=True).encode()).hexdigest()[:16]
    if alive(layout, name):
        if _read(layout, name).command == fingerprint:
            return
        stop(layout, name)
    layout.logs.mkdir(parents=True, exist_ok=True)
    layout.pids.mkdir(parents=True, exist_ok=True)
    log = os.open(log_file(layout, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # Every wrapper (env, nsenter, setpriv) replaces itself, so this pid is the daemon's own.
        pid = os.posix_spawn(
            "/usr/bin/env",
            ["env", "--chdir=/", *command],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                # Whatever we were started with, a lock perhaps, must not stay open for as long as the daemon runs.
                *((os.POSIX_SPAWN_CLOSE, number) for number in _inheritable()),
            ],
            setsid=True,
        )
    finally:
        os.close(log)
    record = Record(pid, started_ticks(pid) or 0, boot_id(), fingerprint, time.time())
    pending = layout.pids / f".{name}"
    pending.write_text(json.dumps(asdict(record)))
    pending.replace(_file(layout, name))


def _inheritable() -> list[int]:
    """Open files beyond the standard three that a new process would get from us."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the folder's own, closed by now
            if int(entry.name) > 2 and os.get_inheritable(int(entry.name)):
                found.append(int(entry.name))
    return found


def alive(layout: Layout, name: str) -> bool:
    """Whether the recorded process still runs: the same pid with the same start, and not a zombie."""
    try:
        record = _read(layout, name)
    except FileNotFoundError:
        return False
    return is_alive(record)


def is_alive(record: Record) -> bool:
    """Whether the process this record was written for runs."""
    _reap(record.pid)
    return record.boot == boot_id() and started_ticks(record.pid) == record.started


def stop(layout: Layout, name: str, *, grace_seconds: float = 5.0) -> None:
    """End a daemon and wait until it is gone: SIGTERM, after the grace SIGKILL; without grace SIGKILL at once."""
    try:
        record = _read(layout, name)
    except FileNotFoundError:
        return
    deadline = time.monotonic() + grace_seconds
    if grace_seconds > 0:
        _signal(record, signal.SIGTERM)
    while is_alive(record) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 5)
    while is_alive(record):
        _signal(record, signal.SIGKILL)
        time.sleep(POLL_SECONDS / 5)
    _file(layout, name).unlink(missing_ok=True)


def wait(layout: Layout, name: str, ready: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Wait until `ready`; fail with the log's last lines when the process ends or the time is over."""
    deadline = time.monotonic() + seconds
    while not ready():
        if not alive(layout, name):
            raise Trouble(f"{name} ended before {what}; look at {log_file(layout, name)}:\n{last_lines(layout, name)}")
        if time.monotonic() > deadline:
            raise Trouble(
                f"{what} did not happen within {seconds:.0f} s; look at {log_file(layout, name)}:\n"
                f"{last_lines(layout, name)}"
            )
        time.sleep(POLL_SECONDS)


def run(argv: Sequence[str], *, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a short program and return what it printed; its failure becomes one sentence."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    try:
        done = subprocess.run(list(argv), input=stdin, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Trouble(f"Install {argv[0]}: it is not on the path.") from error
    if done.returncode != 0:
        raise Trouble(f"`{' '.join(argv[:6])}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def enter(layout: Layout) -> list[str]:
    """The command prefix that puts a program on the node's network.

    `ip netns exec` would remount /sys and hide the control groups.
    """
    return ["nsenter", f"--net={layout.netns}", "--"]


def drop_to(user: int) -> list[str]:
    """The command prefix that runs a program as this user and group without any others."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]


def names(layout: Layout) -> list[str]:
    """Every process on record, dead or alive."""
    return sorted(path.stem for path in layout.pids.glob("[!.]*.json")) if layout.pids.exists() else []


def since(layout: Layout, name: str) -> float:
    """When the recorded process was started, in seconds of the wall clock."""
    return _read(layout, name).since


def pid_of(layout: Layout, name: str) -> int:
    """The recorded process's pid."""
    return _read(layout, name).pid


def log_file(layout: Layout, name: str) -> Path:
    """Where a daemon's output goes."""
    return layout.logs / f"{name}.log"


def last_lines(layout: Layout, name: str) -> str:
    """The end of a daemon's log, for a person to read."""
    try:
        lines = log_file(layout, name).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(f"    {line[:400]}" for line in lines[-LOG_LINES_SHOWN:])


def started_ticks(pid: int) -> int | None:
    """When a living process was started, in clock ticks after boot; None for a dead one or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may itself contain spaces and parentheses; the fields behind the last one are regular.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def boot_id() -> str:
    """This boot of the kernel; ticks of another boot say nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _signal(record: Record, number: signal.Signals) -> None:
    if is_alive(record):
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, number)


def _reap(pid: int) -> None:
    # A daemon that ended while its starter still runs stays a zombie until somebody asks.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _read(layout: Layout, name: str) -> Record:
    return Record(**json.loads(_file(layout, name).read_text()))


def _file(layout: Layout, name: str) -> Path:
    return layout.pids / f"{name}.json"
