"""The bill of materials of an image (CycloneDX): every Debian and every Python package in it, with version and licence.

`python -m dev.bill ARCHIVE > FILE` reads a docker-archive: it tells what is in the image, not what was asked for.
"""

import email.parser
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from dev import archive, licences

STATUS = "var/lib/dpkg/status"
COPYRIGHT = re.compile(r"usr/share/doc/([^/]+)/copyright")
METADATA = re.compile(r".*/site-packages/[^/]+\.dist-info/METADATA")
# In Debian's machine-readable copyright files, a line of its own for each licence of a package.
DEBIAN_LICENCE = re.compile(r"^License: *(\S[^\n]*)$", re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Write the bill of one archive to standard output."""
    (path,) = arguments
    sys.stdout.write(of(Path(path)) + "\n")
    return 0


def of(path: Path) -> str:
    """The bill as JSON; its serial number and its time are new each time."""
    with archive.opened(path) as image:
        files = _files(image)
        name, _, version = image.name.rpartition(":")
    parts = [*_debian(files), *_python(files)]
    bom = Bom(components=parts)
    bom.metadata.component = Component(name=name, version=version, type=ComponentType.CONTAINER)
    bom.register_dependency(bom.metadata.component, parts)
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _files(image: archive.Archive) -> dict[str, str]:
    """The files that tell of packages, by path; a later layer's counts."""
    found: dict[str, str] = {}
    for layer in image.layers():
        for member in layer:
            path = member.name.removeprefix("./")
            if member.isfile() and (path == STATUS or COPYRIGHT.fullmatch(path) or METADATA.fullmatch(path)):
                found[path] = _text(layer, member)
    return found


def _text(layer: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = layer.extractfile(member)
    assert stream is not None, member.name
    return stream.read().decode(errors="replace")


def _debian(files: dict[str, str]) -> Iterator[Component]:
    for stanza in files.get(STATUS, "").split("\n\n"):
        package = email.parser.HeaderParser().parsestr(stanza)
        if package["Package"]:
            name, version, architecture = package["Package"], package["Version"], package["Architecture"]
            declared = DEBIAN_LICENCE.findall(files.get(f"usr/share/doc/{name}/copyright", ""))
            purl = PackageURL("deb", "debian", name, version, {"arch": architecture})
            yield _component(name, version, purl, sorted(set(declared)))


def _python(files: dict[str, str]) -> Iterator[Component]:
    for path, text in files.items():
        if METADATA.fullmatch(path):
            package = email.parser.HeaderParser().parsestr(text)
            name, version = package["Name"], package["Version"]
            expression = licences.expression(package)
            yield _component(name, version, PackageURL("pypi", None, name.lower(), version), [expression or "unknown"])


def _component(name: str, version: str, purl: PackageURL, declared: list[str]) -> Component:
    factory = LicenseFactory()
    # CycloneDX takes one expression, or any number of names.
    if len(declared) == 1 and licences.readable(declared[0]):
        found = [factory.make_from_string(declared[0])]
    else:
        found = [factory.make_with_name(text) for text in declared]
    return Component(name=name, version=version, purl=purl, bom_ref=str(purl), licenses=found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
