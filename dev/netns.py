"""The node's own network: a namespace without an uplink, and connections into it from the host."""

import contextlib
import ctypes
import os
import socket
import threading
from pathlib import Path

from dev import processes
from dev.layout import Layout
from dev.trouble import Trouble

CLONE_NEWNET = 0x40000000
BRIDGE = "node0"
# Nobody answers there: packets to the outside end in the namespace instead of failing with "no route".
GATEWAY = "10.77.0.254"
NODE_PREFIX = 24


def up(layout: Layout) -> None:
    """Create the namespace, its loopback and the node's address; finding them already there is fine."""
    if not layout.netns.exists():
        processes.run(["ip", "netns", "add", layout.name])
    inside = processes.enter(layout)
    processes.run([*inside, "ip", "link", "set", "lo", "up"])
    links = processes.run([*inside, "ip", "-o", "link"])
    if f" {BRIDGE}:" not in links:
        # A bridge, because some kernels lack the dummy device.
        processes.run([*inside, "ip", "link", "add", BRIDGE, "type", "bridge"])
    processes.run([*inside, "ip", "addr", "replace", f"{layout.node_ip}/{NODE_PREFIX}", "dev", BRIDGE])
    processes.run([*inside, "ip", "link", "set", BRIDGE, "up"])
    processes.run([*inside, "ip", "route", "replace", "default", "via", GATEWAY])
    processes.run([*inside, "sysctl", "-qw", "net.ipv4.ip_forward=1"])
    _filter_bridged_packets(inside)


def down(layout: Layout) -> None:
    """Remove the namespace and with it every device, rule and route of the cluster."""
    if layout.netns.exists():
        # A half-made namespace is a plain file that `ip` refuses to delete.
        with contextlib.suppress(Trouble):
            processes.run(["ip", "netns", "del", layout.name])
        layout.netns.unlink(missing_ok=True)
    folder = layout.netns.parent
    if folder.exists() and not any(folder.iterdir()):
        # `ip` mounts this folder on itself for the first namespace and leaves it so after the last.
        with contextlib.suppress(Trouble):
            processes.run(["umount", str(folder)])


def enter(netns: Path) -> None:
    """Move the calling thread into the namespace; sockets made before keep the network they were made in."""
    libc = ctypes.CDLL(None, use_errno=True)
    with netns.open("rb") as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(netns))


def connect(layout: Layout, host: str, port: int, *, timeout_seconds: float = 2.0) -> socket.socket:
    """A connection from this process to an address inside; OSError when nobody answers."""
    result: list[socket.socket | OSError] = []

    def dial() -> None:
        try:
            enter(layout.netns)
            result.append(socket.create_connection((host, port), timeout_seconds))
        except OSError as error:
            result.append(error)

    # Only a thread of its own may change its network: the caller's stays where it is.
    thread = threading.Thread(target=dial)
    thread.start()
    thread.join()
    answer = result[0]
    if isinstance(answer, OSError):
        raise answer
    return answer


def processes_inside(layout: Layout) -> list[int]:
    """Every process on the node's network, ourselves excepted."""
    try:
        wanted = layout.netns.stat().st_ino
    except FileNotFoundError:
        return []
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "ns" / "net").stat().st_ino == wanted and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def _filter_bridged_packets(inside: list[str]) -> None:
    """Let netfilter see pod-to-pod packets on the same bridge; without it network policies have no effect."""
    key = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not key.exists():
        with contextlib.suppress(Trouble):
            processes.run(["modprobe", "br_netfilter"])
    try:
        processes.run([*inside, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1"])
    except Trouble as error:
        raise Trouble("Load the kernel module br_netfilter (`modprobe br_netfilter`): the kernel lacks it.") from error
