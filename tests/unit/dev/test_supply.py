"""Bills, licences, audits: what is in an image is named, unknown licences are refused, no answer is no failure."""

import email.parser
import io
import json
import tarfile
from pathlib import Path

import pytest

from dev import audit, bill, licences

STATUS = """Package: tar
Architecture: amd64
Version: 1.34

Package: zstd
Architecture: amd64
Version: 1.5.4
"""
METADATA = "Metadata-Version: 2.4\nName: Kopf\nVersion: 1.45.2\nLicense-Expression: MIT\n"


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An image of two layers; the upper one has the true list of packages."""
    lower = _tar({"var/lib/dpkg/status": b"Package: gone\nVersion: 1\nArchitecture: all\n"})
    copyright_file = b"Files: *\nLicense: GPL-3+\n"
    upper = _tar(
        {
            "var/lib/dpkg/status": STATUS.encode(),
            "usr/share/doc/tar/copyright": copyright_file,
            "opt/x/lib/python3.11/site-packages/kopf-1.45.2.dist-info/METADATA": METADATA.encode(),
        }
    )
    manifest = [{"Config": "config.json", "RepoTags": ["localhost/moorage:1"], "Layers": ["a.tar", "b.tar"]}]
    content = {"manifest.json": json.dumps(manifest).encode(), "config.json": b"{}", "a.tar": lower, "b.tar": upper}
    path = tmp_path / "image.tar"
    path.write_bytes(_tar(content))
    return path


def test_bill_names_what_the_image_has_in_the_end(archive: Path) -> None:
    made = json.loads(bill.of(archive))
    assert (made["bomFormat"], made["metadata"]["component"]["name"]) == ("CycloneDX", "localhost/moorage")
    found = {part["purl"]: part.get("licenses") for part in made["components"]}
    assert found == {
        "pkg:deb/debian/tar@1.34?arch=amd64": [{"license": {"name": "GPL-3+"}}],
        "pkg:deb/debian/zstd@1.5.4?arch=amd64": None,
        "pkg:pypi/kopf@1.45.2": [{"license": {"id": "MIT"}}],
    }


@pytest.mark.parametrize(
    ("lines", "expression"),
    [
        pytest.param("License-Expression: MIT OR GPL-3.0-only", "MIT OR GPL-3.0-only", id="an expression"),
        pytest.param("License: Apache 2.0", "Apache-2.0", id="a field in words we know"),
        pytest.param("License: do what you like", None, id="a field in words we do not know"),
        pytest.param("Classifier: License :: OSI Approved :: MIT License", "MIT", id="a classifier"),
        pytest.param(
            "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: Strange License",
            None,
            id="a classifier that we do not know beside one that we know",
        ),
        pytest.param("Name: nothing", None, id="nothing"),
    ],
)
def test_licence_is_read_from_what_a_package_declares(lines: str, expression: str | None) -> None:
    assert licences.expression(email.parser.HeaderParser().parsestr(lines)) == expression


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND BSD-2-Clause", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("LGPL-2.1-or-later", False),
        ("AGPL-3.0-only", False),
        ("Business Source License", False),
        ("", False),
        (None, False),
    ],
)
def test_licence_is_allowed_when_all_of_a_sum_and_one_of_a_choice_are(expression: str | None, allowed: bool) -> None:
    assert licences.allowed(expression) is allowed


@pytest.mark.parametrize(
    ("packages", "weak", "says"),
    [
        pytest.param([{"name": "a", "version": "1", "vulns": []}], False, "1 of 1", id="nothing is known"),
        pytest.param([{"name": "a", "vulns": [{"id": "CVE-1"}]}], True, "a: CVE-1", id="a weakness is known"),
        pytest.param([{"name": "a", "skip_reason": "?"}], False, "not reachable", id="the index knows no weaknesses"),
        pytest.param([], False, "not reachable", id="an empty answer"),
    ],
)
def test_audit_fails_for_known_weaknesses_only(packages: list[object], weak: bool, says: str) -> None:
    sentence, bad = audit.verdict({"dependencies": packages})
    assert bad is weak
    assert says in sentence
