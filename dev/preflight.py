"""What must be true before `up` changes anything: rights, disk, tools. Each failure says what to do."""

import os
import shutil
from pathlib import Path

from dev import gosource, ports, processes, progress, toolchain
from dev.layout import Layout
from dev.trouble import Trouble

DISK_GIB_COLD = 12
DISK_GIB_WARM = 2
# Each Debian package with a program that shows it is there.
PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "buildah": "buildah",
    "nftables": "nft",
    "runc": "runc",
    "socat": "socat",
    "conntrack": "conntrack",
    "iproute2": "ip",
    "iptables": "iptables",
    "zstd": "zstd",
    "util-linux": "nsenter",
    "procps": "sysctl",
}


def check(layout: Layout) -> None:
    """Check everything first, and only then fetch what is missing."""
    check_rights()
    _check_kernel()
    _check_disk(layout)
    ports.free_block(layout.ports_first)
    lacking = missing_packages(f"{os.environ.get('PATH', '')}:{processes.SYSTEM_PATH}")
    if lacking and shutil.which("apt-get") is None:
        raise Trouble(f"Install {', '.join(lacking)} (Debian's names): this machine has no apt-get to do it with.")
    if lacking:
        _install(lacking)
    if toolchain.needed(layout) and gosource.find(layout) is None:
        gosource.fetch(layout)


def check_rights() -> None:
    """Only root may make namespaces, mounts and control groups."""
    if os.geteuid() != 0:
        raise Trouble("Run it as root: a node needs namespaces, mounts and control groups.")


def missing_packages(path: str) -> list[str]:
    """Debian packages whose program is not on this search path."""
    return [package for package, program in PACKAGES.items() if shutil.which(program, path=path) is None]


def check_space(path: Path, gibibytes: int) -> None:
    """The disk under a path, which need not exist yet, must have this much room."""
    place = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(place).free / 2**30
    if free < gibibytes:
        raise Trouble(f"Free {gibibytes} GiB at {place}: only {free:.1f} GiB are left.")


def _check_kernel() -> None:
    filesystems = Path("/proc/filesystems").read_text().split()
    if "overlay" not in filesystems and shutil.which("modprobe") is None:
        raise Trouble("Use a kernel with overlayfs (`modprobe overlay`): containers are made of it.")
    if not Path("/sys/fs/cgroup").is_dir() or not any(Path("/sys/fs/cgroup").iterdir()):
        raise Trouble("Mount the control groups at /sys/fs/cgroup: pods run in them.")


def _check_disk(layout: Layout) -> None:
    cold = bool(toolchain.needed(layout))
    wanted = {layout.cache: DISK_GIB_COLD if cold else DISK_GIB_WARM, layout.run: DISK_GIB_WARM}
    for path, gibibytes in wanted.items():
        check_space(path, gibibytes)


def _install(packages: list[str]) -> None:
    apt = ["apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0"]
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(f"install {' '.join(packages)}"):
        try:
            processes.run([*apt, "update"], env=environment)
            processes.run([*apt, "install", "--no-install-recommends", *packages], env=environment)
        except Trouble as error:
            raise Trouble(f"Install {' '.join(packages)} with apt-get and try again: {error}") from error
