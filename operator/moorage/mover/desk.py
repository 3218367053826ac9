"""The platform's desk for movers: who am I to move for, more URLs please, this is how it ended."""

import ssl
import threading
from pathlib import Path
from typing import TypeVar

import msgspec

from moorage.model.snapshots import Assignment, AttemptRequest, Failure, PartsRequest, PartUrls, Report
from moorage.mover import transport
from moorage.mover.failures import MoverFailure

PREFIX = "/internal/v1/mover"

Answered = TypeVar("Answered")


class Desk:
    """The three calls of the mover's protocol; the token is read from its file each time, the kubelet renews it."""

    def __init__(
        self,
        url: str,
        ca_pem: str,
        token_file: Path,
        attempt: str,
        stop: threading.Event,
        patience: transport.Patience = transport.PATIENCE,
    ) -> None:
        self._connection = transport.connect(url, ssl.create_default_context(cadata=ca_pem))
        self._token_file = token_file
        self._attempt = attempt
        self._stop = stop
        self._patience = patience
        self._lock = threading.Lock()  # uploads ask for URLs from their own threads

    def assignment(self) -> Assignment:
        """What to move, under which key, from or to where."""
        return self._call("session", AttemptRequest(self._attempt), Assignment)

    def part_urls(self, first: int, count: int) -> list[str]:
        """Fresh URLs for parts `first` … `first + count - 1`."""
        return self._call("parts", PartsRequest(self._attempt, first, count), PartUrls).part_urls

    def report(self, report: Report) -> None:
        """The mover's last word."""
        self._call("report", report, dict)

    def _call(self, route: str, message: msgspec.Struct, answer: type[Answered]) -> Answered:
        with self._lock:
            return self._ask(route, message, answer)

    def _ask(self, route: str, message: msgspec.Struct, answer: type[Answered]) -> Answered:
        body = msgspec.json.encode(message)
        for attempt in range(self._patience.tries_max):
            self._patience.pause(attempt, self._stop)
            try:
                found = self._connection.exchange("POST", f"{PREFIX}/{route}", self._headers(), body)
            except transport.WIRE_ERRORS:
                continue
            if found.status == 200:
                try:
                    return msgspec.json.decode(found.body, type=answer)
                except msgspec.MsgspecError as error:
                    raise MoverFailure(Failure.PLATFORM_UNREACHABLE) from error
            if not transport.retryable(found.status):
                break
        raise MoverFailure(Failure.PLATFORM_UNREACHABLE)

    def _headers(self) -> dict[str, str]:
        token = self._token_file.read_text(encoding="ascii").strip()
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
