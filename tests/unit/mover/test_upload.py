"""Parts over presigned URLs: in order, tried again, never more in flight than promised."""

import hashlib
import threading
from collections.abc import Callable

import pytest

from moorage.model.snapshots import PARTS_MAX, Failure, Part
from moorage.mover.failures import MoverFailure
from moorage.mover.transport import Patience
from moorage.mover.upload import IN_FLIGHT, PartUrlBook, Upload
from tests.unit.mover.scripted import Reply, ScriptedServer, Seen

HASTY = Patience(tries_max=3, first_seconds=0.0)


def accepted(request: Seen) -> Reply:
    return Reply(headers={"ETag": f'"{request.target}"'})


def send(server: ScriptedServer, parts: int, fresh: Callable[[int, int], list[str]] | None = None) -> list[Part]:
    first = [server.url(f"/{number}?v=0") for number in range(1, parts + 1)]
    upload = Upload(PartUrlBook(first, fresh or (lambda _first, _count: [])), threading.Event(), HASTY)
    for number in range(1, parts + 1):
        upload.add(number, [b"a" * number, b"b"])
    return upload.finish()


def test_parts_arrive_whole_and_come_back_in_order() -> None:
    with ScriptedServer(accepted) as server:
        parts = send(server, 5)
    assert [part.number for part in parts] == [1, 2, 3, 4, 5]
    assert parts[2] == Part(3, '"/3?v=0"', hashlib.sha256(b"aaab").hexdigest())
    assert {request.target: request.body for request in server.seen}["/4?v=0"] == b"aaaab"


def test_a_part_has_no_content_type_and_no_chunks() -> None:
    with ScriptedServer(accepted) as server:
        send(server, 1)
    names = {name.lower() for name in server.seen[0].headers}
    assert "content-type" not in names
    assert "transfer-encoding" not in names


TROUBLES = {
    "the store says 500": Reply(500),
    "the store says 503": Reply(503),
    "the store says 429": Reply(429),
    "the store hangs up": Reply(hang_up=True),
    "the answer has no tag": Reply(503),
}


@pytest.mark.parametrize("trouble", list(TROUBLES.values()), ids=list(TROUBLES))
def test_a_part_is_sent_again_when(trouble: Reply) -> None:
    troubles = iter([trouble, trouble])
    with ScriptedServer(lambda request: next(troubles, accepted(request))) as server:
        (part,) = send(server, 1, lambda first, count: [server.url(f"/{first + n}?v=1") for n in range(count)])
    assert part.number == 1
    assert [request.body for request in server.seen] == [b"ab"] * 3


def test_an_expired_url_is_replaced() -> None:
    def script(request: Seen) -> Reply:
        return Reply(403) if request.target.endswith("v=0") else accepted(request)

    asked: list[tuple[int, int]] = []

    def fresh(first: int, count: int) -> list[str]:
        asked.append((first, count))
        return [server.url(f"/{first + number}?v=1") for number in range(count)]

    with ScriptedServer(script) as server:
        parts = send(server, 2, fresh)
    assert [part.etag for part in parts] == ['"/1?v=1"', '"/2?v=1"']
    assert all(first in (1, 2) for first, _ in asked)


GIVING_UP = {
    "the store refuses even fresh URLs": (Reply(403), Failure.STORE_REFUSED),
    "the store never answers": (Reply(hang_up=True), Failure.STORE_UNREACHABLE),
    "the store never recovers": (Reply(503), Failure.STORE_UNREACHABLE),
    "the store is and stays full": (Reply(507), Failure.STORE_FULL),
    "the store calls the request bad": (Reply(400), Failure.STORE_REFUSED),
}


@pytest.mark.parametrize(("reply", "failure"), list(GIVING_UP.values()), ids=list(GIVING_UP))
def test_the_upload_fails_when(reply: Reply, failure: Failure) -> None:
    with ScriptedServer(lambda _request: reply) as server, pytest.raises(MoverFailure) as caught:
        send(server, 1, lambda first, count: [server.url(f"/{first + number}?v=1") for number in range(count)])
    assert caught.value.failure is failure


def test_a_later_part_is_refused_when_an_earlier_one_failed() -> None:
    with ScriptedServer(lambda _request: Reply(400)) as server:
        upload = Upload(PartUrlBook([server.url("/")] * 20, lambda _first, _count: []), threading.Event(), HASTY)
        with pytest.raises(MoverFailure):
            add_all(upload, 20)
        with pytest.raises(MoverFailure):
            upload.finish()


def add_all(upload: Upload, count: int) -> None:
    for number in range(1, count + 1):
        upload.add(number, [b"x"])


def test_no_more_parts_are_in_flight_than_promised() -> None:
    gate, most, now, lock = threading.Event(), [0], [0], threading.Lock()

    def script(request: Seen) -> Reply:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == IN_FLIGHT:
                gate.set()
        assert gate.wait(10)  # both are there before the first is answered
        with lock:
            now[0] -= 1
        return accepted(request)

    with ScriptedServer(script) as server:
        send(server, 8)
    assert most[0] == IN_FLIGHT


def test_an_object_with_more_parts_than_the_store_takes_is_too_large() -> None:
    upload = Upload(PartUrlBook([], lambda _first, _count: []), threading.Event(), HASTY)
    with pytest.raises(MoverFailure) as caught:
        upload.add(PARTS_MAX + 1, [b"x"])
    assert caught.value.failure is Failure.TOO_LARGE
    assert upload.finish() == []
