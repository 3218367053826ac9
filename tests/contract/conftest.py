"""Fixtures of the contract tests: a real API server, started for them."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.layout import Layout
from tests.contract.control_plane import ControlPlane


@pytest.fixture(scope="session")
def bare_kubeconfig() -> Iterator[str]:
    """A server just for these tests: no policy refuses what a test makes, and nobody takes it away."""
    with plane() as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="module")
def lone_kubeconfig() -> Iterator[str]:
    """A server that no other module has put anything into."""
    with plane() as kubeconfig:
        yield kubeconfig


@contextlib.contextmanager
def plane() -> Iterator[str]:
    """Start a server, and give a kubeconfig with all rights on it."""
    layout = Layout.current()
    programs = Path(os.environ.get("MOORAGE_TEST_BIN") or layout.bin)
    if shutil.which("kube-apiserver", path=str(programs)) is None:
        reason = "there is no kube-apiserver to start; `make up` builds one"
        pytest.skip(reason) if layout.external else pytest.fail(reason)
    with tempfile.TemporaryDirectory(prefix="moorage-contract-") as folder:
        plane = ControlPlane(programs, Path(folder))
        try:
            yield plane.start()
        finally:
            plane.stop()
