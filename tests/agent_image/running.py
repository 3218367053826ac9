"""A running chatbot: the real program as a child of the test, on a free port of the loopback."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "agent-image"
ANSWER_SECONDS_MAX = 60


@dataclass
class Chatbot:
    """One running program and how to talk to it."""

    program: "subprocess.Popen[str]"
    host: str
    port: int

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send one request; returns the status and the parsed answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_SECONDS_MAX)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def chat(self, text: str, conversation: str | None = None) -> Any:
        """Say something; returns the whole answer."""
        message = {"text": text} | ({"conversation": conversation} if conversation else {})
        status, answer = self.request("POST", "/chat", json.dumps(message).encode())
        assert status == 200, answer
        return answer

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are; returns everything that comes back."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_SECONDS_MAX)
        connection.connect()
        with contextlib.closing(connection.sock) as channel:
            channel.sendall(request)
            return b"".join(iter(lambda: channel.recv(65536), b""))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop it and wait; returns its exit code."""
        self.program.send_signal(how)
        self.program.communicate(timeout=ANSWER_SECONDS_MAX)
        return self.program.returncode


@contextlib.contextmanager
def chatbot(data: Path, **settings: str) -> Iterator[Chatbot]:
    """Start the chatbot and wait until it listens."""
    program = start(data, **settings)
    try:
        assert program.stderr is not None
        first = program.stderr.readline()
        found = re.search(r"listening on (.+):(\d+),", first)
        assert found, first + program.stderr.read()
        yield Chatbot(program, found[1], int(found[2]))
    finally:
        program.kill()
        program.communicate()


def start(data: Path, **settings: str) -> "subprocess.Popen[str]":
    """Start the program with exactly these settings."""
    given = {"data_dir": str(data), "listen": "127.0.0.1:0"} | settings
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{f"CHATBOT_{name.upper()}": value for name, value in given.items()},
    }
    return subprocess.Popen([sys.executable, "-m", "chatbot"], env=environment, stderr=subprocess.PIPE, text=True)
