"""A very slow object store makes a look long; it does not make it end before the object does."""

import pytest

from moorage.services import readback

SLOW_BYTES_PER_SECOND = 1_000_000
PRESIGNED_SECONDS_MAX = 7 * 86_400  # what S3 signs for at most
OBJECT_BYTES_MAX = 70_000_000_000  # ten thousand parts


@pytest.mark.parametrize("size_bytes", [1, 1_000_000_000, 10_000_000_000, OBJECT_BYTES_MAX])
def test_a_store_of_one_megabyte_a_second_is_waited_for(size_bytes: int) -> None:
    assert readback.limit_seconds(size_bytes) > size_bytes / SLOW_BYTES_PER_SECOND


def test_the_largest_object_is_read_before_its_address_can_expire() -> None:
    assert readback.limit_seconds(OBJECT_BYTES_MAX) < PRESIGNED_SECONDS_MAX
