"""The real parts of the drill are those of the snapshot tests, and two servers of PostgreSQL of its own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.snapshots.conftest import gateway_folder, object_store, object_store_server, scratch

__all__ = ["gateway_folder", "object_store", "object_store_server", "scratch"]


@pytest.fixture
def servers() -> Iterator[Path]:
    """A folder that the servers' unprivileged user can enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="moorage-drill-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
