"""The fake node beside the real one: its pods are Ready at once and cost nothing, so that what is left is ours."""

import json
from pathlib import Path

from dev import cluster, processes, toolchain
from dev.layout import Layout

NAME = "fake"
SELECTOR = {"moorage-bench": "fake"}
TOLERATIONS = [{"key": "moorage-bench", "operator": "Exists", "effect": "NoSchedule"}]
CAPACITY = {"cpu": "1k", "memory": "1Ti", "pods": "1M"}
# Outside the real pods' range; nothing ever talks to these addresses.
POD_RANGE = "10.79.0.0/16"
STAGES = Path(__file__).with_name("stages.yaml")


def start(layout: Layout) -> None:
    """Start kwok on the node's network, and the node it plays, until that is Ready."""
    argv = [str(toolchain.program(layout, "kwok")), f"--kubeconfig={layout.kubeconfig_inside}", f"--config={STAGES}"]
    argv += ["--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake"]
    argv += ["--server-address=127.0.0.1:10247", f"--cidr={POD_RANGE}", "-v=WARN"]
    cluster.kubectl(layout, "apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(_node()))
    processes.start(layout, "kwok", argv, inside=True)
    processes.wait(layout, "kwok", lambda: _ready(layout), seconds=60, what="the fake node's readiness")


def _node() -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NAME, "labels": SELECTOR, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": [{"key": "moorage-bench", "value": "fake", "effect": "NoSchedule"}]},
        "status": {"capacity": CAPACITY, "allocatable": CAPACITY},
    }


def _ready(layout: Layout) -> bool:
    template = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return cluster.kubectl(layout, "get", "node", NAME, "--ignore-not-found", "-o", template) == "True"
