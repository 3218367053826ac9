"""Names that people see and type."""

import pytest

from moorage.model import names
from moorage.model.names import SnapshotId

ID = SnapshotId("d0000000-0000-4000-8000-000000000001")


def test_a_snapshot_is_named_by_its_digits_and_found_by_its_name() -> None:
    assert names.snapshot_name(ID) == "snp_d0000000000040008000000000000001"
    assert names.snapshot_id(names.snapshot_name(ID)) == ID


@pytest.mark.parametrize(
    "name", ["", "snp_", ID, f"snp_{ID}", f"snp_{'G' * 32}", f"snp_{'a' * 33}", f"snp_{'a' * 32}\n"]
)
def test_what_is_not_a_name_names_no_snapshot(name: str) -> None:
    assert names.snapshot_id(name) is None
