"""Liveness, readiness and metrics of the operator, on a thread of their own: a blocked loop must be seen as blocked."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

HEARTBEAT_SECONDS_MAX = 15.0


class Health:
    """What the probes say: written by the loop, read by the probe thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beat = clock()
        self.waiting_for = "start"

    def beat(self) -> None:
        """The event loop still turns."""
        self._beat = self._clock()

    def ready(self) -> None:
        """Everything this process needs is there."""
        self.waiting_for = ""

    def problem_of_life(self) -> str:
        """Why the process should be restarted; empty when it should not."""
        late = self._clock() - self._beat
        return f"the event loop has not turned for {late:.0f} s" if late > HEARTBEAT_SECONDS_MAX else ""


class ProbeServer:
    """/livez, /readyz and /metrics."""

    def __init__(self, listen: tuple[str, int], health: Health, registry: CollectorRegistry) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name http.server calls
                match self.path:
                    case "/livez":
                        self._answer(health.problem_of_life())
                    case "/readyz":
                        self._answer(health.waiting_for and f"waiting for {health.waiting_for}")
                    case "/metrics":
                        self._send(200, generate_latest(registry), CONTENT_TYPE_LATEST)
                    case _:
                        self._send(404, b"not found\n", "text/plain")

            def _answer(self, problem: str) -> None:
                self._send(503 if problem else 200, (problem or "ok").encode() + b"\n", "text/plain")

            def _send(self, code: int, body: bytes, content_type: str) -> None:
                self.send_response(code)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Probes are not news."""

        self._server = ThreadingHTTPServer(listen, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on, for when any was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no longer."""
        self._server.shutdown()
        self._server.server_close()
