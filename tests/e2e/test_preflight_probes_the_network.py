"""`moorage preflight --probe` on the running platform: its pods tell what tenants' pods reach, and leave nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dev import netpol, policies, processes
from tests.e2e.house import House

pytestmark = pytest.mark.cluster

PREFIX = "moorage-preflight-"
PROBE_SECONDS_MAX = 240
OF_THE_NETWORK = ("MOORAGE_EGRESS_DENIED", "MOORAGE_INGRESS_FROM", "MOORAGE_PLATFORM_NAMESPACE", "MOORAGE_MOVER_IMAGE")
BLOCKED = (
    *("the API server", "the node's kubelet", "another agent of the tenant", "a pod of another namespace"),
    "the name service's other ports",
)


def test_the_probe_finds_tenants_kept_apart(house: House) -> None:
    findings = probed(house)
    for egress in ("None", "PublicHttps"):
        assert findings[f"agent ({egress}) → the name service"] == "ok"
        assert findings[f"outside → agent ({egress})"] == "ok"
        assert {findings[f"agent ({egress}) → {target}"] for target in BLOCKED} == {"ok"}
        # Nobody serves metadata here, and there is no Internet: the probe says that it could prove nothing.
        assert findings[f"agent ({egress}) → cloud metadata"] == "warn"
    assert findings["agent (PublicHttps) → the public Internet"] == "warn"
    until_nothing_is_left(house)


def test_the_probe_finds_a_cluster_whose_policies_nobody_enforces(house: House) -> None:
    if house.layout.external:
        pytest.skip("the engine of a foreign cluster is not ours to stop")
    with without_engine(house):
        findings = probed(house)
    assert {findings[f"agent (None) → {target}"] for target in BLOCKED} == {"fail"}
    assert findings["outside → agent (None)"] == "fail"
    until_nothing_is_left(house)


def probed(house: House) -> dict[str, str]:
    """Outcome by check."""
    around = {name: text for name, text in house.settings.items() if name in OF_THE_NETWORK}
    done = house.moorage("preflight", "--probe", "--json", env=around, seconds=PROBE_SECONDS_MAX)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    # Some checks say several things: from the source tree, for example, nobody needs the chart's Secrets.
    assert done.returncode == int(any(item["outcome"] == "fail" for item in found))
    return {item["check"]: item["outcome"] for item in found}


@contextmanager
def without_engine(house: House) -> Iterator[None]:
    """Let nobody enforce policies for a while."""
    processes.stop(house.layout, "netpol")
    processes.run([*processes.enter(house.layout), "nft", "delete", "table", "inet", policies.TABLE])
    try:
        yield
    finally:
        netpol.start(house.layout)


def until_nothing_is_left(house: House) -> None:
    """Wait until the probe's namespaces are gone."""
    for name in [item["metadata"]["name"] for item in house.cluster.find_all("namespaces")]:
        if name.startswith(PREFIX):
            house.cluster.until_gone("namespaces", "", name=name, seconds=60)
