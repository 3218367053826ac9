"""What should exist for one tenant: its core namespace with rights, policies, quota and the mover's identity."""

from moorage.desired import metadata, mover, network, waiting
from moorage.desired.agent import EPHEMERAL_LIMIT_MIB
from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.namespace import TenantNamespace
from moorage.model.offer import Platform

OBJECTS_QUOTA = "moorage-objects"
AGENTS_QUOTA = "moorage-agents"
MOVERS_QUOTA = "moorage-movers"
# Room to save the data of agents even when somebody has lowered the number of agents to zero.
MOVERS_SPARE = 2
# What one could flood the API server's store with. Suspended agents keep what is theirs, so there is room for many more
# than may run at once.
COUNTED = ("persistentvolumeclaims", "services", "secrets", "configmaps", "count/jobs.batch")
OBJECTS_MIN = 100
OBJECTS_PER_AGENT = 10


def children(tenant: TenantNamespace, platform: Platform, *, waiting_address: str | None = None) -> list[Manifest]:
    """Everything that should exist for this tenant, in the order in which it is to be applied.

    `waiting_address` is that of the platform's waiting page; None: there is none, or nobody knows it yet.
    """
    return [
        _core_namespace(tenant),
        _work(tenant, platform),
        *network.policies(tenant, platform),
        *_quotas(tenant),
        _mover_account(tenant),
        *(waiting.place(tenant, waiting_address) if waiting_address else ()),
    ]


def _core_namespace(tenant: TenantNamespace) -> Manifest:
    # No owner reference: a foreground deletion of the tenant would take every volume with it, past our finalizer
    # (see metadata.owned_by). Whose it is, says its label: the uid is known to nobody before the tenant exists, so
    # a namespace that somebody made in advance under this name is never taken for ours.
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
            "labels": metadata.tenant_labels(tenant) | {names.LABEL_TENANT_UID: tenant.metadata.uid} | security,
        },
    }


def _work(tenant: TenantNamespace, platform: Platform) -> Manifest:
    """What lets the operator write here and nowhere else: first of all, because all that follows needs it."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata.of_tenant(tenant, names.TENANT_WORK),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": names.TENANT_WORK},
        "subjects": [
            {
                "kind": "ServiceAccount",
                "name": names.OPERATOR_SERVICE_ACCOUNT,
                "namespace": platform.network.platform_namespace,
            }
        ],
    }


def _quotas(tenant: TenantNamespace) -> list[Manifest]:
    """Three quotas: agents' pods; movers' pods, so that a snapshot never waits for an agent's share; everything else.

    A pod with a deadline is `Terminating` in the words of the quota API, which only movers have. Disk beside the
    volumes cannot be scoped so, and is counted for both together. Not used: `count/agents.moorage.dev`. The quota
    controller learns of a new kind only in its full resync, and refuses every Agent until then (tried on a real
    cluster: for 286 s after the kinds were installed).
    """
    quota = tenant.spec.quota
    agent_pods = {
        "pods": str(quota.agents),
        "requests.cpu": quota.cpu,
        "limits.cpu": quota.cpu,
        "requests.memory": quota.memory,
        "limits.memory": quota.memory,
    }
    movers = quota.agents + MOVERS_SPARE
    ephemeral_mib = quota.agents * EPHEMERAL_LIMIT_MIB + movers * mover.EPHEMERAL_LIMIT_MIB
    objects = str(OBJECTS_MIN + OBJECTS_PER_AGENT * quota.agents)
    rest = {
        "requests.storage": quota.storage,
        "limits.ephemeral-storage": f"{ephemeral_mib}Mi",
        **dict.fromkeys(COUNTED, objects),
        # Nothing of a tenant has a door of its own to the outside.
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    return [
        _quota(tenant, OBJECTS_QUOTA, rest, scopes=[]),
        _quota(tenant, AGENTS_QUOTA, agent_pods, scopes=["NotTerminating"]),
        _quota(tenant, MOVERS_QUOTA, {"pods": str(movers)}, scopes=["Terminating"]),
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
