"""HTTP as the mover speaks it: one kept connection, a bounded number of tries, nothing but the standard library.

`http.client` and not an asynchronous client or an SDK: the mover moves bytes between two pipes and a socket, and each
library it does not import is resident memory on every node with a snapshot running.
"""

import http.client
import ssl
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from moorage.model.snapshots import Failure
from moorage.mover.failures import MoverFailure

TIMEOUT_SECONDS = 60.0
ANSWER_BYTES_MAX = 4 << 20

# Everything that can go wrong on the way; a refused certificate is among them (ssl.SSLError is an OSError).
WIRE_ERRORS = (OSError, http.client.HTTPException)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is tried and how long the pauses are; the default waits about 25 s for a restart."""

    tries_max: int = 9
    first_seconds: float = 0.1

    def pause(self, attempt: int, stop: threading.Event) -> None:
        """Wait before a try that is not the first, longer each time; gives up when the mover is told to stop."""
        if attempt > 0 and stop.wait(self.first_seconds * 2 ** (attempt - 1)):
            raise MoverFailure(Failure.INTERRUPTED)


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers of interest and body of one exchange."""

    status: int
    etag: str
    body: bytes


class Connection:
    """One connection to one origin, opened when needed and again after a failure."""

    def __init__(self, origin: SplitResult, context: ssl.SSLContext | None) -> None:
        self._origin = origin
        self._context = context
        self._open: http.client.HTTPConnection | None = None

    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None = None
    ) -> Answer:
        """Send one request and read its whole answer; a body in pieces needs a Content-Length header."""
        try:
            answer = self.start(method, target, headers, body)
            payload = answer.read(ANSWER_BYTES_MAX)
            if not answer.isclosed():
                self.close()
            return Answer(answer.status, answer.headers.get("ETag", ""), payload)
        except BaseException:
            self.close()
            raise

    def start(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None = None
    ) -> http.client.HTTPResponse:
        """Send one request and return its answer unread."""
        if self._open is None:
            self._open = self._connect()
        # No Content-Type: the store has signed the request without one.
        self._open.request(method, target, body, dict(headers))
        return self._open.getresponse()

    def close(self) -> None:
        """Forget the connection; the next request opens a new one."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._origin.hostname or "", self._origin.port
        if self._origin.scheme == "https":
            context = self._context or ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)


def connect(url: str, context: ssl.SSLContext | None = None) -> Connection:
    """A connection to the origin of a URL."""
    return Connection(urlsplit(url), context)


def trust(url: str, authority_pem: str) -> ssl.SSLContext | None:
    """What to believe behind this URL: this authority alone, or without one those that everybody knows.

    Not both: the well-known authorities take megabytes in each connection.
    """
    if not authority_pem or urlsplit(url).scheme != "https":
        return None
    return ssl.create_default_context(cadata=authority_pem)


def target_of(url: str) -> str:
    """The request target of a URL: path and query as they were signed."""
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def retryable(status: int) -> bool:
    """Whether the other side asks to come again."""
    return status in {408, 425, 429} or status >= 500
