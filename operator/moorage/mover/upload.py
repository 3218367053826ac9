"""Write an object as parts over presigned URLs: two in flight, each tried again on its own."""

import hashlib
import queue
import threading
from collections.abc import Callable

from moorage.model.snapshots import PART_URLS_FIRST, PARTS_MAX, Failure, Part
from moorage.mover import transport
from moorage.mover.failures import MoverFailure

IN_FLIGHT = 2

FreshUrls = Callable[[int, int], list[str]]  # first part number, count


class PartUrlBook:
    """URLs by part number; asks for the next batch when it runs out, and again for one that the store refused."""

    def __init__(self, first: list[str], fresh: FreshUrls) -> None:
        self._urls = dict(enumerate(first, start=1))
        self._fresh = fresh
        self._lock = threading.Lock()

    def url(self, number: int) -> str:
        """The URL to try for a part."""
        with self._lock:
            if number not in self._urls:
                self._remember(number)
            return self._urls[number]

    def forget(self, number: int, refused: str) -> None:
        """Drop a URL that no longer works, unless another thread has replaced it already."""
        with self._lock:
            if self._urls.get(number) == refused:
                del self._urls[number]

    def _remember(self, number: int) -> None:
        count = min(PART_URLS_FIRST, PARTS_MAX - number + 1)
        self._urls.update(enumerate(self._fresh(number, count), start=number))
        if number not in self._urls:
            raise MoverFailure(Failure.PLATFORM_UNREACHABLE)


class Upload:
    """Takes parts in order and returns what the store said about them; memory is bound by the parts in flight."""

    def __init__(
        self,
        urls: PartUrlBook,
        stop: threading.Event,
        patience: transport.Patience = transport.PATIENCE,
        *,
        authority_pem: str = "",
    ) -> None:
        self._urls = urls
        self._authority_pem = authority_pem
        self._stop = stop
        self._patience = patience
        self._work: queue.Queue[tuple[int, list[bytes]] | None] = queue.Queue(maxsize=1)
        self._free = threading.Semaphore(IN_FLIGHT)  # taken before a part is queued, so the queue holds none extra
        self._parts: dict[int, Part] = {}
        self._failure: MoverFailure | None = None
        self._threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(IN_FLIGHT)]
        for thread in self._threads:
            thread.start()

    def add(self, number: int, segments: list[bytes]) -> None:
        """Send a part as soon as there is room; raises the failure of an earlier one."""
        if number > PARTS_MAX:
            raise MoverFailure(Failure.TOO_LARGE)
        self._free.acquire()
        if self._failure is not None:
            raise self._failure
        self._work.put((number, segments))

    def finish(self) -> list[Part]:
        """Wait for all parts."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure
        return [self._parts[number] for number in sorted(self._parts)]

    def _send_all(self) -> None:
        connection: transport.Connection | None = None
        while (work := self._work.get()) is not None:
            number, segments = work
            try:
                if self._failure is None:
                    if connection is None:
                        url = self._urls.url(number)
                        connection = transport.connect(url, transport.trust(url, self._authority_pem))
                    self._parts[number] = self._send(connection, number, segments)
            except MoverFailure as failure:
                self._failure = self._failure or failure
            except Exception:  # a bug in a thread must fail the attempt, not hang it
                self._failure = self._failure or MoverFailure(Failure.MOVER_FAILED)
            finally:
                del work, segments  # the part's memory must be free before the next one is filled
                self._free.release()
        if connection is not None:
            connection.close()

    def _send(self, connection: transport.Connection, number: int, segments: list[bytes]) -> Part:
        digest = hashlib.sha256()
        for segment in segments:
            digest.update(segment)
        headers = {"Content-Length": str(sum(map(len, segments)))}
        failure = Failure.STORE_UNREACHABLE
        for attempt in range(self._patience.tries_max):
            self._patience.pause(attempt, self._stop)
            url = self._urls.url(number)
            try:
                answer = connection.exchange("PUT", transport.target_of(url), headers, iter(segments))
            except transport.WIRE_ERRORS:
                # A store may refuse an expired URL by closing while the part is still being sent.
                self._urls.forget(number, url)
                failure = Failure.STORE_UNREACHABLE
                continue
            if answer.status == 200 and answer.etag:
                return Part(number, answer.etag, digest.hexdigest())
            if answer.status == 403:  # expired, or a clock that differs: a fresh URL decides which
                failure = Failure.STORE_REFUSED
                self._urls.forget(number, url)
            elif not transport.retryable(answer.status):
                raise MoverFailure(Failure.STORE_REFUSED)
            elif answer.status == 507:
                failure = Failure.STORE_FULL
        raise MoverFailure(failure)
