"""restic beside us: Debian's own, into the same S3 server, in the same run; the benchmark can do without it."""

import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path

from tests import store_server
from tests.store_server import VersityGateway

ABSENT = "restic is not there to compare with: `apt-get install restic`"


def found() -> bool:
    """Whether Debian's package is installed."""
    return shutil.which("restic") is not None


class Restic:
    """One fresh repository; every call is the whole program, as a person waits for it."""

    def __init__(self, gateway: VersityGateway, home: Path) -> None:
        name = f"r{uuid.uuid4().hex[:12]}"
        self._environment = {
            "PATH": os.defpath,
            "RESTIC_REPOSITORY": f"s3:{gateway.endpoint}/{name}",
            "RESTIC_PASSWORD": "benchmark",
            "RESTIC_CACHE_DIR": str(home / f"{name}-cache"),
            "AWS_ACCESS_KEY_ID": store_server.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": store_server.SECRET_KEY,
            "AWS_DEFAULT_REGION": store_server.REGION,
        }
        self._run("init")

    def backup(self, volume: Path) -> float:
        """Seconds for a first backup."""
        return self._run("backup", ".", folder=volume)

    def restore(self, target: Path) -> float:
        """Seconds for a restore into an empty folder, until it is on disk, as ours is."""
        seconds = self._run("restore", "latest", "--target", str(target))
        begun = time.perf_counter()
        subprocess.run(["sync", "--file-system", str(target)], check=True)
        return seconds + time.perf_counter() - begun

    def _run(self, *arguments: str, folder: Path | None = None) -> float:
        begun = time.perf_counter()
        command = ["restic", "--quiet", *arguments]
        subprocess.run(command, env=self._environment, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun
