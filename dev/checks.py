"""Run the checks and the tests, show each while it runs, and end with one summary."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from dev import platform, processes, progress
from dev.layout import RUN_BASE, Layout

PYTHON = [sys.executable, "-m"]
NEEDS_NO_SERVER = "not postgres and not store and not cluster"


@dataclass(frozen=True)
class Check:
    """One line of the summary."""

    name: str
    argv: list[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """How a check ended."""

    name: str
    passed: bool
    seconds: float


def main(arguments: list[str]) -> int:
    """`all` or `fast`, then arguments for pytest; 0 only when everything passed."""
    wanted, *for_pytest = arguments or ["all"]
    layout = Layout.current()
    outcomes = [_run(layout, check) for check in _static(layout)]
    if wanted == "fast":
        outcomes.append(_run(layout, Check("known weaknesses", [*PYTHON, "dev.audit"], {})))
        outcomes.append(_run(layout, Check("tests", [*PYTHON, "pytest", "-m", NEEDS_NO_SERVER, *for_pytest], {})))
    else:
        outcomes += _with_cluster(layout, for_pytest)
    _summarise(outcomes)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _static(layout: Layout) -> list[Check]:
    bin_folder = layout.root / ".venv" / "bin"
    return [
        Check("lint", [*PYTHON, "ruff", "check", "--quiet"], {}),
        Check("format", [*PYTHON, "ruff", "format", "--check", "--quiet"], {}),
        Check("types", [*PYTHON, "mypy"], {}),
        Check("types of the test bed", [*PYTHON, "mypy", "-p", "dev"], {"MYPYPATH": "."}),
        Check("types of the chatbot", [*PYTHON, "mypy", "-p", "chatbot"], {"MYPYPATH": "agent-image"}),
        Check("layers", [str(bin_folder / "lint-imports")], {"PYTHONPATH": "operator"}),
    ]


def _with_cluster(layout: Layout, for_pytest: list[str]) -> list[Outcome]:
    """All tests, on a cluster of their own: what `make up` runs for its user is never touched."""
    if layout.external:
        return [_run(layout, Check("tests", [*PYTHON, "pytest", *for_pytest], {}))]
    folder = os.environ.get("MOORAGE_DEV_DIR") or f"{RUN_BASE / layout.run.name}-test"
    place = {"MOORAGE_DEV_DIR": folder}
    own = Layout.of(layout.root, {**os.environ, **place})
    ran_before = processes.alive(own, "kube-apiserver")
    # The story is for people; its parts are what the tests in tests/e2e look at more closely.
    silent = {**place, platform.NO_STORY_VARIABLE: "1", platform.SOURCE_VARIABLE: "1"}
    outcomes = [_run(layout, Check("cluster", [*PYTHON, "dev", "up"], silent))]
    try:
        # Also without a cluster: what does not need one still tells the truth.
        outcomes.append(_run(layout, Check("tests", [*PYTHON, "pytest", *for_pytest], place)))
    finally:
        if not ran_before:
            outcomes.append(_run(layout, Check("leave nothing behind", [*PYTHON, "dev", "down", "--wipe"], place)))
    return outcomes


def _run(layout: Layout, check: Check) -> Outcome:
    progress.say(f"\n== {check.name}")
    started = time.monotonic()
    done = subprocess.run(check.argv, cwd=layout.root, env={**os.environ, **check.environment}, check=False)
    return Outcome(check.name, done.returncode == 0, time.monotonic() - started)


def _summarise(outcomes: list[Outcome]) -> None:
    progress.say("\n== summary")
    for outcome in outcomes:
        progress.say(f"  {'passed' if outcome.passed else 'FAILED'}  {outcome.seconds:7.1f} s  {outcome.name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
