"""Only a pipeline that ended well has packed a whole volume."""

import io

import pytest

from moorage.model.snapshots import Failure
from moorage.mover import capture
from moorage.mover.failures import MoverFailure

ENDINGS = {
    "tar saw a file change": ((1, 0), Failure.VOLUME_CHANGED),
    "tar could not read a file": ((2, 0), Failure.VOLUME_UNREADABLE),
    "tar was killed": ((-9, 0), Failure.VOLUME_UNREADABLE),
    "zstd was killed": ((0, -9), Failure.MOVER_FAILED),
    "both failed": ((2, 1), Failure.VOLUME_UNREADABLE),
}


def feed(failure: Failure | None = None) -> capture.NameFeed:
    made = capture.NameFeed("/", io.BytesIO())
    made.failure = None if failure is None else MoverFailure(failure)
    return made


@pytest.mark.parametrize(("exit_codes", "failure"), list(ENDINGS.values()), ids=list(ENDINGS))
def test_a_capture_fails_when(exit_codes: tuple[int, int], failure: Failure) -> None:
    with pytest.raises(MoverFailure) as caught:
        capture._require_success(exit_codes, feed())
    assert caught.value.failure is failure


def test_a_capture_fails_when_the_walk_failed_even_if_tar_was_content() -> None:
    with pytest.raises(MoverFailure) as caught:
        capture._require_success((0, 0), feed(Failure.VOLUME_UNREADABLE))
    assert caught.value.failure is Failure.VOLUME_UNREADABLE


def test_a_capture_succeeds_when_walk_and_programs_ended_well() -> None:
    capture._require_success((0, 0), feed())
