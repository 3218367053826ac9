"""The archive writer makes an image that a container runtime can trust by its digests."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from dev import oci


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF")
    return path


def image(program: Path) -> oci.Image:
    return oci.Image(
        "localhost/box:1",
        files={"bin/box": program},
        links={"bin/sh": "box"},
        texts={"etc/passwd": "root:x:0:0\n"},
        folders={"tmp": 0o1777},
        entrypoint=("/bin/box",),
    )


def read(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        member = tar.extractfile(name)
        assert member is not None
        return member.read()


def test_archive_names_the_image_and_its_digests_fit(program: Path, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    oci.write(image(program), archive)

    (manifest,) = json.loads(read(archive, "manifest.json"))
    layer = read(archive, manifest["Layers"][0])
    config = read(archive, manifest["Config"])
    assert manifest["RepoTags"] == ["localhost/box:1"]
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert json.loads(config)["config"]["Entrypoint"] == ["/bin/box"]


def test_layer_holds_files_links_and_folders_with_their_modes(program: Path, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    oci.write(image(program), archive)

    (manifest,) = json.loads(read(archive, "manifest.json"))
    with tarfile.open(fileobj=io.BytesIO(read(archive, manifest["Layers"][0]))) as layer:
        members = {member.name: member for member in layer}
    assert members["bin/box"].mode == 0o755
    assert members["bin/sh"].linkname == "box"
    assert members["tmp"].mode == 0o1777
    assert members["bin"].isdir()
    assert list(members).index("bin") < list(members).index("bin/box")


def test_same_content_gives_the_same_bytes(program: Path, tmp_path: Path) -> None:
    for name in ("one.tar", "two.tar"):
        oci.write(image(program), tmp_path / name)

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
