"""Real processes that cannot start say why, and not what they were given to keep."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CANARY = "yellowcanary7Q"
LIMIT_SECONDS = 180
# A port that nobody listens on: the driver quotes what it was told when it fails.
URL = f"postgresql://moorage:{CANARY}@127.0.0.1:1/moorage?sslpassword={CANARY}"


def said(process: str, folder: Path, **settings: str) -> tuple[int, str]:
    """The exit code of a process with these settings, and everything it wrote."""
    (folder / "root.key").write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    (folder / "store.key").write_text(f"{CANARY}\n")
    (folder / "kubeconfig").write_text(
        json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "clusters": [{"name": "a", "cluster": {"server": f"https://{CANARY}@127.0.0.1:1"}}],
            "users": [{"name": "a", "user": {"token": CANARY}}],
        })
    )  # fmt: skip
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": str(folder / "kubeconfig"),
        "PYTHONPATH": os.pathsep.join(sys.path), "MOORAGE_LOG_LEVEL": "DEBUG", "MOORAGE_DATABASE_URL": URL,
        "MOORAGE_ROOT_KEY_FILE": str(folder / "root.key"), "MOORAGE_STORE_ENDPOINT": f"http://x:{CANARY}@127.0.0.1:1",
        "MOORAGE_STORE_ACCESS_KEY": "a", "MOORAGE_STORE_SECRET_KEY_FILE": str(folder / "store.key"),
        "MOORAGE_MOVER_IMAGE": "m", "MOORAGE_MOVER_API_URL": "https://127.0.0.1:1",
        "MOORAGE_OPERATOR_PROBE_LISTEN": "127.0.0.1:0",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "moorage", process], env=environment | settings, capture_output=True, text=True,
        timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("process", ["operator", "api", "migrate"])
def test_a_database_that_cannot_be_reached_is_named_without_its_password(process: str, tmp_path: Path) -> None:
    files = {"MOORAGE_API_TLS_CERT_FILE": str(tmp_path / "a"), "MOORAGE_API_TLS_KEY_FILE": str(tmp_path / "b")}
    code, text = said(process, tmp_path, **files)
    assert code == 1
    assert "the database cannot be reached" in text
    assert CANARY not in text


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("MOORAGE_DATABASE_URL", f"{CANARY}://moorage:{CANARY}@[::"),
        ("MOORAGE_SIZES", f'{{"password": "{CANARY}"'),
        ("MOORAGE_SIZES", f'{{"small": {{"cpu": "{CANARY}"}}}}'),
        ("MOORAGE_OPERATOR_PROBE_LISTEN", f"{CANARY}@:port"),
        ("MOORAGE_LOG_LEVEL", CANARY),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_without_its_value(setting: str, value: str, tmp_path: Path) -> None:
    code, text = said("operator", tmp_path, **{setting: value})
    assert code == 1
    assert text.strip()
    assert CANARY not in text
