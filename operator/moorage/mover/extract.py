"""Turn an object into the plain tar inside it, with nothing but its key; only a whole one is called whole."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from typing import IO

from moorage.model.snapshots import ExportedKey, Failure, Totals
from moorage.mover import programs, stream
from moorage.mover.failures import MoverFailure
from moorage.mover.restore import require_equal
from moorage.mover.verify import Listing

COPY_BYTES = 1 << 20


class Hashed:
    """A source that hashes and counts what passes."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self.object_bytes = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of the buffer; 0 at the end."""
        count = os.readv(self._source.fileno(), [buffer])
        self._digest.update(buffer[:count])
        self.object_bytes += count
        return count

    def hexdigest(self) -> str:
        """SHA-256 of everything read so far."""
        return self._digest.hexdigest()


class Copy(threading.Thread):
    """Writes the archive to its destination and to tar's listing at once."""

    def __init__(self, archive: IO[bytes], destination: IO[bytes], listing: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.failure: OSError | None = None
        self._archive = archive
        self._destination = destination
        self._listing = listing

    def run(self) -> None:
        """Copy to the end; when it cannot go on, zstd hears it by its pipe, and the main thread by zstd."""
        try:
            while chunk := self._archive.read(COPY_BYTES):
                programs.write_all(self._destination, chunk)
                with contextlib.suppress(BrokenPipeError):  # its exit code says why
                    programs.write_all(self._listing, chunk)
        except OSError as failure:
            self.failure = failure
        finally:
            self._archive.close()
            with contextlib.suppress(OSError):
                self._listing.close()


def extract(source: IO[bytes], key: ExportedKey, destination: IO[bytes], progress: Callable[[int], None]) -> Totals:
    """Write the archive to `destination`, telling `progress` how many bytes of the object are read.

    Raises MoverFailure when the object is not exactly what the key was exported for, and OSError when the destination
    takes no more; what was written until then is worth nothing.
    """
    hashed = Hashed(source)
    with programs.alone(programs.DECOMPRESS) as unpack, programs.alone(programs.LIST) as lister:
        assert unpack.stdin and unpack.stdout and lister.stdin and lister.stdout  # noqa: PT018 - all are pipes
        listing, copy = Listing(lister.stdout), Copy(unpack.stdout, destination, lister.stdin)
        listing.start()
        copy.start()
        try:
            _decrypt(hashed, key, unpack.stdin, progress)
        except BaseException:
            unpack.kill()  # so that both threads see an end
            lister.kill()
            raise
        finally:
            copy.join()
            listing.join()
            if copy.failure is not None:
                raise copy.failure
        if unpack.wait() or lister.wait() or listing.unreadable:
            raise MoverFailure(Failure.OBJECT_DAMAGED)
    totals = Totals(hashed.hexdigest(), hashed.object_bytes, listing.plain_bytes, listing.file_count)
    require_equal(totals, key.totals)
    return totals


def _decrypt(source: Hashed, key: ExportedKey, archive: IO[bytes], progress: Callable[[int], None]) -> None:
    try:
        for plain in stream.decrypt(source, key.data_key, stream.associated_data(key.binding)):
            programs.write_all(archive, plain)
            progress(source.object_bytes)
        archive.close()
    except (stream.Tampered, BrokenPipeError) as error:
        raise MoverFailure(Failure.OBJECT_DAMAGED) from error
