"""What is restored is on the disk before anybody counts on it, and a flush that failed is not forgotten."""

from pathlib import Path

import pytest

from moorage.model.snapshots import Failure
from moorage.mover.failures import MoverFailure
from moorage.mover.restore import FLUSH_BYTES, Disk


def test_a_flush_that_failed_on_the_way_fails_the_restore(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    disk = Disk(str(volume))
    disk.wrote(FLUSH_BYTES)  # begins a flush of what is not there
    assert disk._flush is not None
    disk._flush.wait()
    volume.mkdir()  # the last flush would succeed
    with pytest.raises(MoverFailure) as raised:
        disk.settle()
    assert raised.value.failure is Failure.EXTRACT_FAILED


def test_less_than_a_flush_waits_for_the_end(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path))
    disk.wrote(FLUSH_BYTES - 1)
    assert disk._flush is None
    disk.settle()
