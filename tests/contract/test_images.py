"""What the two images carry: little, nothing to install or compile with, and all that runs on a read-only root."""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import bill, images
from dev.layout import Layout
from moorage.mover import programs
from tests.contract import unpacked_image
from tests.contract.unpacked_image import UnpackedImage

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
# Builds our wheel, and is gone from the image.
BUILD_ONLY = {"hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers"}
MEGABYTE = 1_000_000
DISK_MEGABYTES_MAX = {"moorage": 150, "moorage-agent": 90}
TRANSFER_MEGABYTES_MAX = {"moorage": 65, "moorage-agent": 40}
# What installs, compiles, fetches, or makes somebody somebody else.
UNWANTED = {
    *("apt", "apt-get", "dpkg", "pip", "pip3", "easy_install", "conda", "npm", "perl", "gcc", "cc", "ld", "as", "make"),
    *("strip", "curl", "wget", "nc", "ssh", "su", "sudo", "login", "passwd", "chsh", "mount", "useradd"),
}
IMPORT_ALL = """
import importlib, pkgutil, moorage
for module in pkgutil.walk_packages(moorage.__path__, "moorage."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
SERVICES = """
import botocore.session
for name in ("s3", "kms", "sts"):
    botocore.session.get_session().create_client(name, region_name="us-east-1")
import cloudflare
client = cloudflare.AsyncCloudflare(api_token="x", base_url="http://127.0.0.1:9")
for resource in (client.dns.records, client.custom_hostnames, client.origin_ca_certificates, client.zones):
    assert resource.with_raw_response.list
"""
TRUST = "import ssl; assert ssl.create_default_context().cert_store_stats()['x509_ca'] > 100"


@pytest.fixture(scope="module")
def unpacked() -> Iterator[dict[str, UnpackedImage]]:
    layout = Layout.current()
    if layout.external:
        pytest.skip("the images of a foreign cluster are not ours")
    with tempfile.TemporaryDirectory(prefix="moorage-images-") as folder:
        # Programs run as the images' user must be able to pass.
        Path(folder).chmod(0o711)
        yield {
            name: unpacked_image.unpack(image.archive, Path(folder) / name)
            for name, image in zip(DISK_MEGABYTES_MAX, images.build(layout), strict=True)
        }


@pytest.fixture(params=DISK_MEGABYTES_MAX)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def image(unpacked: dict[str, UnpackedImage], name: str) -> UnpackedImage:
    return unpacked[name]


@pytest.fixture
def platform(unpacked: dict[str, UnpackedImage]) -> UnpackedImage:
    return unpacked["moorage"]


def test_image_is_small_on_disk_and_in_transfer(image: UnpackedImage, name: str) -> None:
    assert sum(image.layer_bytes) <= DISK_MEGABYTES_MAX[name] * MEGABYTE
    assert sum(image.compressed_bytes) <= TRANSFER_MEGABYTES_MAX[name] * MEGABYTE


def test_image_runs_as_nobody_and_says_what_it_is(image: UnpackedImage) -> None:
    config = image.config["config"]
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert {"org.opencontainers.image.title", "org.opencontainers.image.description"} <= set(config["Labels"])


def test_image_carries_nothing_to_install_compile_or_rise_with(image: UnpackedImage) -> None:
    folders = ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "opt/moorage/bin")
    found = {path.name for folder in folders for path in (image.root / folder).glob("*")}
    assert found & UNWANTED == set()
    assert [path for path in image.files() if path.stat().st_mode & 0o6000] == []
    assert [
        path for path in image.root.rglob("site-packages/*") if path.name.split("-")[0] in {"pip", "setuptools"}
    ] == []


def test_nothing_in_the_image_can_be_written(image: UnpackedImage) -> None:
    done = image.run(
        "sh", "-c", "echo kept >/tmp/file && cat /tmp/file && id -u && ! touch /file /opt/file 2>/dev/null"
    )
    assert (done.returncode, done.stdout) == (0, "kept\n10001\n"), done.stderr


def test_lists_of_packages_are_true(image: UnpackedImage) -> None:
    """A scanner believes the list; so what it names must be there, and what is gone must be gone from it."""
    text = (image.root / "var/lib/dpkg/status").read_text()
    named = {line.removeprefix("Package: ") for line in text.splitlines() if line.startswith("Package: ")}
    assert {"bash", "coreutils", "libc6", "libssl3", "openssl", "python3.11-minimal", "tar", "zstd"} <= named
    assert {name for name in named if name.startswith(("perl", "apt", "dpkg", "libapt"))} == set()


def test_bill_of_materials_names_all_of_it_with_its_licence(unpacked: dict[str, UnpackedImage]) -> None:
    archive = images.build(Layout.current())[0].archive
    parts = json.loads(bill.of(archive))["components"]
    named = {part["name"].lower().replace("_", "-") for part in parts}
    locked = re.findall(r"^([a-z][\w.-]*)==", (ROOT / "requirements-image.lock").read_text(), re.MULTILINE)
    assert set(locked) - named == BUILD_ONLY
    assert {"bash", "libc6", "tar", "zstd"} <= named
    # The texts of the licences are passed on with the programs.
    root = unpacked["moorage"].root
    debian = [part["name"] for part in parts if part["purl"].startswith("pkg:deb")]
    assert [name for name in debian if not (root / "usr/share/doc" / name / "copyright").exists()] == []


@pytest.mark.parametrize(
    "code", [IMPORT_ALL, SERVICES, TRUST], ids=["our code", "the services we call", "the authorities"]
)
def test_platform_finds_all_it_imports_and_trusts(platform: UnpackedImage, code: str) -> None:
    done = platform.run("python", "-W", "error", "-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_platform_starts_on_a_read_only_root(platform: UnpackedImage) -> None:
    usage = platform.run(*platform.config["config"]["Entrypoint"])
    assert usage.returncode == 2
    assert "docs/settings.md" in usage.stderr
    command_line = platform.run("moorage", "--help")
    assert (command_line.returncode, command_line.stderr) == (0, "")


def test_kubeconfig_is_refused_in_a_sentence_where_no_support_is(platform: UnpackedImage) -> None:
    done = platform.run("python", "-c", "from moorage.kube import login; login.from_kubeconfig()")
    assert "install moorage[kubeconfig]" in done.stderr


def test_every_program_of_the_mover_is_there(platform: UnpackedImage) -> None:
    called = {programs.TAR[0], programs.DECOMPRESS[0], "setfacl", "getfattr", "bash", "sync"}
    assert {name for name in called if platform.run(name, "--version").returncode != 0} == set()


def test_chatbot_starts_on_a_read_only_root(unpacked: dict[str, UnpackedImage]) -> None:
    agent = unpacked["moorage-agent"]
    # A setting it does not know: it got as far as its own code, and says so.
    done = agent.run("env", "CHATBOT_NOBODY=1", *agent.config["config"]["Entrypoint"])
    assert done.returncode == 78, done.stderr
