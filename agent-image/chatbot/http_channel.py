"""The HTTP channel: POST /chat, and the two probes."""

import json
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chatbot.body import Refused, read_body
from chatbot.conversation import Chatbot

TEXT_CHARACTERS_MAX = 8 * 1024
CONVERSATION_CHARACTERS_MAX = 64
SILENCE_SECONDS_MAX = 10
CONNECTIONS_MAX = 64


class HttpChannel(ThreadingHTTPServer):
    """Serves a chatbot; `drain` stops it without cutting an answer short."""

    request_queue_size = CONNECTIONS_MAX

    def __init__(self, chatbot: Chatbot, listen: str) -> None:
        self.chatbot = chatbot
        self.draining = threading.Event()
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._idle = threading.Condition()
        self._answering = 0
        host, _, port = listen.rpartition(":")
        super().__init__((host, int(port)), Handler)

    @property
    def address(self) -> str:
        """Where it listens, with the port it really got."""
        return f"{self.server_address[0]!s}:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without the parent's look-up of the host's full name, which can hang where there is no DNS."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:  # Any: as socketserver declares it
        """Give a connection its thread, up to the limit; beyond it the caller waits in the listen queue."""
        self._slots.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # Any: as socketserver declares it
        """Serve one connection and give its slot back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def begin_answer(self) -> None:
        """Count an answer as under way; refused while the channel drains."""
        with self._idle:
            if self.draining.is_set():
                raise Refused("The agent is stopping.", HTTPStatus.SERVICE_UNAVAILABLE)
            self._answering += 1

    def end_answer(self) -> None:
        """Count an answer as given."""
        with self._idle:
            self._answering -= 1
            self._idle.notify_all()

    def drain(self, *, seconds: float) -> None:
        """Refuse new chats and wait for the answers under way, but not for connections that say nothing."""
        with self._idle:
            self.draining.set()
            self._idle.wait_for(lambda: not self._answering, timeout=seconds)


class Handler(BaseHTTPRequestHandler):
    """One connection; HTTP/1.0, so one request."""

    server: HttpChannel
    server_version = "chatbot"
    sys_version = ""
    timeout = SILENCE_SECONDS_MAX

    def do_GET(self) -> None:
        """Answer the probes: alive as long as it answers, ready until it is told to stop."""
        if self.path == "/healthz":
            self._answer(HTTPStatus.OK, {"status": "alive"})
        elif self.path == "/readyz" and self.server.draining.is_set():
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "stopping"})
        elif self.path == "/readyz":
            self._answer(HTTPStatus.OK, {"status": "ready"})
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "There is /chat, /healthz and /readyz."})

    def do_POST(self) -> None:
        """Answer one message."""
        try:
            conversation, text = self._message()
            self.server.begin_answer()
        except Refused as refusal:
            self._answer(refusal.status, {"error": str(refusal)})
            return
        try:
            turn = self.server.chatbot.hear(conversation, text)
            self._answer(HTTPStatus.OK, {"answer": turn.answer, "remembered": turn.remembered})
        finally:
            self.server.end_answer()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer what http.server itself refuses, in our form and without repeating what was sent."""
        self._answer(HTTPStatus(code), {"error": "This is not a request the chatbot understands."})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name http.server uses
        """Log nothing per request: a path or a message may be private."""

    def _message(self) -> tuple[str, str]:
        if self.path != "/chat":
            raise Refused("Messages are posted to /chat.", HTTPStatus.NOT_FOUND)
        return parse_message(read_body(self.headers, self.rfile))

    def _answer(self, status: HTTPStatus, content: dict[str, object]) -> None:
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def parse_message(body: bytes) -> tuple[str, str]:
    """The conversation and the text of one message; raises Refused with what is wrong."""
    try:
        message = json.loads(body)
    except ValueError:  # also what is not UTF-8
        raise Refused("The body must be JSON.") from None
    except RecursionError:
        raise Refused("The body is nested too deeply.") from None
    if not isinstance(message, dict) or not message.keys() <= {"text", "conversation"}:
        raise Refused('The body must be an object with "text" and, if you like, "conversation".')
    text, conversation = message.get("text"), message.get("conversation", "default")
    if not isinstance(text, str) or not text.strip() or len(text) > TEXT_CHARACTERS_MAX:
        raise Refused(f'"text" must be a text of 1 to {TEXT_CHARACTERS_MAX} characters.')
    if not isinstance(conversation, str) or not 1 <= len(conversation) <= CONVERSATION_CHARACTERS_MAX:
        raise Refused(f'"conversation" must be a text of 1 to {CONVERSATION_CHARACTERS_MAX} characters.')
    if not _encodable(text) or not _encodable(conversation):
        raise Refused("The text contains half a character (a lone surrogate).")
    return conversation, text


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
