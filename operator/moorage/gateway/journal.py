"""The gateway's own file of what it admitted and what that cost, so that a crash costs the platform little.

A folder holds numbered segments. A segment is lines; a line is a checksum and a list of records, written in one go and
forced to disk before the next line is begun. So a crash can damage the last line only: a damaged line that has a good
one after it was damaged later, and is an error.
"""

import asyncio
import os
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from moorage.model.errors import MoorageError
from moorage.model.names import AgentUid
from moorage.model.spending import FinishedRequest, ModelPrice, Tokens

SYNC_SECONDS = 0.02
SEGMENT_BYTES_MAX = 64 * 2**20
SUFFIX = ".journal"
_NOTHING = Tokens(0, 0)


class JournalDamaged(MoorageError):
    """A line was changed after it had been written; the text says which."""


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """The first record of every segment."""

    gateway: str


class Admitted(msgspec.Struct, frozen=True, tag="admitted"):
    """A request may go to its provider."""

    id: str
    lease_id: str | None
    agent_uid: AgentUid
    price: ModelPrice


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The same request is over."""

    id: str
    tokens: Tokens


Record = Begun | Admitted | Ended
_LINE = msgspec.json.Decoder(list[Record])


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What a journal knows: requests that ended, and those that were still under way, at a cost of nothing."""

    gateway: str
    ended: list[FinishedRequest]
    unfinished: list[FinishedRequest]
    segments: list[Path]


class Journal:
    """Records are buffered, and written and forced to disk together every SYNC_SECONDS by `run`."""

    def __init__(
        self,
        folder: Path,
        gateway: str,
        *,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        force: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self._folder = folder
        self._begun = Begun(gateway)
        self._segment_bytes_max = segment_bytes_max
        self._force = force
        self._waiting: list[Admitted | Ended] = []
        self._open: dict[Path, set[str]] = {}  # by segment, the requests that are not settled yet
        self._writing = asyncio.Lock()
        self._begin_segment(1 + max((_number(path) for path in _segments(folder)), default=0))

    def append(self, record: Admitted | Ended) -> None:
        """Note a record; it is on disk after the next write."""
        self._waiting.append(record)

    def settled(self, ids: Iterable[str]) -> None:
        """These requests are in the ledger: older segments that hold nothing else are removed."""
        done = set(ids)
        for path, unsettled in list(self._open.items()):
            unsettled.difference_update(done)
            if not unsettled and path != self._path:
                del self._open[path]
                path.unlink(missing_ok=True)

    async def write(self) -> None:
        """Write what waits as one line, and return when the disk has it."""
        async with self._writing:
            records, self._waiting = self._waiting, []
            if records:
                self._open[self._path].update(record.id for record in records)
                await asyncio.to_thread(self._write, records)

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self.write()
            await asyncio.sleep(SYNC_SECONDS)

    async def close(self) -> None:
        """Write what waits and close the file; a segment without an unsettled request is removed."""
        await self.write()
        os.close(self._file)
        if not self._open[self._path]:
            self._path.unlink(missing_ok=True)

    def _write(self, records: Sequence[Record]) -> None:
        os.write(self._file, line(records))
        self._force(self._file)
        if os.fstat(self._file).st_size > self._segment_bytes_max:
            os.close(self._file)
            self._begin_segment(_number(self._path) + 1)

    def _begin_segment(self, number: int) -> None:
        self._path = self._folder / f"{number:08d}{SUFFIX}"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._open[self._path] = set()
        os.write(self._file, line([self._begun]))
        self._force(self._file)


def line(records: Sequence[Record]) -> bytes:
    """One line of a segment: the checksum of the rest in eight hexadecimal digits, a space, the records as JSON."""
    body = msgspec.json.encode(records)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def read(folder: Path) -> Leftovers:
    """Everything the segments of a folder know, oldest first. Raises JournalDamaged, also when there are none."""
    segments = _segments(folder)
    if not segments:
        raise JournalDamaged("there is no journal in this folder")
    admitted: dict[str, Admitted] = {}
    ended: dict[str, Tokens] = {}
    gateway = ""
    for path in segments:
        for record in _records(path):
            match record:
                case Begun():
                    gateway = record.gateway
                case Admitted():
                    admitted[record.id] = record
                case Ended():
                    ended[record.id] = record.tokens
    if not gateway:
        raise JournalDamaged("the journal does not say whose it is")
    return Leftovers(
        gateway=gateway,
        ended=[_finished(admitted[id_], tokens) for id_, tokens in ended.items() if id_ in admitted],
        unfinished=[_finished(one, _NOTHING) for id_, one in admitted.items() if id_ not in ended],
        segments=segments,
    )


def _records(path: Path) -> list[Record]:
    found: list[Record] = []
    damaged: int | None = None
    for number, text in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        records = _decoded(text)
        if records is None:
            damaged = damaged or number
        if damaged is not None and (records is not None or _ends_whole(text)):
            raise JournalDamaged(f"line {damaged} of {path.name} was changed after it had been written")
        found += records or []
    return found


def _ends_whole(text: bytes) -> bool:
    """Whether a damaged line has a whole one behind it: then the end of the line between them was changed."""
    starts = re.finditer(rb"(?<=.)(?=[0-9a-f]{8} \[)", text, re.DOTALL)
    return any(_decoded(text[start.start() :]) is not None for start in starts)


def _decoded(text: bytes) -> list[Record] | None:
    """The records of a line, or None when it is not whole."""
    checksum, _, body = text.removesuffix(b"\n").partition(b" ")
    if not text.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body):
        return None
    return _LINE.decode(body)


def _finished(one: Admitted, tokens: Tokens) -> FinishedRequest:
    return FinishedRequest(id=one.id, lease_id=one.lease_id, agent_uid=one.agent_uid, price=one.price, tokens=tokens)


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def _number(path: Path) -> int:
    return int(path.stem)
