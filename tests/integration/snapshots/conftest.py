"""Real parts for snapshot tests: PostgreSQL, an S3 server, the API over TLS, movers as processes of their own."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.snapshots.world import ROOT, World, open_world
from tests.store_server import VersityGateway


@pytest.fixture(scope="session")
def gateway_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="moorage-store-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def object_store_server(gateway_folder: Path) -> Iterator[VersityGateway]:
    server = VersityGateway(gateway_folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def object_store(object_store_server: VersityGateway) -> Iterator[VersityGateway]:
    """The server, up again for the next test whatever this one did to it."""
    yield object_store_server
    if not object_store_server.running:
        object_store_server.start()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that a mover without rights can reach; pytest's own are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="moorage-volumes-"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
async def world(
    anyio_backend: str, database_url: str, object_store: VersityGateway, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "operator"), str(ROOT)]))  # for the verifier
    async with open_world(database_url, object_store, scratch) as opened:
        yield opened
