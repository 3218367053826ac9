"""Objects for the tests of rights and policies: what the operator makes, and what somebody else would like to make."""

from typing import Any

from moorage.desired import agent as desired_agent
from moorage.desired import mover as desired_mover
from moorage.model.agent import Agent
from tests import factories
from tests.contract.guard.cluster import OURS, Manifest

AGENT: Agent = factories.agent(storage={"size": "1Gi"}, http={"port": 8080}, files={"a.txt": "1"})
BAD_LABEL = {"moorage.dev/managed": "true"}
SECURED = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER = {
    "name": "c",
    "image": "localhost/none",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "resources": {name: {"cpu": "10m", "memory": "16Mi"} for name in ("requests", "limits")},
}


def children() -> list[Manifest]:
    """All that the operator makes for an agent."""
    return desired_agent.children(
        AGENT, volume_generation=1, incarnation=1, platform=factories.platform(), with_pod=True
    )


def mover() -> Manifest:
    """A mover's Job."""
    return desired_mover.capture_job(
        AGENT, attempt_id=factories.ATTEMPT_ID, volume_name="data-helper-1", limit_seconds=60,
        platform=factories.platform(),
    )  # fmt: skip


def mover_pod() -> Manifest:
    """The pod that the Job controller makes of it."""
    template = mover()["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": mover()["metadata"]["name"], "controller": True}
    metadata = {
        **template["metadata"],
        "name": f"{mover()['metadata']['name']}-x2x4z",
        "namespace": OURS,
        "ownerReferences": [{**owner, "uid": factories.ATTEMPT_ID}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def pod(name: str = "bare", **spec: Any) -> Manifest:
    """A pod that is good enough for the restricted profile."""
    wanted = {"automountServiceAccountToken": False, "securityContext": SECURED, "containers": [CONTAINER], **spec}
    return made("v1", "Pod", name, spec=wanted)


def made(version: str, kind: str, name: str = "x", *, namespace: str | None = OURS, **parts: Any) -> Manifest:
    """Any object, with or without a namespace."""
    metadata: Manifest = {"name": name, **parts.pop("metadata", {})}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


def binding(role: str, user: str, *, kind: str = "RoleBinding") -> Manifest:
    """A role for one person: in the core namespace, or everywhere."""
    group = "rbac.authorization.k8s.io"
    found = made(f"{group}/v1", kind, f"{role}-{user}", namespace=OURS if kind == "RoleBinding" else None)
    found["roleRef"] = {"apiGroup": group, "kind": "ClusterRole", "name": role}
    return found | {"subjects": [{"apiGroup": group, "kind": "User", "name": user}]}


def agent(**metadata: Any) -> Manifest:
    """An Agent as its tenant writes it."""
    return made(
        "moorage.dev/v1alpha1", "Agent", "helper", metadata=metadata, spec={"runtime": "chatbot", "size": "small"}
    )


def workload(kind: str) -> Manifest:
    """Something that makes pods."""
    labels = {"app": "x"}
    template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
    if kind == "CronJob":
        jobs = {"template": {"spec": {**template["spec"], "restartPolicy": "Never"}}}
        return made("batch/v1", kind, spec={"schedule": "0 0 * * *", "jobTemplate": {"spec": jobs}})
    if kind == "Job":
        return made("batch/v1", kind, spec={"template": {"spec": {**template["spec"], "restartPolicy": "Never"}}})
    if kind == "ReplicationController":
        return made("v1", kind, spec={"selector": labels, "template": template})
    return made("apps/v1", kind, spec={"selector": {"matchLabels": labels}, "template": template})
