"""The preflight says in one sentence what is missing, before anything is changed."""

import os
from pathlib import Path

import pytest

from dev import preflight
from dev.trouble import Trouble


def test_packages_whose_program_is_missing_are_named(tmp_path: Path) -> None:
    for program in preflight.PACKAGES.values():
        (tmp_path / program).touch(mode=0o755)
    assert preflight.missing_packages(str(tmp_path)) == []

    (tmp_path / "nft").unlink()
    (tmp_path / "zstd").unlink()
    assert preflight.missing_packages(str(tmp_path)) == ["nftables", "zstd"]


def test_without_root_rights_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(Trouble, match="Run it as root"):
        preflight.check_rights()


def test_a_full_disk_is_named_with_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"Free 1000000 GiB at .*: only \d+\.\d GiB are left"):
        preflight.check_space(tmp_path / "not" / "there" / "yet", 1_000_000)


def test_enough_room_is_no_trouble(tmp_path: Path) -> None:
    preflight.check_space(tmp_path, 0)
