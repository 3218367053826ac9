"""Folders for a moment leave nothing behind, whatever was put into them and whoever was killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from moorage.model.errors import Unavailable
from moorage.services.scratch import PREFIX, Scratch

pytestmark = pytest.mark.anyio

MIB = 1 << 20
LEAVE_ONE = f"""
import asyncio, os, sys
from pathlib import Path
from moorage.services.scratch import Scratch

async def main() -> None:
    async with Scratch(Path(sys.argv[1]), {MIB}).folder(1) as folder:
        (folder / "data").touch()
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


async def test_a_folder_is_empty_and_gone_afterwards(tmp_path: Path) -> None:
    async with Scratch(tmp_path, MIB).folder(1) as folder:
        assert os.listdir(folder) == []  # noqa: PTH208 - as names
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - as names


async def test_closed_and_deep_folders_go_too(tmp_path: Path) -> None:
    async with Scratch(tmp_path, MIB).folder(1) as folder:
        (folder / "closed" / "inner").mkdir(parents=True)
        (folder / "closed").chmod(0o500)
        deep = os.open(folder, os.O_RDONLY)
        for _ in range(3_000):  # beyond Python's recursion and the longest path
            os.mkdir("d", dir_fd=deep)
            below = os.open("d", os.O_RDONLY, dir_fd=deep)
            os.close(deep)
            deep = below
        os.close(deep)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - as names


def left_by_a_killed_run(home: Path) -> Path:
    killed = subprocess.run([sys.executable, "-c", LEAVE_ONE, home], check=False)
    assert killed.returncode == -9
    (left,) = home.glob(f"{PREFIX}*")
    return left


async def test_what_a_killed_run_has_left_goes_and_what_another_uses_stays(tmp_path: Path) -> None:
    left = left_by_a_killed_run(tmp_path)
    (tmp_path / "somebody else's").touch()
    scratch = Scratch(tmp_path, MIB)
    async with scratch.folder(1) as mine:
        assert not left.exists()
        async with scratch.folder(1) as other:
            assert mine.exists()
            assert other.exists()
    assert os.listdir(tmp_path) == ["somebody else's"]  # noqa: PTH208 - as names


async def test_no_room_and_no_folder_are_answers(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="room"):
        async with Scratch(tmp_path, 1 << 62).folder(1 << 60):
            pass
    with pytest.raises(Unavailable, match="cannot be used"):
        async with Scratch(tmp_path / "absent", MIB).folder(1):
            pass
