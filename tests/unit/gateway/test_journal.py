"""The journal survives a crash at every byte, and tells a crash from a change."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.gateway import journal
from moorage.gateway.journal import Admitted, Begun, Ended, Journal, JournalDamaged, Record
from moorage.model.spending import ModelPrice, Tokens

PRICE = ModelPrice(model="opus", input_picos=3, output_picos=7, cached_picos=1)


def admitted(name: str, lease: str | None = "lease") -> Admitted:
    """A request that begins."""
    return Admitted(name, lease, "agent", PRICE)


def ended(name: str, output: int) -> Ended:
    """The same request, over."""
    return Ended(name, Tokens(1, output))


LINES: list[list[Record]] = [
    [Begun("gw")],
    [admitted("a"), admitted("b", None)],
    [ended("a", 5), admitted("c")],
    [ended("c", 9)],
    [ended("b", 2)],
]
WHOLE = b"".join(journal.line(records) for records in LINES)


def read(folder: Path, content: bytes) -> tuple[dict[str, int], set[str]]:
    """What a journal of one segment says: output tokens of ended requests, and the unfinished ones."""
    (folder / "00000001.journal").write_bytes(content)
    left = journal.read(folder)
    assert left.gateway == "gw"
    return {one.id: one.tokens.output for one in left.ended}, {one.id for one in left.unfinished}


def segments(folder: Path) -> list[str]:
    """The files of a journal."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for one segment that every example writes anew."""
    return tmp_path_factory.mktemp("journal")


def test_a_file_cut_at_any_byte_tells_what_was_written_before(folder: Path) -> None:
    ends = [len(b"".join(journal.line(records) for records in LINES[: count + 1])) for count in range(len(LINES))]
    for length in range(ends[0], len(WHOLE) + 1):
        lines = sum(end <= length for end in ends)
        known = [record for records in LINES[:lines] for record in records]
        over = {record.id: record.tokens.output for record in known if isinstance(record, Ended)}
        begun = {record.id for record in known if isinstance(record, Admitted)}
        assert read(folder, WHOLE[:length]) == (over, begun - set(over)), length


def test_a_last_line_of_which_any_part_is_missing_is_a_crash(folder: Path) -> None:
    last = journal.line(LINES[-1])
    for at in range(len(last)):
        torn = last[:at] + b"\0" * (len(last) - at)  # the file has its length, the block was not written
        assert read(folder, WHOLE[: -len(last)] + torn)[1] == {"b"}


@settings(derandomize=True, max_examples=400)
@given(at=st.integers(0, len(WHOLE) - len(journal.line(LINES[-1])) - 1), flip=st.integers(1, 255))
def test_a_changed_byte_in_the_middle_is_found(folder: Path, at: int, flip: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] ^= flip
    with pytest.raises(JournalDamaged):
        read(folder, bytes(changed))


def test_a_folder_without_a_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalDamaged, match="no journal"):
        journal.read(tmp_path)
    (tmp_path / "00000001.journal").write_bytes(WHOLE[:5])
    with pytest.raises(JournalDamaged, match="whose"):
        journal.read(tmp_path)


@pytest.mark.anyio
async def test_what_was_appended_is_read_back_after_any_number_of_segments(tmp_path: Path) -> None:
    kept = Journal(tmp_path, "gw", segment_bytes_max=200)
    for number in range(10):
        kept.append(admitted(str(number)))
        await kept.write()
    for number in range(0, 10, 2):
        kept.append(ended(str(number), number))
        await kept.write()
    assert len(segments(tmp_path)) > 5
    left = journal.read(tmp_path)
    assert {int(one.id): one.tokens.output for one in left.ended} == {number: number for number in range(0, 10, 2)}
    assert {int(one.id) for one in left.unfinished} == {1, 3, 5, 7, 9}


@pytest.mark.anyio
async def test_segments_go_when_everything_in_them_is_settled(tmp_path: Path) -> None:
    kept = Journal(tmp_path, "gw", segment_bytes_max=1)  # a segment per line
    for number in range(4):
        kept.append(admitted(str(number)))
        kept.append(ended(str(number), 1))
        await kept.write()
    kept.settled(["0", "2"])
    assert {one.id for one in journal.read(tmp_path).ended} == {"1", "3"}
    kept.settled(["1", "3"])
    await kept.close()
    assert segments(tmp_path) == []


@pytest.mark.anyio
async def test_every_write_is_forced_to_the_disk_before_the_next(tmp_path: Path) -> None:
    forced: list[int] = []
    kept = Journal(tmp_path, "gw", force=lambda _: forced.append((tmp_path / "00000001.journal").stat().st_size))
    for number in range(3):
        kept.append(admitted(str(number)))
    writes = [asyncio.create_task(kept.write()) for _ in range(3)]
    await asyncio.gather(*writes)
    kept.append(ended("0", 1))
    await kept.write()
    sizes = [len(journal.line([Begun("gw")]))]
    sizes.append(sizes[-1] + len(journal.line([admitted(str(number)) for number in range(3)])))
    sizes.append(sizes[-1] + len(journal.line([ended("0", 1)])))
    assert forced == sizes
    await kept.close()
