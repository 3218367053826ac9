"""One server for all tests of rights and policies; apart from the others', which nobody guards."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.layout import Layout
from tests.contract.control_plane import ControlPlane
from tests.contract.guard.cluster import Guarded

# Ways into a pod for credentials that clusters may have switched on.
YOUNG_KINDS = (
    "--feature-gates=ClusterTrustBundle=true,ClusterTrustBundleProjection=true,PodCertificateRequest=true",
    "--runtime-config=certificates.k8s.io/v1beta1=true",
)


@pytest.fixture(scope="package")
def guarded() -> Iterator[Guarded]:
    """A server with the chart's rights and policies, and two tenants."""
    programs = Path(os.environ.get("MOORAGE_TEST_BIN") or Layout.current().bin)
    with tempfile.TemporaryDirectory(prefix="moorage-guard-") as folder:
        plane = ControlPlane(programs, Path(folder), *YOUNG_KINDS)
        try:
            found = Guarded(plane.start())
            found.set_up()
            yield found
        finally:
            plane.stop()
