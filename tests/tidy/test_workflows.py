"""The workflows cannot run here, so they are read: pinned actions, few rights, no secret or expression in a shell."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tidy.tree import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
# What a job may be given beyond reading; everything else needs a reason here first.
RIGHTS = {"packages": "write", "id-token": "write", "attestations": "write"}


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    return found


def test_actions_are_pinned_by_commit_and_say_their_version(path: Path) -> None:
    used = re.findall(r"^\s*-?\s*uses: (.*)$", path.read_text(), re.MULTILINE)
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_an_action_is_the_same_commit_everywhere() -> None:
    used = {line for path in WORKFLOWS for line in re.findall(r"uses: (\S+)@(\S+)", path.read_text())}
    assert len(used) == len({name for name, _ in used})


def test_each_job_names_its_few_rights_and_its_end(path: Path, jobs: dict[str, Any]) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {}
    for job in jobs.values():
        given = job["permissions"]
        assert {name: level for name, level in given.items() if level != "read" and RIGHTS.get(name) != level} == {}
        assert job["timeout-minutes"] <= 150


def test_no_run_is_made_of_expressions_and_no_secret_leaves_its_step(path: Path, jobs: dict[str, Any]) -> None:
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert [step for step in steps if "${{" in step.get("run", "")] == []
    secret = [step for step in steps if "secrets." in str(step)]
    assert [step for step in secret if set(step.get("env", {})) != {"TOKEN"} or "login" not in step["run"]] == []
    assert [name for name, job in jobs.items() if "secrets." in str(job.get("env", ""))] == []
    # True: YAML 1.1 reads the key `on` so.
    assert not {"pull_request_target", "workflow_run"} & set(yaml.safe_load(path.read_text())[True])


def test_checkouts_leave_no_credentials_behind(jobs: dict[str, Any]) -> None:
    checkouts = [step for job in jobs.values() for step in job["steps"] if "actions/checkout" in step.get("uses", "")]
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


def test_everything_that_is_pushed_is_signed_and_its_making_stated() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())["jobs"]
    for name in ("image", "index", "chart"):
        text = str(jobs[name]["steps"])
        assert "cosign sign --yes" in text, name
        assert "actions/attest-build-provenance" in text, name
    assert "cosign attest --yes --type cyclonedx" in str(jobs["image"]["steps"])
    assert "cosign verify" in str(jobs["verify"]["steps"])


def test_zizmor_finds_nothing() -> None:
    program = Path(sys.executable).parent / "zizmor"
    argv = [str(program), "--offline", "--no-progress", "--no-exit-codes", "--format=plain", str(ROOT / ".github")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "No findings to report" in done.stdout, done.stdout


def test_toolchains_get_new_versions_too() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    watched = {folder for item in updates for folder in item.get("directories", [item.get("directory")])}
    modules = {f"/{path.parent.relative_to(ROOT)}" for path in (ROOT / "dev" / "toolchain").rglob("go.mod")}
    assert modules <= watched
