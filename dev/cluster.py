"""The cluster as a whole: start in order, stop without leaving anything behind, say what runs."""

import contextlib
import datetime
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from dev import (
    addons,
    cgroups,
    control_plane,
    nameservice,
    netns,
    netpol,
    node,
    pki,
    ports,
    processes,
    progress,
    relay,
)
from dev.layout import Layout
from dev.trouble import Trouble

# They hold no state: killed at once. Asking them politely took four times as long.
STATELESS = (
    "relay",
    "netpol",
    "local-path-provisioner",
    "kubelet",
    "kube-proxy",
    "kube-scheduler",
    "kube-controller-manager",
)
UNMOUNT_ROUNDS_MAX = 5
KILL_ROUNDS_MAX = 50


def up(layout: Layout) -> None:
    """Start what does not run yet, until the node, its name service and its volumes are ready."""
    layout.run.mkdir(parents=True, exist_ok=True, mode=0o711)
    with exclusive(layout):
        layout = ports.choose(layout)
        pki.ensure(layout)
        netns.up(layout)
        with progress.step("start etcd, containerd and the API server"):
            control_plane.start_store(layout)
            node.start_runtime(layout)
            control_plane.start_api_server(layout)
        addons.import_images(layout)
        with progress.step("wait for the API server"):
            control_plane.start_controllers(layout)
            relay.start(layout)
        with progress.step("start the node"):
            _start_node(layout)
        with progress.step("wait for name service and volumes"):
            processes.wait(
                layout,
                "kubelet",
                lambda: nameservice.answers(layout),
                seconds=120,
                what="the name service's first answer",
            )


def down(layout: Layout, *, wipe: bool = False) -> None:
    """Stop everything of this clone, also what a crash in the middle left; without traces when already stopped."""
    if not layout.run.exists():
        _sweep(layout)
        return
    with exclusive(layout), progress.step("stop the cluster"):
        for name in STATELESS:
            processes.stop(layout, name, grace_seconds=0)
        _remove_containers(layout)
        processes.stop(layout, "kube-apiserver", grace_seconds=0)
        for name in ("containerd", "etcd"):
            processes.stop(layout, name)
        for name in processes.names(layout):
            processes.stop(layout, name)
        _sweep(layout)
    if wipe:
        _wipe(layout)


def status(layout: Layout) -> list[str]:
    """What runs, where, and since when, in at most ten lines."""
    names = processes.names(layout)
    running = [name for name in names if processes.alive(layout, name)]
    if not running:
        return ["Nothing runs. `make up` starts it."]
    oldest = min(processes.since(layout, name) for name in running)
    lines = [
        f"cluster    runs since {_clock(oldest)}, network namespace {layout.name}, state in {layout.run}",
        f"processes  {', '.join(running)}",
    ]
    dead = [name for name in names if name not in running]
    if dead:
        lines.append(f"ended      {', '.join(dead)} (logs in {layout.logs}; `make up` starts them again)")
    with contextlib.suppress(Trouble):
        lines.append(f"node       {_node_summary(layout)}")
    lines.append(f"kubectl    https://127.0.0.1:{layout.port('api-server')}, KUBECONFIG={layout.kubeconfig}")
    return lines


def import_image(layout: Layout, tar: Path) -> None:
    """Bring an image archive into the node's container runtime."""
    node.ctr(layout, "images", "import", str(tar))


def kubectl(layout: Layout, *args: str, input: str | None = None) -> str:  # noqa: A002 -- as subprocess calls it
    """Run kubectl as administrator and return what it printed."""
    own = layout.bin / "kubectl"
    program = str(own) if own.exists() else shutil.which("kubectl") or "kubectl"
    return processes.run([program, f"--kubeconfig={layout.kubeconfig}", *args], stdin=input)


@contextlib.contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Hold this clone's lock: a start beside a stop would leave half of both."""
    with (layout.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Trouble("Wait until the other `make up` or `make down` of this clone has ended.") from error
        yield


def _start_node(layout: Layout) -> None:
    kubectl(layout, "apply", "--server-side", "--force-conflicts", "-f", "-", input=addons.manifests(layout))
    node.start_kubelet(layout)
    node.start_proxy(layout)
    netpol.start(layout)
    addons.start_provisioner(layout)
    processes.wait(layout, "kubelet", lambda: _node_ready(layout), seconds=120, what="the node's readiness")


def _node_ready(layout: Layout) -> bool:
    """Whether this kubelet, not one before the last `down`, has said that the node is ready."""
    condition = ".status.conditions[?(@.type=='Ready')]"
    template = f"jsonpath={{{condition}.status}} {{{condition}.lastHeartbeatTime}}"
    answer = kubectl(layout, "get", "node", layout.node_name, "--ignore-not-found", "-o", template).split()
    if len(answer) != 2 or answer[0] != "True":
        return False
    heartbeat = datetime.datetime.fromisoformat(answer[1]).timestamp()
    return heartbeat >= int(processes.since(layout, "kubelet"))


def _remove_containers(layout: Layout) -> None:
    """End every container while containerd still runs; what cannot be ended so falls to the sweep."""
    if not processes.alive(layout, "containerd"):
        return
    for kind in ("tasks", "containers"):
        with contextlib.suppress(Trouble):
            found = node.ctr(layout, kind, "ls", "-q").split()
            force = ["-f"] if kind == "tasks" else []
            if found:
                node.ctr(layout, kind, "rm", *force, *found)


def _sweep(layout: Layout) -> None:
    """Kill, unmount and remove whatever is left, known or not: a crash may have come before the record was written."""
    for _ in range(KILL_ROUNDS_MAX):
        left = {*netns.processes_inside(layout), *_shims(layout)}
        if not left:
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    cgroups.down(layout)
    _unmount(layout)
    netns.down(layout)
    _forget_containers(layout)


def _forget_containers(layout: Layout) -> None:
    """Remove what dead containers leave in files: sockets, given addresses, and links in two machine-wide folders."""
    links = [path for path in Path("/var/log/containers").glob("*.log") if _leads_into(path, layout.run)]
    results = Path("/var/lib/cni/results")
    # The loopback plugin's file carries the container's name but not the cluster's.
    containers = [path.name.split("-")[-2] for path in results.glob(f"{layout.name}-*")]
    known = [path for container in containers for path in results.glob(f"*-{container}-*")]
    for path in [*layout.run.glob("s/*"), *known, *links]:
        path.unlink(missing_ok=True)
    shutil.rmtree(layout.run / "ipam", ignore_errors=True)


def _leads_into(link: Path, folder: Path) -> bool:
    return link.is_symlink() and str(link.readlink()).startswith(f"{folder}/")


def _wipe(layout: Layout) -> None:
    # Deleting through a mount would delete what is mounted, a user's folder perhaps.
    for path in mounts(layout):
        raise Trouble(f"Unmount {path} and try again: the state cannot be deleted before.")
    with progress.step("delete state"):
        shutil.rmtree(layout.run)


def _shims(layout: Layout) -> list[int]:
    """Shims of this clone's containerd, found by the socket on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if words[0].endswith("containerd-shim-runc-v2") and str(layout.containerd_socket) in words:
                found.append(int(entry.name))
    return found


def _unmount(layout: Layout) -> None:
    # Several rounds: mounts lie on top of each other, and the table lists what is visible now.
    for _ in range(UNMOUNT_ROUNDS_MAX):
        mounted = mounts(layout)
        if not mounted:
            return
        for path in mounted:
            with contextlib.suppress(Trouble):
                processes.run(["umount", "-l", path])


def mounts(layout: Layout) -> list[str]:
    """Everything mounted below this clone's state, the longest path first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    paths = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return sorted((path for path in paths if path.startswith(f"{layout.run}/")), key=len, reverse=True)


def _node_summary(layout: Layout) -> str:
    found = json.loads(kubectl(layout, "--request-timeout=3s", "get", "node", layout.node_name, "-o", "json"))
    pods = kubectl(layout, "--request-timeout=3s", "get", "pods", "-A", "-o", "name").split()
    ready = next(item["status"] for item in found["status"]["conditions"] if item["type"] == "Ready")
    version = found["status"]["nodeInfo"]["kubeletVersion"]
    return f"{layout.node_name} Ready={ready}, Kubernetes {version}, {len(pods)} pods"


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
