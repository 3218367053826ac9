"""Fill an empty volume from an encrypted object: download → cipher → zstd → tar, then count what arrived."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable

from moorage.model.snapshots import Assignment, Failure, Report, Totals
from moorage.mover import census, programs, stream
from moorage.mover.download import Download
from moorage.mover.failures import MoverFailure

FLUSH_BYTES = 64 << 20


def restore(
    assignment: Assignment, folder: str, fresh_url: Callable[[], str], attempt: str, stop: threading.Event
) -> Report:
    """Restore a volume and return the report; raises MoverFailure. The volume is not to be used unless this returns."""
    expected = assignment.expected
    if expected is None:
        raise MoverFailure(Failure.PLATFORM_UNREACHABLE)
    require_empty(folder)
    source = Download(assignment.download_url, fresh_url, stop, authority_pem=assignment.authority_pem)
    with (
        contextlib.closing(source),
        programs.running(programs.DECOMPRESS, programs.UNPACK, folder=folder, stdout=subprocess.DEVNULL) as pipeline,
    ):
        associated = stream.associated_data(assignment.binding)
        try:
            disk = Disk(folder)
            for plain in stream.decrypt(source, assignment.data_key, associated):
                programs.write_all(pipeline.stdin, plain)
                disk.wrote(len(plain))
            pipeline.stdin.close()
        except stream.Tampered as error:
            raise MoverFailure(Failure.OBJECT_DAMAGED) from error
        except BrokenPipeError as error:
            raise _extract_failure(folder) from error
        if any(pipeline.exit_codes()):
            raise _extract_failure(folder)
    disk.settle()
    arrived = census.take(folder)
    totals = Totals(source.hexdigest(), source.object_bytes, arrived.plain_bytes, arrived.file_count)
    require_equal(totals, expected)
    return Report(
        attempt=attempt,
        sha256=totals.sha256,
        object_bytes=totals.object_bytes,
        plain_bytes=totals.plain_bytes,
        file_count=totals.file_count,
    )


class Disk:
    """Brings what was unpacked to the disk, and begins with it while more is unpacked: the kernel would leave gigabytes
    for the end. A node that crashes later must not turn a restored volume into a damaged one."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._waiting_bytes = 0
        self._flush: subprocess.Popen[bytes] | None = None

    def wrote(self, count: int) -> None:
        """So many bytes more were handed to the programs that unpack."""
        self._waiting_bytes += count
        if self._waiting_bytes >= FLUSH_BYTES and (self._flush is None or self._flush.poll() is not None):
            self._begin()

    def settle(self) -> None:
        """Wait until all of it is there."""
        self._begin()
        self._end()

    def _begin(self) -> None:
        self._end()
        self._waiting_bytes = 0
        self._flush = subprocess.Popen(["sync", "--file-system", self._folder], env=programs.ENVIRONMENT)

    def _end(self) -> None:
        # The kernel tells of a failed write once, so every flush is asked.
        if self._flush is not None and self._flush.wait() != 0:
            raise MoverFailure(Failure.EXTRACT_FAILED)


def require_empty(folder: str) -> None:
    """Refuse a volume with content; what mkfs leaves at its root is none."""
    try:
        with os.scandir(os.fsencode(folder)) as entries:
            found = [entry.path for entry in entries if entry.name != census.LOST_AND_FOUND]
            if found or census.has_content_in_lost_and_found(os.fsencode(folder)):
                raise MoverFailure(Failure.VOLUME_NOT_EMPTY)
    except OSError as error:
        raise MoverFailure(Failure.VOLUME_UNREADABLE) from error


def require_equal(found: Totals, expected: Totals) -> None:
    """Compare what came out with what the platform has on record."""
    if found.sha256 != expected.sha256 or found.object_bytes != expected.object_bytes:
        raise MoverFailure(Failure.OBJECT_DAMAGED)
    if found.file_count != expected.file_count or found.plain_bytes != expected.plain_bytes:
        raise MoverFailure(Failure.COUNT_MISMATCH)


def _extract_failure(folder: str) -> MoverFailure:
    space = os.statvfs(folder)
    full = space.f_bavail == 0 or (space.f_files > 0 and space.f_favail == 0)
    return MoverFailure(Failure.VOLUME_FULL if full else Failure.EXTRACT_FAILED)
