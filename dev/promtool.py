"""Find promtool, or take it out of Debian's package into the cache: it checks rules and queries, and nothing runs."""

import shutil
import tempfile
from pathlib import Path

from dev import processes, progress
from dev.layout import Layout
from dev.trouble import Trouble

PACKAGE = "prometheus"


def find(layout: Layout) -> Path:
    """The program: the one on the path, or the fetched one; raises Trouble where it cannot be had."""
    on_path = shutil.which("promtool")
    if on_path is not None:
        return Path(on_path)
    program = layout.cache / "promtool" / "promtool"
    if not program.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise Trouble("Install promtool (it comes with Prometheus): this machine has no apt-get to fetch it with.")
        _fetch(program)
    return program


def _fetch(program: Path) -> None:
    """Installed, the package would start a server on its port; only the one program is wanted."""
    program.parent.mkdir(parents=True, exist_ok=True)
    with progress.step("fetch promtool"), tempfile.TemporaryDirectory(dir=program.parent) as stray:
        address = processes.run(["apt-get", "-q", "-qq", "--print-uris", "download", PACKAGE]).split()[0].strip("'")
        try:
            archive = Path(stray) / "package.deb"
            processes.run(["/usr/lib/apt/apt-helper", "-q", "download-file", address, str(archive)])
            processes.run(["dpkg-deb", "-x", str(archive), stray])
        except Trouble as error:
            raise Trouble(f"Install promtool (Debian's package {PACKAGE}) and try again: {error}") from error
        (Path(stray) / "usr" / "bin" / "promtool").replace(program)
