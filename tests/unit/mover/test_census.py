"""What a snapshot must contain, counted without tar."""

import os
from pathlib import Path

from moorage.mover import census


def names(root: Path) -> list[str]:
    return [os.fsdecode(name) for name in census.Census().walk(str(root))]


def test_entries_come_sorted_and_folders_before_their_content(tmp_path: Path) -> None:
    for name in ("b/z", "b/a", "a.txt", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a.txt", "b", "c", "b/a", "b/z"]


def test_bytes_are_counted_once_per_inode(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"12345")
    os.link(tmp_path / "one", tmp_path / "two")
    (tmp_path / "link").symlink_to("one")
    (tmp_path / "folder").mkdir()
    found = census.take(str(tmp_path))
    assert (found.file_count, found.plain_bytes, found.skipped_count) == (4, 5, 0)


def test_what_a_volume_takes_up_is_not_what_its_files_say(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "whole").write_bytes(b"x" * (1 << 20))
    os.link(tmp_path / "whole", tmp_path / "again")
    found = census.take(str(tmp_path))
    assert found.plain_bytes == (1 << 40) + (1 << 20)
    assert 1 << 20 <= found.disk_bytes < 2 << 20


def test_what_holds_no_data_is_skipped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = census.take(str(tmp_path))
    assert (found.file_count, found.skipped_count) == (0, 1)


def test_links_are_never_followed(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "root").symlink_to("/")
    assert names(tmp_path) == ["loop", "root"]


def test_only_an_empty_lost_and_found_at_the_root_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "lost+found").mkdir()
    assert names(tmp_path) == ["deep", "deep/lost+found"]
    (tmp_path / "lost+found" / "#1").touch()
    assert "lost+found/#1" in names(tmp_path)


def test_a_file_named_lost_and_found_is_the_agents(tmp_path: Path) -> None:
    (tmp_path / "lost+found").touch()
    assert names(tmp_path) == ["lost+found"]
