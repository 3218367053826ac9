"""One object as one stream, however often the connection breaks."""

import contextlib
import hashlib
import threading
from collections.abc import Callable

import pytest

from moorage.model.snapshots import Failure
from moorage.mover.download import Download
from moorage.mover.failures import MoverFailure
from moorage.mover.transport import Patience
from tests.unit.mover.scripted import Reply, ScriptedServer, Seen

HASTY = Patience(tries_max=3, first_seconds=0.0)
CONTENT = bytes(range(256)) * 40


def ranged(request: Seen, *, at_most: int = len(CONTENT)) -> Reply:
    """Answer like a store; breaks off after `at_most` bytes."""
    start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    rest = CONTENT[start:]
    return Reply(206 if start else 200, body=rest[:at_most], announced=len(rest))


def read(server: ScriptedServer, fresh: Callable[[], str] | None = None) -> tuple[bytes, Download]:
    source = Download(server.url("/object?v=0"), fresh, threading.Event(), HASTY)
    found, buffer = bytearray(), bytearray(1000)
    with contextlib.closing(source):
        while count := source.readinto(memoryview(buffer)):
            found += buffer[:count]
    return bytes(found), source


def test_an_object_is_read_and_hashed() -> None:
    with ScriptedServer(ranged) as server:
        found, source = read(server)
    assert found == CONTENT
    assert (source.hexdigest(), source.object_bytes) == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


def test_a_broken_read_goes_on_where_it_broke() -> None:
    with ScriptedServer(lambda request: ranged(request, at_most=3333)) as server:
        found, source = read(server)
    assert found == CONTENT
    assert source.hexdigest() == hashlib.sha256(CONTENT).hexdigest()
    assert [request.headers.get("Range") for request in server.seen] == [
        None,
        "bytes=3333-",
        "bytes=6666-",
        "bytes=9999-",
    ]


def test_an_expired_url_is_replaced() -> None:
    def script(request: Seen) -> Reply:
        return Reply(403) if request.target.endswith("v=0") else ranged(request)

    with ScriptedServer(script) as server:
        found, _ = read(server, lambda: server.url("/object?v=1"))
    assert found == CONTENT


def test_an_empty_object_ends_at_once() -> None:
    with ScriptedServer(lambda _request: Reply(200)) as server:
        assert read(server)[0] == b""


def grown(request: Seen) -> Reply:
    """Breaks off, and has more to say the next time."""
    reply = ranged(request, at_most=100)
    return Reply(reply.status, body=reply.body, announced=len(CONTENT) + (7 if reply.status == 206 else 0))


FAILURES: dict[str, tuple[Callable[[Seen], Reply], Failure]] = {
    "there is no object": (lambda _request: Reply(404), Failure.OBJECT_MISSING),
    "the store refuses": (lambda _request: Reply(403), Failure.STORE_REFUSED),
    "the store calls the request bad": (lambda _request: Reply(400), Failure.STORE_REFUSED),
    "the store never recovers": (lambda _request: Reply(503), Failure.STORE_UNREACHABLE),
    "the store hangs up": (lambda _request: Reply(hang_up=True), Failure.STORE_UNREACHABLE),
    "the store stops in the middle": (
        lambda request: ranged(request, at_most=50) if "Range" not in request.headers else Reply(hang_up=True),
        Failure.STORE_UNREACHABLE,
    ),
    "the object changes in the middle": (grown, Failure.OBJECT_DAMAGED),
    "the store ignores the range": (
        lambda request: ranged(Seen("GET", "", {}, b""), at_most=50) if "Range" not in request.headers else Reply(200),
        Failure.STORE_REFUSED,
    ),
}


@pytest.mark.parametrize(("script", "failure"), list(FAILURES.values()), ids=list(FAILURES))
def test_reading_fails_when(script: Callable[[Seen], Reply], failure: Failure) -> None:
    with ScriptedServer(script) as server, pytest.raises(MoverFailure) as caught:
        read(server)
    assert caught.value.failure is failure


def test_reading_fails_when_fresh_urls_are_refused_too() -> None:
    with ScriptedServer(lambda _request: Reply(403)) as server, pytest.raises(MoverFailure) as caught:
        read(server, lambda: server.url("/object?v=1"))
    assert caught.value.failure is Failure.STORE_REFUSED
    assert len(server.seen) == HASTY.tries_max


def test_reading_stops_when_the_mover_is_told_to() -> None:
    stop = threading.Event()
    stop.set()
    source = Download("http://127.0.0.1:9/object", None, stop, HASTY)
    with pytest.raises(MoverFailure) as caught:
        source.readinto(memoryview(bytearray(10)))
    assert caught.value.failure is Failure.INTERRUPTED
