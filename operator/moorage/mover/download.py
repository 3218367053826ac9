"""Read an object over a presigned URL as one stream, resumed where it broke."""

import hashlib
import http.client
import threading
from collections.abc import Callable

from moorage.model.snapshots import Failure
from moorage.mover import transport
from moorage.mover.failures import MoverFailure


class Download:
    """A source of bytes that hashes what passes and continues with a Range request after a broken connection."""

    def __init__(
        self,
        url: str,
        fresh: Callable[[], str] | None,
        stop: threading.Event,
        patience: transport.Patience = transport.PATIENCE,
        *,
        authority_pem: str = "",
    ) -> None:
        self._url = url
        self._fresh = fresh
        self._stop = stop
        self._patience = patience
        self._connection = transport.connect(url, transport.trust(url, authority_pem))
        self._response: http.client.HTTPResponse | None = None
        self._digest = hashlib.sha256()
        self._attempt = 0
        self._total: int | None = None
        self.object_bytes = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of the buffer; 0 only at the true end of the object."""
        while self._total is None or self.object_bytes < self._total:
            if self._stop.is_set():
                raise MoverFailure(Failure.INTERRUPTED)
            try:
                if self._response is None:
                    self._response = self._request()
                    continue
                count = self._response.readinto(buffer)
            except transport.WIRE_ERRORS:
                count = 0
            if count:
                self._attempt = 0
                self._digest.update(buffer[:count])
                self.object_bytes += count
                return count
            self._again(Failure.STORE_UNREACHABLE)
        return 0

    def hexdigest(self) -> str:
        """SHA-256 of everything read so far."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the connection."""
        if self._response is not None:  # it keeps the socket when the connection has let go of it
            self._response.close()
            self._response = None
        self._connection.close()

    def _request(self) -> http.client.HTTPResponse:
        headers = {"Range": f"bytes={self.object_bytes}-"} if self.object_bytes else {}
        response = self._connection.start("GET", transport.target_of(self._url), headers)
        if response.status == (206 if self.object_bytes else 200) and response.length is not None:
            total = self.object_bytes + response.length
            if self._total in (None, total):
                self._total = total
                return response
            response.close()
            raise MoverFailure(Failure.OBJECT_DAMAGED)  # the object changed under us
        response.close()
        if response.status == 404:
            raise MoverFailure(Failure.OBJECT_MISSING)
        if response.status == 403 and self._fresh is not None:
            self._again(Failure.STORE_REFUSED)
            self._url = self._fresh()
            return self._request()
        if not transport.retryable(response.status):
            raise MoverFailure(Failure.STORE_REFUSED)
        raise http.client.HTTPException("the store asks to come again")

    def _again(self, failure: Failure) -> None:
        self.close()
        self._attempt += 1
        if self._attempt >= self._patience.tries_max:
            raise MoverFailure(failure)
        self._patience.pause(self._attempt, self._stop)
