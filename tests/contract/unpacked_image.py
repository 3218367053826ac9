"""An image's archive, laid out as a root, and programs run in it: read-only, without rights, without a runtime."""

import gzip
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev import archive

SECONDS_MAX = 120
# A namespace of its own for the mounts, and the root mounted read-only, as the hardened pods have it.
ENTER = """
set -e
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
mount -t tmpfs tmpfs "$0/tmp"
mount -t proc proc "$0/proc"
exec chroot --userspec=10001:10001 --groups= "$0" "$@"
"""


@dataclass(frozen=True)
class UnpackedImage:
    """One image on disk."""

    root: Path
    config: dict[str, Any]
    layer_bytes: tuple[int, ...]
    """Size of each layer as it lies on a node's disk."""
    compressed_bytes: tuple[int, ...]
    """Size of each layer as a registry keeps it, by the fastest and so worst compression."""

    def run(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """Run a program in the image as its user, with nothing but `/tmp` to write to."""
        enter = ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", ENTER, str(self.root)]
        environment = ["/usr/bin/env", "-i", *self.config["config"]["Env"]]
        return subprocess.run(
            [*enter, *environment, *argv], capture_output=True, text=True, check=False, timeout=SECONDS_MAX
        )

    def files(self) -> Iterator[Path]:
        """Every regular file, links left out."""
        return (path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())


def unpack(path: Path, root: Path) -> UnpackedImage:
    """Lay the layers of a docker-archive over each other."""
    with archive.opened(path) as image:
        contents = [image.stream(member).read() for member in image.members]
        for layer in image.layers():
            members = layer.getmembers()
            # None of our layers takes something away from an earlier one; then one laid over the other is the image.
            assert [member.name for member in members if Path(member.name).name.startswith(".wh.")] == []
            layer.extractall(root, members, filter=tarfile.fully_trusted_filter)
        sizes = tuple(len(content) for content in contents)
        compressed = tuple(len(gzip.compress(content, compresslevel=1)) for content in contents)
        return UnpackedImage(root, image.config, sizes, compressed)
