"""Images of one layer, written as a docker-archive without any builder."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """What goes into a one-layer image."""

    name: str
    """With tag; `localhost/...`, so that nothing ever tries to fetch it."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Path in the image → file to copy, executable."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Path in the image → content, readable."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Path in the image → target of the symbolic link."""
    folders: Mapping[str, int] = field(default_factory=dict)
    """Path in the image → mode."""
    entrypoint: Sequence[str] = ()
    environment: Sequence[str] = ("PATH=/bin",)


def write(image: Image, path: Path) -> None:
    """Write the archive; the same content gives the same bytes.

    A docker-archive, because the name inside an oci-archive did not reliably survive containerd's import.
    """
    layer = _layer(image)
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": list(image.entrypoint), "Env": list(image.environment)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        },
        sort_keys=True,
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [image.name], "Layers": [layer_name]}]
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, layer_name, layer, 0o644)
        _add(archive, config_name, config, 0o644)
        _add(archive, "manifest.json", json.dumps(manifest).encode(), 0o644)


def _layer(image: Image) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as layer:
        named = [*image.files, *image.texts, *image.links]
        parents = {str(parent) for name in named for parent in Path(name).parents if str(parent) != "."}
        for folder, mode in sorted({**dict.fromkeys(parents, 0o755), **image.folders}.items()):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            layer.addfile(entry)
        for name, source in sorted(image.files.items()):
            _add(layer, name, source.read_bytes(), 0o755)
        for name, text in sorted(image.texts.items()):
            _add(layer, name, text.encode(), 0o644)
        for name, target in sorted(image.links.items()):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            layer.addfile(entry)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
