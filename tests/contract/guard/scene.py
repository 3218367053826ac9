"""Objects for the tests of rights and policies: what the operator makes, and what somebody else would like to make."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorage.desired import agent as desired_agent
from moorage.desired import domain as desired_domain
from moorage.desired import mover as desired_mover
from moorage.model.agent import Agent
from moorage.model.domain import AgentRef, Domain, DomainSpec
from moorage.model.metadata import Metadata
from moorage.model.offer import DomainOffer
from tests import factories
from tests.contract.guard.cluster import OURS, Manifest

AGENT: Agent = factories.agent(storage={"size": "1Gi"}, http={"port": 8080}, files={"a.txt": "1"})
DOMAIN = Domain(
    metadata=Metadata(name="shop", namespace=OURS, uid="d1000000-0000-4000-8000-000000000001"),
    spec=DomainSpec(hostname="shop.agents.example", agent_ref=AgentRef(name="helper")),
)
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


def led() -> list[Manifest]:
    """All that the operator makes for a Domain."""
    offer = DomainOffer(zone="agents.example", target="203.0.113.80")
    (route,) = desired_domain.route(DOMAIN, DOMAIN.spec.hostname, agent_port=8080, away=False, offer=offer)
    return [desired_domain.tls_secret(DOMAIN, *pair()), route]


@functools.cache
def pair() -> tuple[str, str]:
    """A certificate and its key, since the server looks whether they fit."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN.spec.hostname)])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    signed = made.serial_number(1).not_valid_before(begun).not_valid_after(begun + timedelta(days=1))
    chain = signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    return chain, key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


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
