"""Build the pinned programs once per machine, into the cache that all clones share."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from dev import gosource, pins, progress
from dev.layout import Layout
from dev.trouble import Trouble


def build(layout: Layout) -> None:
    """Build what `up` needs and the cache lacks."""
    _build(layout, [component for component in pins.COMPONENTS if not component.on_demand])


def ensure(layout: Layout, *names: str) -> None:
    """Build the named components if the cache lacks them (for an external cluster, or a single kind of test)."""
    _build(layout, [component for component in pins.COMPONENTS if component.name in names])


def program(layout: Layout, name: str) -> Path:
    """A program that only some tests or commands need, built when first asked for."""
    component = next(part for part in pins.COMPONENTS if name in part.programs)
    _build(layout, [component])
    return layout.programs(component) / name


def missing(layout: Layout, components: Iterable[pins.Component] = pins.COMPONENTS) -> list[pins.Component]:
    """Components of which a program is not in the cache."""
    return [part for part in components if not all((layout.programs(part) / each).exists() for each in part.programs)]


def needed(layout: Layout) -> list[pins.Component]:
    """What `up` would have to build now."""
    return missing(layout, [component for component in pins.COMPONENTS if not component.on_demand])


def _build(layout: Layout, components: list[pins.Component]) -> None:
    if not missing(layout, components):
        return
    go = gosource.find(layout)
    if go is None:
        raise Trouble("Install Go 1.26.6 or newer, or run `make up`, which fetches it.")
    with _only_builder(layout):
        # Asked again under the lock: the other clone may have built it while this one waited.
        for component in missing(layout, components):
            with progress.step(f"build {component.name}"):
                folder = layout.programs(component)
                folder.mkdir(parents=True, exist_ok=True)
                _sweep(folder)
                _build_component(layout, go, component, folder)


def _build_component(layout: Layout, go: Path, component: pins.Component, folder: Path) -> None:
    # The programs move to their place by rename: a build that is killed leaves a stray folder, never half a program.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as stray:
        for package, program in zip(component.packages, component.programs, strict=True):
            output = Path(stray) / Path(program).name
            argv = [str(go), "build", "-C", str(layout.toolchain / component.module), "-o", str(output), *pins.FLAGS]
            _go([*argv, package], go)
            (folder / program).parent.mkdir(exist_ok=True)
            output.replace(folder / program)


def _go(argv: list[str], go: Path) -> None:
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        # The Go that is here builds it; none is fetched behind the user's back.
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly",
        "GOWORK": "off",
        "PATH": f"{go.parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise Trouble(f"Go could not build {argv[-1]}; run it again when the cause below is gone:\n{last}")


@contextlib.contextmanager
def _only_builder(layout: Layout) -> Iterator[None]:
    """Hold the machine-wide lock, so that two clones do not build the same program side by side."""
    layout.cache.mkdir(parents=True, exist_ok=True)
    path = layout.cache / "build.lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("wait for another clone's build"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep(folder: Path) -> None:
    """Remove what killed builds left; under the lock nobody else builds."""
    for stray in folder.glob(".build-*"):
        shutil.rmtree(stray, ignore_errors=True)
