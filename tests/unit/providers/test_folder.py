"""A folder as an object store: nothing is believed missing by mistake, nothing lands outside, nothing is half there."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.model.errors import Unavailable
from moorage.providers.folder import ABANDONED_SECONDS, MARKER, Folder
from moorage.providers.ports import FoundObject, UploadedPart, UploadLost

ROOT = Path(__file__).resolve().parents[3]
KEY = "s/tenant/snapshot/attempt"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "store"
    made.mkdir()
    return made


@pytest.fixture
def folder(root: Path) -> Folder:
    begun = Folder(root)
    begun.begin()
    return begun


def stored(folder: Folder, key: str = KEY, body: bytes = b"snapshot") -> None:
    upload_id = folder.create_upload(key)
    part = UploadedPart(1, folder.put_part(key, upload_id, 1, body))
    folder.complete(key, upload_id, [part], len(body))


CALLS: dict[str, Callable[[Folder], object]] = {
    "size": lambda folder: folder.size(KEY),
    "open": lambda folder: folder.open(KEY),
    "a listing": lambda folder: list(folder.walk("s/")),
    "delete": lambda folder: folder.delete(KEY),
    "abort": lambda folder: folder.abort(KEY),
    "a new upload": lambda folder: folder.create_upload(KEY),
    "a part": lambda folder: folder.put_part(KEY, "@1", 1, b"x"),
    "completing": lambda folder: folder.complete(KEY, "@1", [], 1),
    "a small object": lambda folder: folder.write(KEY, b"x", replace=True),
}


@pytest.mark.parametrize("call", list(CALLS.values()), ids=list(CALLS))
def test_nothing_is_called_missing_while_the_volume_is_not_mounted(
    root: Path, folder: Folder, call: Callable[[Folder], object]
) -> None:
    stored(folder)
    away = root.rename(root.with_name("away"))
    root.mkdir()  # what is left when a volume is not mounted
    with pytest.raises(Unavailable, match="not there"):
        call(folder)
    assert list(root.iterdir()) == []
    root.rmdir()
    away.rename(root)
    assert folder.size(KEY) == len(b"snapshot")


def test_a_folder_of_somebody_else_is_not_taken_over(root: Path) -> None:
    (root / "holiday.jpg").touch()
    with pytest.raises(Unavailable, match="not ours"):
        Folder(root).begin()
    assert [path.name for path in root.iterdir()] == ["holiday.jpg"]


def test_a_new_file_system_is_taken_over_and_found_again(root: Path) -> None:
    (root / "lost+found").mkdir()
    for _ in range(2):
        Folder(root).begin()
    assert (root / MARKER).exists()


ESCAPES = (
    "../x",
    "s/../../x",
    "/etc/passwd",
    "s//x",
    "",
    ".",
    "s/.hidden",
    "s/@0",
    "s/a\0b",
    "s/a\nb",
    "s/" + "n" * 201,
)


@pytest.mark.parametrize("key", ESCAPES)
def test_no_key_leads_out_of_the_folder(root: Path, folder: Folder, key: str) -> None:
    before = sorted(root.rglob("*"))
    for call in (folder.create_upload, folder.size, folder.open, folder.delete, folder.abort):
        with pytest.raises(ValueError, match="no key"):
            call(key)
    with pytest.raises(ValueError, match="no key"):
        folder.write(key, b"x", replace=True)
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("upload_id", ["..", "@../../objects", "", ".", "/", "@unknown"])
def test_no_upload_id_leads_out_of_the_folder(folder: Folder, upload_id: str) -> None:
    folder.create_upload(KEY)
    with pytest.raises(UploadLost):
        folder.put_part(KEY, upload_id, 1, b"x")


@pytest.mark.parametrize("etag", ["../../../objects/other", '"../x"', "", f'"{"A" * 64}"'])
def test_no_reported_tag_leads_out_of_the_upload(folder: Folder, etag: str) -> None:
    folder.write("other", b"secret", replace=True)
    upload_id = folder.create_upload(KEY)
    with pytest.raises(UploadLost):
        folder.complete(KEY, upload_id, [UploadedPart(1, etag)], 6)
    assert folder.size(KEY) is None


def test_parts_out_of_order_or_of_another_size_make_no_object(folder: Folder) -> None:
    upload_id = folder.create_upload(KEY)
    parts = [UploadedPart(number, folder.put_part(KEY, upload_id, number, b"x" * number)) for number in (1, 2)]
    for wrong, size in ((parts[::-1], 3), ([parts[0], parts[0]], 2), (parts, 4), (parts, 2)):
        with pytest.raises(UploadLost):
            folder.complete(KEY, upload_id, wrong, size)
        assert folder.size(KEY) is None
    folder.complete(KEY, upload_id, parts, 3)


def test_a_run_killed_after_the_object_appeared_and_before_its_parts_went_ends_well(root: Path, folder: Folder) -> None:
    upload_id = folder.create_upload(KEY)
    part = UploadedPart(1, folder.put_part(KEY, upload_id, 1, b"snapshot"))
    kept = root / "kept"
    shutil.copytree(root / "uploads", kept)
    folder.complete(KEY, upload_id, [part], 8)
    shutil.rmtree(root / "uploads")
    kept.rename(root / "uploads")
    folder.complete(KEY, upload_id, [part], 8)
    assert not list((root / "uploads").iterdir())


def test_what_a_killed_run_was_writing_is_no_object_and_is_swept_a_day_later(root: Path, folder: Folder) -> None:
    torn, fresh = root / "temporary" / "torn", root / "temporary" / "fresh"
    torn.write_bytes(b"half")
    fresh.write_bytes(b"half")
    past = time.time() - ABANDONED_SECONDS - 1
    os.utime(torn, (past, past))
    assert list(folder.walk("")) == []
    folder.begin()
    assert (torn.exists(), fresh.exists()) == (False, True)


def test_a_run_killed_at_any_file_operation_leaves_nothing_torn_and_can_be_repeated() -> None:
    memory = Path("/dev/shm")  # a disk would be synced thousands of times
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        command = [sys.executable, "-m", "tests.unit.providers.dying_folder", home, "3"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    places = json.loads(done.stdout)
    assert set(places) == {"upload", "replace", "give up", "purge"}
    assert all(count > 100 for count in places.values()), places


def test_what_is_deleted_during_a_listing_is_left_out_of_it(folder: Folder) -> None:
    keys = [f"s/tenant-{number}/snapshot/attempt" for number in range(4)]
    for key in keys:
        stored(folder, key)
    listing = folder.walk("s/")
    first = next(listing)
    for key in set(keys) - {first.key}:
        folder.delete(key)
    assert list(listing) == []


def test_a_folder_that_lost_a_part_of_itself_calls_no_upload_lost(root: Path, folder: Folder) -> None:
    upload_id = folder.create_upload(KEY)
    (root / "temporary").rmdir()
    with pytest.raises(Unavailable):
        folder.put_part(KEY, upload_id, 1, b"x")
    folder.begin()
    assert folder.put_part(KEY, upload_id, 1, b"x")


def test_empty_folders_do_not_pile_up(root: Path, folder: Folder) -> None:
    stored(folder)
    stored(folder, "s/tenant/other/attempt")
    folder.delete(KEY)
    assert list(folder.walk("")) == [FoundObject("s/tenant/other/attempt", 8)]
    assert [path.name for path in (root / "objects" / "s" / "tenant").iterdir()] == ["other"]
    folder.delete("s/tenant/other/attempt")
    assert list((root / "objects").iterdir()) == []
    assert list((root / "uploads").iterdir()) == []


def test_objects_are_for_the_platforms_user_alone(root: Path, folder: Folder) -> None:
    stored(folder)
    assert (root / "objects" / KEY).stat().st_mode & 0o077 == 0
