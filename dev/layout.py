"""Names, paths and ports of one clone's test bed, all different in a second clone."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from dev import pins
from dev.trouble import Trouble

RUN_BASE = Path("/var/lib/moorage-dev")
# containerd refuses a longer folder for its shims' sockets ("RUN/s", 42 characters), since a socket's path ends at 107.
RUN_LENGTH_MAX = 40
# Below the kernel's range of ephemeral ports (32768 and up), so that no outgoing connection takes one by chance.
PORT_BLOCK_FIRST = 20000
PORT_BLOCK_COUNT = 1200
PORT_BLOCK_SIZE = 10


@dataclass(frozen=True)
class Target:
    """Where a port of the host's loopback leads to inside the node's network."""

    name: str
    host: str
    port: int


TARGETS = (
    Target("api-server", "10.77.0.1", 6443),
    Target("postgres", "10.77.0.1", 5432),
    Target("s3", "10.77.0.1", 9000),
    Target("api", "10.77.0.1", 8443),
    Target("probe", "127.0.0.1", 8081),
)


@dataclass(frozen=True)
class Layout:
    """Everything that tells one clone's test bed from another's."""

    root: Path
    """The project folder; may contain spaces."""
    cache: Path
    """What all clones of this user share: built programs and downloads."""
    run: Path
    """This clone's state: sockets, logs, certificates, data. Short, because socket paths are."""
    name: str
    """The network namespace and the control groups of this clone."""
    ports_first: int
    """First of the block of ports on the host's loopback."""
    foreign_kubeconfig: Path | None = None
    """The cluster to use instead of an own one."""

    node_name: ClassVar[str] = "moorage"
    node_ip: ClassVar[str] = "10.77.0.1"
    pod_range: ClassVar[str] = "10.78.0.0/16"
    service_range: ClassVar[str] = "10.123.0.0/16"
    dns_ip: ClassVar[str] = "10.123.0.10"

    @classmethod
    def current(cls) -> Self:
        """The layout of the clone this file lies in."""
        return cls.of(Path(__file__).resolve().parent.parent, os.environ)

    @classmethod
    def of(cls, root: Path, environ: Mapping[str, str]) -> Self:
        """The layout of the clone at `root` under the given environment."""
        home = Path(environ.get("HOME") or "/root")
        cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "moorage"
        override = environ.get("MOORAGE_DEV_DIR")
        if override:
            run = Path(override).absolute()
            identity = _digest(str(run))
        else:
            identity = _digest(str(root))
            run = RUN_BASE / identity
        _check_run(run)
        own = run / "admin.kubeconfig"
        return cls(
            root=root,
            cache=cache,
            run=run,
            name=f"moorage-{identity}",
            ports_first=_stored_ports(run) or _preferred_ports(identity),
            foreign_kubeconfig=_foreign(environ.get("KUBECONFIG"), own),
        )

    @property
    def external(self) -> bool:
        """Whether `KUBECONFIG` names a cluster that is not ours to start or stop."""
        return self.foreign_kubeconfig is not None

    @property
    def kubeconfig(self) -> Path:
        """For programs on the host: the administrator, through the relay (or the foreign cluster's file)."""
        return self.foreign_kubeconfig or self.run / "admin.kubeconfig"

    @property
    def kubeconfig_inside(self) -> Path:
        """For processes on the node: the administrator, straight at the API server."""
        return self.foreign_kubeconfig or self.pki / "admin-inside.kubeconfig"

    @property
    def toolchain(self) -> Path:
        """Pinned Go modules of every program that is built."""
        return self.root / "dev" / "toolchain"

    @property
    def bin(self) -> Path:
        """The cluster's programs; another folder as soon as one of their pins or a build flag changes."""
        return self.cache / "bin" / pins.fingerprint(self.toolchain)

    def programs(self, component: pins.Component) -> Path:
        """Where a component's programs are; those of a module that only tests ask for lie apart."""
        if component.module in pins.CLUSTER_MODULES:
            return self.bin
        return self.cache / "bin" / f"{component.module}-{pins.fingerprint(self.toolchain, [component.module])}"

    @property
    def pki(self) -> Path:
        """Certificates, keys and the components' kubeconfigs."""
        return self.run / "pki"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.run / "logs"

    @property
    def pids(self) -> Path:
        """One record per started process."""
        return self.run / "pids"

    @property
    def containerd_socket(self) -> Path:
        """The socket of this clone's container runtime."""
        return self.run / "containerd" / "containerd.sock"

    @property
    def netns(self) -> Path:
        """The file that stands for the node's network namespace."""
        return Path("/run/netns") / self.name

    @property
    def forwards(self) -> list[tuple[int, str, int]]:
        """What the relay serves: port on the host's loopback, target's address and port on the node."""
        return [(self.port(target.name), target.host, target.port) for target in TARGETS]

    def port(self, name: str) -> int:
        """The port on the host's loopback that leads to the target of this name."""
        return self.ports_first + [target.name for target in TARGETS].index(name)


def port_blocks(preferred: int) -> list[int]:
    """Every block's first port, the preferred one first."""
    start = (preferred - PORT_BLOCK_FIRST) // PORT_BLOCK_SIZE
    numbers = ((start + offset) % PORT_BLOCK_COUNT for offset in range(PORT_BLOCK_COUNT))
    return [PORT_BLOCK_FIRST + number * PORT_BLOCK_SIZE for number in numbers]


def ports_file(run: Path) -> Path:
    """Where the chosen block is remembered."""
    return run / "ports.json"


def _stored_ports(run: Path) -> int | None:
    try:
        return int(json.loads(ports_file(run).read_text())["first"])
    except (FileNotFoundError, PermissionError, ValueError, KeyError):
        return None


def _preferred_ports(identity: str) -> int:
    return PORT_BLOCK_FIRST + int(identity, 16) % PORT_BLOCK_COUNT * PORT_BLOCK_SIZE


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _foreign(value: str | None, own: Path) -> Path | None:
    # `eval "$(make -s env)"` exports our own file; the next `up` in that shell must not take it for a foreign cluster.
    if not value or Path(value).absolute() == own:
        return None
    return Path(value).absolute()


def _check_run(run: Path) -> None:
    if len(str(run)) > RUN_LENGTH_MAX:
        raise Trouble(f"Set MOORAGE_DEV_DIR to a folder of at most {RUN_LENGTH_MAX} characters: {run} is longer.")
    if any(sign in str(run) for sign in " ,:\\\"'"):
        raise Trouble(f"Set MOORAGE_DEV_DIR to a folder without spaces, commas, colons and quotes: {run} has one.")
