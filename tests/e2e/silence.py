"""A node that falls silent: its kubelet is stopped, and its containers run on."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from dev import node, processes
from tests.e2e.house import House

# The control plane waits 50 s before it believes that a node is silent.
NOTICED_SECONDS_MAX = 120.0
PROOF_SECONDS_MAX = 120.0


@contextlib.contextmanager
def silent_node(house: House) -> Iterator[None]:
    """Stop the kubelet; it runs again afterwards, whatever happened meanwhile."""
    processes.stop(house.layout, "kubelet", grace_seconds=0)
    try:
        yield
    finally:
        if not processes.alive(house.layout, "kubelet"):
            node.start_kubelet(house.layout)
        house.cluster.until_one("nodes", "", house.layout.node_name, is_ready, "the node's return", seconds=120.0)


def until_burn(house: House, pod_uid: str, *, burns: bool) -> None:
    """Wait until the ledger counts the pod's run as proven, or has noticed the silence and no longer does."""
    deadline = time.monotonic() + PROOF_SECONDS_MAX
    while house.row("SELECT in_burn FROM money.run WHERE pod_uid = $1::text::uuid", pod_uid)["in_burn"] is not burns:
        assert time.monotonic() < deadline, f"the run of the pod still burns: {not burns}"
        time.sleep(0.5)


def is_ready(item: dict[str, Any]) -> bool:
    """Whether a node says so."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in item["status"]["conditions"])
