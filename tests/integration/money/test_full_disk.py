"""A disk that fills up in the middle of charges: what was answered is there, what was refused left nothing behind."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[3]
OWN_MOUNTS = ["unshare", "--mount"]
SECONDS_MAX = 600


def _may_mount() -> bool:
    """Whether this is root, and may mount where nobody else sees it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    mounting = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(mounting, check=False, capture_output=True).returncode == 0


def test_a_full_disk_refuses_whole_transactions_and_loses_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not _may_mount():
        pytest.skip("a disk of its own that may be filled needs root and a mount namespace")
    folder = tmp_path_factory.mktemp("disk")
    for part in (folder, *folder.parents[:2]):  # the server is another user
        part.chmod(0o755)
    program = [sys.executable, "-m", "tests.integration.money.full_disk", str(folder)]
    done = subprocess.run(
        [*OWN_MOUNTS, *program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS_MAX
    )
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert account["wrong"] == []
    assert min(account["answered"], account["refused"]) > 0, account
