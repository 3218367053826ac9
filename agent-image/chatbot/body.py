"""Request bodies: of a stated length or in chunks, never longer than the limit."""

from email.message import Message
from http import HTTPStatus
from io import BufferedIOBase

BODY_BYTES_MAX = 64 * 1024
CHUNK_LINE_BYTES_MAX = 256
TRAILER_LINES_MAX = 32


class Refused(Exception):
    """The request cannot be answered; the text is one sentence for the caller."""

    def __init__(self, sentence: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(sentence)
        self.status = status


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """Read the body; `http.server` leaves this to us, and what kubectl sends through a proxy is chunked."""
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        return _read_chunks(stream)
    length = headers.get("Content-Length", "")
    if not length.isascii() or not length.isdigit():
        raise Refused("The request must state the length of its body.", HTTPStatus.LENGTH_REQUIRED)
    return _read_exactly(stream, _within_limit(int(length[:18])))


def _read_chunks(stream: BufferedIOBase) -> bytes:
    body = b""
    while size := _chunk_size(stream):
        body += _read_exactly(stream, _within_limit(len(body) + size) - len(body))
        if stream.readline(CHUNK_LINE_BYTES_MAX) not in (b"\r\n", b"\n"):
            raise Refused("A chunk of the body has the wrong length.")
    for _ in range(TRAILER_LINES_MAX):
        if stream.readline(CHUNK_LINE_BYTES_MAX) in (b"\r\n", b"\n", b""):
            return body
    raise Refused("The body has too many trailers.")


def _chunk_size(stream: BufferedIOBase) -> int:
    digits = stream.readline(CHUNK_LINE_BYTES_MAX).partition(b";")[0].strip()
    if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
        raise Refused("A chunk of the body does not state its length.")
    return int(digits, 16)


def _within_limit(length: int) -> int:
    if length > BODY_BYTES_MAX:
        raise Refused(f"The body is longer than {BODY_BYTES_MAX} bytes.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return length


def _read_exactly(stream: BufferedIOBase, length: int) -> bytes:
    body = stream.read(length)
    if len(body) < length:
        raise Refused("The body ends early.")
    return body
