"""Metadata of the objects we own: labels, owner references and the hash of a spec."""

import hashlib
from typing import Any

import msgspec

from moorage.model import names
from moorage.model.agent import Agent
from moorage.model.metadata import Metadata
from moorage.model.namespace import TenantNamespace

Manifest = dict[str, Any]  # JSON leaves this package for the API server; nothing of ours reads it back

HASH_LENGTH = 16


def agent_labels(agent: Agent, component: str) -> dict[str, str]:
    """Labels of everything that belongs to one agent; selectors use the UID, which no tenant can choose."""
    return {
        names.LABEL_MANAGED: "true",
        names.LABEL_COMPONENT: component,
        names.LABEL_AGENT: agent.metadata.name,
        names.LABEL_AGENT_UID: agent.metadata.uid,
    }


def tenant_labels(tenant: TenantNamespace) -> dict[str, str]:
    """Labels of everything that belongs to one tenant."""
    return {names.LABEL_MANAGED: "true", names.LABEL_TENANT: tenant.metadata.name}


def of_tenant(tenant: TenantNamespace, name: str) -> Manifest:
    """Metadata of an object in a tenant's core namespace."""
    return {
        "name": name,
        "namespace": names.core_namespace(tenant.metadata.name),
        "labels": tenant_labels(tenant),
        "ownerReferences": owned_by("Namespace", tenant.metadata),
    }


def owned_by(kind: str, owner: Metadata) -> list[dict[str, Any]]:
    """The owner reference that lets the cluster collect what one of our objects leaves behind.

    It does not block the owner's deletion: our finalizer does that. Never give it to anything that holds data: with
    `kubectl delete --cascade=foreground` the garbage collector deletes dependents at once, whatever finalizer the
    owner carries (tried on a real cluster: the claim was gone before a snapshot could be taken).
    """
    return [
        {
            "apiVersion": names.API_VERSION,
            "kind": kind,
            "name": owner.name,
            "uid": owner.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]


def digest(value: Any) -> str:
    """A short hash of a JSON value that does not depend on the order of its keys."""
    canonical = msgspec.json.encode(value, order="sorted")
    return hashlib.sha256(canonical).hexdigest()[:HASH_LENGTH]
