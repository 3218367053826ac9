"""An image's archive, laid out as a root, and programs run in it: read-only, without rights, without a runtime."""

import gzip
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def unpack(archive: Path, root: Path) -> UnpackedImage:
    """Lay the layers of a docker-archive over each other."""
    sizes, compressed = [], []
    with tarfile.open(archive) as outer:
        (manifest,) = json.loads(_read(outer, "manifest.json"))
        for name in manifest["Layers"]:
            layer = _read(outer, name)
            sizes.append(len(layer))
            compressed.append(len(gzip.compress(layer, compresslevel=1)))
        config = json.loads(_read(outer, manifest["Config"]))
        for name in manifest["Layers"]:
            _lay(outer, name, root)
    return UnpackedImage(root, config, tuple(sizes), tuple(compressed))


def _lay(outer: tarfile.TarFile, name: str, root: Path) -> None:
    stream = outer.extractfile(name)
    assert stream is not None
    with tarfile.open(fileobj=stream) as layer:
        members = layer.getmembers()
        # None of our layers takes something away from an earlier one; then unpacking one over the other is the image.
        assert [member.name for member in members if Path(member.name).name.startswith(".wh.")] == []
        layer.extractall(root, members, filter=tarfile.fully_trusted_filter)


def _read(outer: tarfile.TarFile, name: str) -> bytes:
    stream = outer.extractfile(name)
    assert stream is not None, name
    return stream.read()
