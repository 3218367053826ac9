"""Read a committed object back as a second, independent reader: hash, decrypt, decompress, count.

Runs as a child of the operator. The key comes in on standard input and never touches a disk, an argument or an
environment variable; the counts come from tar's own listing, not from the code that wrote the archive.
"""

import contextlib
import sys
import threading
from typing import IO

import msgspec

from moorage.model.snapshots import Failure, Totals, VerifyAnswer, VerifyRequest
from moorage.mover import programs, stream
from moorage.mover.download import Download
from moorage.mover.failures import MoverFailure

LISTING_BYTES = 1 << 18


def answer(request: bytes, stop: threading.Event) -> VerifyAnswer:
    """Verify one object; a failure is an answer too."""
    try:
        return VerifyAnswer(totals=verify(msgspec.json.decode(request, type=VerifyRequest), stop))
    except MoverFailure as failed:
        return VerifyAnswer(failure=failed.failure)
    except msgspec.MsgspecError:
        return VerifyAnswer(failure=Failure.MOVER_FAILED)


def verify(request: VerifyRequest, stop: threading.Event) -> Totals:
    """What the object really holds; raises MoverFailure."""
    source = Download(request.download_url, None, stop, authority_pem=request.authority_pem)
    with contextlib.closing(source), programs.running(programs.DECOMPRESS, programs.LIST) as pipeline:
        listing = Listing(pipeline.stdout)
        listing.start()
        try:
            for plain in stream.decrypt(source, request.data_key, stream.associated_data(request.binding)):
                programs.write_all(pipeline.stdin, plain)
            pipeline.stdin.close()
        except (stream.Tampered, BrokenPipeError) as error:
            raise MoverFailure(Failure.OBJECT_DAMAGED) from error
        listing.join()
        if any(pipeline.exit_codes()) or listing.unreadable:
            raise MoverFailure(Failure.OBJECT_DAMAGED)
    return Totals(source.hexdigest(), source.object_bytes, listing.plain_bytes, listing.file_count)


class Listing(threading.Thread):
    """Counts the lines of `tar --list --verbose`: mode, owner, size, date, time, name (line breaks escaped)."""

    def __init__(self, lines: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.file_count = 0
        self.plain_bytes = 0
        self.unreadable = False
        self._lines = lines

    def run(self) -> None:
        """Count to the end."""
        rest = b""
        while chunk := self._lines.read(LISTING_BYTES):
            *whole, rest = (rest + chunk).split(b"\n")
            self._count(whole)
        self.unreadable |= rest != b""

    def _count(self, lines: list[bytes]) -> None:
        self.file_count += len(lines)
        for line in lines:
            if line.startswith(b"-"):
                size = line.split(None, 3)[2]
                if size.isdigit():
                    self.plain_bytes += int(size)
                else:
                    self.unreadable = True


def main(stop: threading.Event) -> int:
    """Read a request from standard input, write the answer to standard output."""
    found = answer(sys.stdin.buffer.read(), stop)
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    sys.stdout.buffer.flush()
    return 0
