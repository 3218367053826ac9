"""Reads an image's docker-archive: its name, its configuration, and its layers in the order they are laid."""

import contextlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast


@dataclass(frozen=True)
class Archive:
    """One open archive with one image."""

    outer: tarfile.TarFile
    name: str
    """With tag; empty when it was saved by digest."""
    config: dict[str, Any]
    """The image's configuration, in the format of the OCI."""
    members: tuple[str, ...]
    """The layers' places in the archive, lowest first."""

    def stream(self, member: str) -> IO[bytes]:
        """One layer as it lies in the archive."""
        return _member(self.outer, member)

    def layers(self) -> Iterator[tarfile.TarFile]:
        """Each layer, lowest first, compressed or not."""
        for member in self.members:
            with tarfile.open(fileobj=self.stream(member)) as layer:
                yield layer


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive; it must hold exactly one image."""
    with tarfile.open(path) as outer:
        (manifest,) = json.load(_member(outer, "manifest.json"))
        names = manifest["RepoTags"] or [""]
        yield Archive(outer, names[0], json.load(_member(outer, manifest["Config"])), tuple(manifest["Layers"]))


def _member(outer: tarfile.TarFile, name: str) -> IO[bytes]:
    # None only for what is not a file; everything a manifest names is one.
    return cast("IO[bytes]", outer.extractfile(name))
