"""Make the virtual environment from the lock, with nothing but the system's Python."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from dev import progress

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
STAMP = FOLDER / "moorage.stamp"
LOCK = ROOT / "requirements.lock"
PYTHON_OLDEST = (3, 11)
LOG_LINES_SHOWN = 15
COMMAND = """#!/bin/sh
exec {python} -c 'import sys; from moorage.cli import main; sys.exit(main(prog_name="moorage"))' "$@"
"""


def main() -> int:
    """Bring the environment up to date; silent when it is."""
    if sys.version_info < PYTHON_OLDEST:
        return _fail("Install Python 3.11 or newer and run `make PYTHON=python3.11 ...`.")
    wanted = _fingerprint()
    if _stamped() == wanted:
        return 0
    try:
        if _stamped()[:1] != wanted[:1]:
            _create()
        _install()
    except subprocess.CalledProcessError as error:
        last = "\n".join(f"    {line}" for line in str(error.output).strip().splitlines()[-LOG_LINES_SHOWN:])
        return _fail(f"The virtual environment could not be made; run it again when the cause below is gone:\n{last}")
    STAMP.write_text("\n".join(wanted))
    return 0


def _fingerprint() -> list[str]:
    # First what asks for a new environment (scripts in it name their place), then what an update can change.
    place = f"{sys.version_info[:2]} {sys.base_prefix} {ROOT}"
    return [place, hashlib.sha256(LOCK.read_bytes() + COMMAND.encode()).hexdigest()]


def _stamped() -> list[str]:
    return STAMP.read_text().split("\n") if STAMP.exists() else []


def _create() -> None:
    _ensure_venv_package()
    with progress.step("make the virtual environment .venv"):
        _run([sys.executable, "-m", "venv", "--clear", str(FOLDER)])


def _ensure_venv_package() -> None:
    """Debian ships Python without ensurepip; its package is called python3-venv."""
    has_pip = subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, check=False)
    if has_pip.returncode == 0:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SystemExit(_fail("Install the package python3-venv: this Python cannot make virtual environments."))
    with progress.step("install the package python3-venv"):
        _run(["apt-get", "update"])
        _run(["apt-get", "install", "--yes", "--no-install-recommends", "python3-venv"])


def _install() -> None:
    pip = [str(FOLDER / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    with progress.step("install the locked packages"):
        _run([*pip, "--require-hashes", "-r", str(LOCK)])
    # The package is used where it lies, so that an edit counts at once; the command is what its wheel would install.
    packages = next((FOLDER / "lib").glob("python*/site-packages"))
    (packages / "moorage.pth").write_text(f"{ROOT / 'operator'}\n")
    command = FOLDER / "bin" / "moorage"
    command.write_text(COMMAND.format(python=shlex.quote(str(FOLDER / "bin" / "python"))))
    command.chmod(0o755)


def _run(argv: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=True
    )


def _fail(sentence: str) -> int:
    progress.say(sentence)
    return 1


if __name__ == "__main__":
    sys.exit(main())
