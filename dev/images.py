"""The images: built from our Dockerfiles on a base made here, cached by what went into them."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dev import progress
from dev.layout import Layout
from dev.trouble import Trouble

# What both images start from. The mover calls tar, zstd, setfacl and getfattr; the build strips symbols with binutils;
# and nobody reads manuals in a container.
BASE_SUITE = "bookworm"
BASE_PACKAGES = ("python3", "python3-venv", "ca-certificates", "tar", "zstd", "acl", "attr", "binutils")
BASE_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*")
# Who passes on a program passes on its licence.
BASE_KEPT = ("/usr/share/doc/*/copyright",)
BASE_DOCKERFILE = "FROM scratch\nADD base.tar /\n"
CERTIFICATES = Path("/etc/ssl/certs")
HASH_LENGTH = 12
ARCHIVES_KEPT = 3
# A build whose dependencies changed adds about 500 MB of layers; beyond this the store is started anew.
STORE_MEBIBYTES_MAX = 6 * 1024
LOG_LINES_SHOWN = 15


@dataclass(frozen=True)
class Recipe:
    """One image: its Dockerfile, and what that copies."""

    name: str
    dockerfile: str
    copied: tuple[str, ...]
    """Files and folders the Dockerfile copies, relative to the project like its own path."""

    @property
    def content(self) -> tuple[str, ...]:
        """What the hash covers, and nothing else."""
        return (self.dockerfile, *self.copied)


PLATFORM = Recipe(
    "localhost/moorage",
    "Dockerfile",
    ("image/slim.sh", "pyproject.toml", "README.md", "LICENSE", "requirements-image.lock", "operator"),
)
AGENT = Recipe("localhost/moorage-agent", "agent-image/Dockerfile", ("image/slim.sh", "agent-image/chatbot"))


@dataclass(frozen=True)
class Image:
    """A built image and the archive to import it from."""

    name: str
    archive: Path


@dataclass(frozen=True)
class Workshop:
    """Where images are made: shared by all clones of this user."""

    folder: Path

    @property
    def base_archive(self) -> Path:
        """The root file system both images start from; another file when its recipe changes."""
        return self.folder / f"base-{_base_hash()}.tar"

    @property
    def base_name(self) -> str:
        """The base image's name in buildah's store."""
        return f"localhost/moorage-base:{_base_hash()}"

    @property
    def log(self) -> Path:
        """What the tools said in the last build."""
        return self.folder / "build.log"


def build(layout: Layout) -> tuple[Image, Image]:
    """The platform's image and the chatbot's; builds what the cache lacks."""
    images = _image(layout, PLATFORM), _image(layout, AGENT)
    if not all(image.archive.exists() for image in images):
        workshop = Workshop(layout.cache / "images")
        with _only_builder(workshop):
            _make_base(workshop)
            for recipe, image in zip((PLATFORM, AGENT), images, strict=True):
                # Asked again under the lock: the other clone may have built it while this one waited.
                if not image.archive.exists():
                    _build(workshop, layout.root, recipe.dockerfile, image)
                    _forget_old(workshop, recipe)
    for image in images:
        os.utime(image.archive)
    return images


def names(layout: Layout) -> tuple[str, str]:
    """The names of the platform's image and the chatbot's, as this folder's content would make them."""
    return _image(layout, PLATFORM).name, _image(layout, AGENT).name


def content_hash(context: Path, copied: tuple[str, ...]) -> str:
    """A short hash over the base's recipe and the names and contents of everything a Dockerfile copies."""
    digest = hashlib.sha256(_base_hash().encode())
    for file in sorted(file for part in copied for file in _files(context / part)):
        content = file.read_bytes()
        digest.update(f"\0{file.relative_to(context)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:HASH_LENGTH]


def _image(layout: Layout, recipe: Recipe) -> Image:
    tag = content_hash(layout.root, recipe.content)
    return Image(f"{recipe.name}:{tag}", layout.cache / "images" / f"{recipe.name.rpartition('/')[2]}-{tag}.tar")


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    else:
        raise Trouble(f"Restore {path}: an image cannot be built without it.")


def _base_hash() -> str:
    recipe = "\0".join((BASE_SUITE, *BASE_PACKAGES, *BASE_LEFT_OUT, *BASE_KEPT, BASE_DOCKERFILE))
    return hashlib.sha256(recipe.encode()).hexdigest()[:HASH_LENGTH]


def _make_base(workshop: Workshop) -> None:
    if workshop.base_archive.exists():
        return
    left_out = [f"--dpkgopt=path-exclude={path}" for path in BASE_LEFT_OUT]
    left_out += [f"--dpkgopt=path-include={path}" for path in BASE_KEPT]
    with progress.step("make the base image (Debian with Python)"), _scratch(workshop) as scratch:
        made = scratch / "base.tar"
        argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}", *left_out]
        _run(workshop, [*argv, BASE_SUITE, str(made)], {"TMPDIR": str(scratch)})
        made.replace(workshop.base_archive)


def _build(workshop: Workshop, context: Path, dockerfile: str, image: Image) -> None:
    driver = _driver(workshop)
    _import_base(workshop, driver)
    mounts = [f"--volume={CERTIFICATES}:{CERTIFICATES}:ro", *_pip_configuration()]
    recipe = [f"--build-arg=BASE_IMAGE={workshop.base_name}", f"--file={context / dockerfile}"]
    arguments = [*recipe, *mounts, f"--tag={image.name}"]
    with progress.step(f"build the image {image.name}"), _scratch(workshop) as scratch:
        _buildah(workshop, driver, "bud", *_bud_options(driver), *arguments, str(context))
        archive = scratch / "image.tar"
        _buildah(workshop, driver, "push", "--quiet", image.name, f"docker-archive:{archive}:{image.name}")
        archive.replace(image.archive)
    if driver != "overlay":
        # Without layers shared on disk each image is a full copy, and the next build could not use any of it.
        shutil.rmtree(workshop.folder / "store", ignore_errors=True)


def _import_base(workshop: Workshop, driver: str) -> None:
    store = workshop.folder / "store"
    if int(_run(workshop, ["du", "-s", "--block-size=1M", str(store)], {}).split()[0]) > STORE_MEBIBYTES_MAX:
        shutil.rmtree(store)
    if workshop.base_name in _buildah(workshop, driver, "images", "--format={{.Name}}:{{.Tag}}").splitlines():
        return
    with progress.step("import the base image"), _scratch(workshop) as scratch:
        (scratch / "Dockerfile").write_text(BASE_DOCKERFILE)
        os.link(workshop.base_archive, scratch / "base.tar")
        _buildah(workshop, driver, "bud", *_bud_options(driver), f"--tag={workshop.base_name}", str(scratch))


def _bud_options(driver: str) -> list[str]:
    # chroot: needs no container runtime and no bridge; the package registry is reached as the host reaches it.
    return ["--isolation=chroot", "--network=host", *(["--layers"] if driver == "overlay" else [])]


def _driver(workshop: Workshop) -> str:
    """`overlay` keeps layers, so that a change of our own code rebuilds in seconds; `vfs` works on every disk."""
    try:
        _buildah(workshop, "overlay", "images", "--quiet")
    except Trouble:
        shutil.rmtree(workshop.folder / "store", ignore_errors=True)
        return "vfs"
    return "overlay"


def _pip_configuration() -> list[str]:
    """Let pip in the build use the index its user uses here."""
    home = Path.home()
    candidates = [Path(os.environ.get("PIP_CONFIG_FILE") or "/"), home / ".config/pip/pip.conf", home / ".pip/pip.conf"]
    found = [path for path in (*candidates, Path("/etc/pip.conf")) if path.is_file()]
    return [f"--volume={found[0]}:/etc/pip.conf:ro"] if found else []


def _buildah(workshop: Workshop, driver: str, *arguments: str) -> str:
    store = workshop.folder / "store"
    options = ["--root", str(store / "root"), "--runroot", str(store / "run"), "--storage-driver", driver]
    return _run(workshop, ["buildah", *options, *arguments], {"TMPDIR": str(workshop.folder)})


def _run(workshop: Workshop, argv: list[str], environment: Mapping[str, str]) -> str:
    # In a mount namespace of its own: whatever a killed build had mounted vanishes with it.
    command = ["unshare", "--mount", "--propagation=private", *argv]
    try:
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise Trouble("Install util-linux: the program unshare is not on the path.") from error
    with workshop.log.open("a") as log:
        log.write(f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        last = "\n".join(f"    {line[:400]}" for line in done.stderr.strip().splitlines()[-LOG_LINES_SHOWN:])
        raise Trouble(f"{argv[0]} failed; run it again when the cause below is gone ({workshop.log}):\n{last}")
    return done.stdout


def _forget_old(workshop: Workshop, recipe: Recipe) -> None:
    stem = recipe.name.rpartition("/")[2]
    archives = workshop.folder.glob(f"{stem}-{'[0-9a-f]' * HASH_LENGTH}.tar")
    for old in sorted(archives, key=lambda path: path.stat().st_mtime, reverse=True)[ARCHIVES_KEPT:]:
        old.unlink(missing_ok=True)


@contextlib.contextmanager
def _scratch(workshop: Workshop) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=workshop.folder, prefix=".scratch-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def _only_builder(workshop: Workshop) -> Iterator[None]:
    """Hold the machine-wide lock, and sweep away what a killed build left."""
    workshop.folder.mkdir(parents=True, exist_ok=True)
    with (workshop.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("wait for another clone's images"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        for stray in workshop.folder.glob(".scratch-*"):
            shutil.rmtree(stray, ignore_errors=True)
        workshop.log.unlink(missing_ok=True)
        yield
