"""The control groups of this clone's pods, in the old (v1, hybrid) and the unified (v2) hierarchy."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from dev.layout import Layout
from dev.trouble import Trouble

MOUNT = Path("/sys/fs/cgroup")
# What the kubelet insists on, where the kernel has it.
UNIFIED_CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb")
KILL_ROUNDS_MAX = 50


def up(layout: Layout) -> None:
    """Create the clone's group in every hierarchy; the kubelet wants it to exist before it starts."""
    if _unified():
        _enable_controllers()
    for hierarchy in _hierarchies():
        group = hierarchy / layout.name
        group.mkdir(exist_ok=True)
        _fill_cpuset(hierarchy, group)


def down(layout: Layout) -> None:
    """Kill what still runs in the clone's groups and remove them, innermost first."""
    for _ in range(KILL_ROUNDS_MAX):
        members = processes_inside(layout)
        if not members:
            break
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for hierarchy in _hierarchies():
        for group in sorted(_groups(hierarchy / layout.name), key=lambda path: len(path.parts), reverse=True):
            _remove(group)


def processes_inside(layout: Layout) -> list[int]:
    """Every process in the clone's groups."""
    found: set[int] = set()
    for hierarchy in _hierarchies():
        for group in _groups(hierarchy / layout.name):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in (group / "cgroup.procs").read_text().split())
    return sorted(found)


def remaining(layout: Layout) -> list[Path]:
    """Groups of this clone that exist."""
    return [hierarchy / layout.name for hierarchy in _hierarchies() if (hierarchy / layout.name).exists()]


def _unified() -> bool:
    return (MOUNT / "cgroup.controllers").exists()


def _hierarchies() -> list[Path]:
    if _unified():
        return [MOUNT]
    # `cpu,cpuacct` may be one mount with symbolic links beside it: each real folder once.
    return sorted(path for path in MOUNT.iterdir() if path.is_dir() and not path.is_symlink()) if MOUNT.exists() else []


def _groups(top: Path) -> Iterator[Path]:
    if top.is_dir():
        yield top
        for folder, names, _ in os.walk(top):
            yield from (Path(folder) / name for name in names)


def _enable_controllers() -> None:
    available = (MOUNT / "cgroup.controllers").read_text().split()
    enabled = (MOUNT / "cgroup.subtree_control").read_text().split()
    lacking = [name for name in UNIFIED_CONTROLLERS if name in available and name not in enabled]
    for name in lacking:
        try:
            (MOUNT / "cgroup.subtree_control").write_text(f"+{name}")
        except OSError as error:
            raise Trouble(
                f"Enable the control group controller {name} for child groups: writing +{name} to "
                f"{MOUNT}/cgroup.subtree_control failed ({error.strerror})."
            ) from error


def _fill_cpuset(hierarchy: Path, group: Path) -> None:
    # A new cpuset group of the old hierarchy is empty, and nothing may run in an empty one.
    if _unified() or not (group / "cpuset.cpus").exists():
        return
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (group / name).read_text().strip():
            (group / name).write_text((hierarchy / name).read_text())


def _remove(group: Path) -> None:
    for _ in range(KILL_ROUNDS_MAX):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            # Busy: the kernel has not let go of the last process yet.
            time.sleep(0.02)
        else:
            return
