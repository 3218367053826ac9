"""Write a volume to an encrypted object: census → tar → zstd → cipher → parts."""

import hashlib
import threading
from typing import IO

from moorage.model.snapshots import Assignment, Failure, Report
from moorage.mover import census, programs, stream, upload
from moorage.mover.failures import MoverFailure

TAR_CHANGED = 1  # GNU tar: "some files differ", a file changed or vanished while it was read
NAMES_BYTES = 1 << 16


class NameFeed(threading.Thread):
    """Walks the volume and tells tar each name; what it counted is what the archive must contain."""

    def __init__(self, folder: str, names: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.census = census.Census()
        self.failure: MoverFailure | None = None
        self._folder = folder
        self._names = names

    def run(self) -> None:
        """Feed until the walk ends; a broken pipe means that tar has died, and its exit code says why."""
        try:
            pending = bytearray()
            for name in self.census.walk(self._folder):
                pending += name + b"\0"
                if len(pending) >= NAMES_BYTES:
                    programs.write_all(self._names, pending)
                    pending.clear()
            programs.write_all(self._names, pending)
        except MoverFailure as failure:
            self.failure = failure
        except BrokenPipeError:
            pass
        except OSError:
            self.failure = MoverFailure(Failure.VOLUME_UNREADABLE)
        finally:
            self._names.close()


def capture(
    assignment: Assignment, folder: str, fresh_urls: upload.FreshUrls, attempt: str, stop: threading.Event
) -> Report:
    """Capture a volume and return the report; raises MoverFailure."""
    book = upload.PartUrlBook(assignment.part_urls, fresh_urls)
    sending = upload.Upload(book, stop, authority_pem=assignment.authority_pem)
    digest, object_bytes, number = hashlib.sha256(), 0, 0
    with programs.running(programs.PACK, programs.compress(), folder=folder) as pipeline:
        feed = NameFeed(folder, pipeline.stdin)
        feed.start()
        associated = stream.associated_data(assignment.binding)
        segments_per_part = assignment.part_bytes // stream.SEGMENT_BYTES
        part: list[bytes] = []
        for segment in stream.encrypt(pipeline.stdout, assignment.data_key, associated):
            digest.update(segment)
            object_bytes += len(segment)
            part.append(segment)
            if len(part) == segments_per_part:
                number += 1
                sending.add(number, part)
                part = []
        # A pipe also ends when tar dies: only the exit codes tell a whole archive from a part of one.
        feed.join()
        _require_success(pipeline.exit_codes(), feed)
    if part:
        sending.add(number + 1, part)
    return Report(
        attempt=attempt,
        parts=sending.finish(),
        sha256=digest.hexdigest(),
        object_bytes=object_bytes,
        plain_bytes=feed.census.plain_bytes,
        disk_bytes=feed.census.disk_bytes,
        file_count=feed.census.file_count,
        skipped_count=feed.census.skipped_count,
    )


def _require_success(exit_codes: tuple[int, int], feed: NameFeed) -> None:
    if feed.failure is not None:
        raise feed.failure
    packed, compressed = exit_codes
    if packed == TAR_CHANGED:
        raise MoverFailure(Failure.VOLUME_CHANGED)
    if packed != 0:
        raise MoverFailure(Failure.VOLUME_UNREADABLE)
    if compressed != 0:
        raise MoverFailure(Failure.MOVER_FAILED)
