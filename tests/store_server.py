"""A real S3 server for tests: versitygw over a folder."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

ACCESS_KEY, SECRET_KEY, REGION = "moorage-test", "moorage-test-secret", "us-east-1"
START_LIMIT_SECONDS = 60.0


def binary() -> Path:
    """The program as `dev/` builds it; MOORAGE_TEST_BIN names another folder."""
    folder = os.environ.get("MOORAGE_TEST_BIN")
    if folder is None:
        from dev.layout import Layout  # noqa: PLC0415 - only where nothing else was named

        folder = str(Layout.current().bin)
    return Path(folder) / "versitygw"


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Several of them: who asks for one after the other may be given the same one twice."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in probes]


class VersityGateway:
    """One server over one folder; it can be stopped and started again on the same port."""

    def __init__(self, folder: Path, port: int | None = None, versions: Path | None = None) -> None:
        self.folder = folder
        self._versioning = [] if versions is None else ["--versioning-dir", str(versions)]
        self.port = port or free_port()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The URL clients use."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the server was started and not stopped."""
        return self._child is not None

    def start(self) -> None:
        """Start and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._child = subprocess.Popen(
            [
                *(str(binary()), "--port", f"127.0.0.1:{self.port}", "--region", REGION, "--quiet"),
                *("posix", *self._versioning, str(self.folder)),
            ],
            env={"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY, "PATH": os.defpath},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not self._answers():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("the object store did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()
            self._child = None

    def objects(self, bucket: str) -> list[Path]:
        """Files of complete objects, as the server keeps them."""
        return [path for path in (self.folder / bucket).rglob("*") if path.is_file() and ".sgwtmp" not in path.parts]

    def unfinished(self, bucket: str) -> list[Path]:
        """Parts of uploads that were neither completed nor aborted."""
        temporary = self.folder / bucket / ".sgwtmp" / "multipart"
        return [path for path in temporary.rglob("*") if path.is_file()] if temporary.is_dir() else []

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except OSError:
            return False
        finally:
            connection.close()
