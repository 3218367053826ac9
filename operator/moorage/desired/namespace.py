"""What should exist for one tenant: its core namespace with quota, policies and the mover's identity."""

from moorage.desired import metadata, network
from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.namespace import TenantNamespace
from moorage.model.offer import Platform

STORAGE_QUOTA = "moorage-storage"
AGENTS_QUOTA = "moorage-agents"
MOVERS_QUOTA = "moorage-movers"
# Room to save the data of agents even when somebody has lowered the number of agents to zero.
MOVERS_SPARE = 2


def children(tenant: TenantNamespace, platform: Platform) -> list[Manifest]:
    """Everything that should exist for this tenant, in the order in which it is to be applied."""
    return [
        _core_namespace(tenant),
        *network.policies(tenant, platform),
        *_quotas(tenant),
        _mover_account(tenant),
    ]


def _core_namespace(tenant: TenantNamespace) -> Manifest:
    # No owner reference: a foreground deletion of the tenant would take every volume with it, past our finalizer
    # (see metadata.owned_by). Whose it is, says its label.
    security = {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", "restricted"), ("-version", "latest"))
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": names.core_namespace(tenant.metadata.name),
            "labels": metadata.tenant_labels(tenant) | security,
        },
    }


def _quotas(tenant: TenantNamespace) -> list[Manifest]:
    """Three quotas: storage; agents' pods; movers' pods, so that a snapshot never waits for an agent's share.

    A pod with a deadline is `Terminating` in the words of the quota API, which only movers have. Not used:
    `count/agents.moorage.dev`. The quota controller learns of a new kind only in its full resync, and refuses every
    Agent until then (tried on a real cluster: for 286 s after the kinds were installed).
    """
    quota = tenant.spec.quota
    agent_pods = {
        "pods": str(quota.agents),
        "requests.cpu": quota.cpu,
        "limits.cpu": quota.cpu,
        "requests.memory": quota.memory,
        "limits.memory": quota.memory,
    }
    return [
        _quota(tenant, STORAGE_QUOTA, {"requests.storage": quota.storage}, scopes=[]),
        _quota(tenant, AGENTS_QUOTA, agent_pods, scopes=["NotTerminating"]),
        _quota(tenant, MOVERS_QUOTA, {"pods": str(quota.agents + MOVERS_SPARE)}, scopes=["Terminating"]),
    ]


def _quota(tenant: TenantNamespace, name: str, hard: Manifest, *, scopes: list[str]) -> Manifest:
    spec: Manifest = {"hard": hard}
    if scopes:
        spec["scopes"] = scopes
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata.of_tenant(tenant, name),
        "spec": spec,
    }


def _mover_account(tenant: TenantNamespace) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata.of_tenant(tenant, names.MOVER_SERVICE_ACCOUNT),
        "automountServiceAccountToken": False,
    }
