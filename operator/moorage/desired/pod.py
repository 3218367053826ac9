"""The hardened baseline that every pod of the platform goes through."""

from typing import Any

from moorage.desired.metadata import Manifest
from moorage.model.errors import Permanent
from moorage.model.offer import Platform
from moorage.model.reasons import Reason

USER_ID = 10001
STOP_GRACE_SECONDS = 10
TMP_SIZE_LIMIT = "256Mi"

# A silent node must never cost an agent its pod: what runs there keeps running and is adopted when the node is back.
# Without these two, the API server adds the same tolerations with a limit of 300 s.
NODE_SILENCE_TOLERATIONS: tuple[Manifest, ...] = tuple(
    {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute"}
    for taint in ("not-ready", "unreachable")
)


def spec(
    container: Manifest,
    volumes: list[Manifest],
    platform: Platform,
    *,
    restart_policy: str,
    stop_seconds: int = STOP_GRACE_SECONDS,
    before: Manifest | None = None,
    **extra: Any,
) -> Manifest:
    """A pod spec with one container under the complete `restricted` profile, and one that has to end `before` it.

    `extra` adds fields, the baseline wins.
    """
    hardened: Manifest = {
        "restartPolicy": restart_policy,
        "terminationGracePeriodSeconds": stop_seconds,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [*NODE_SILENCE_TOLERATIONS, *platform.tolerations],
        "containers": [_container(container)],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE_LIMIT}}, *volumes],
    }
    if before is not None:
        hardened["initContainers"] = [_container(before)]
    if platform.node_selector:
        hardened["nodeSelector"] = dict(platform.node_selector)
    return extra | hardened | sandbox(platform)


def sandbox(platform: Platform) -> Manifest:
    """What stands between the pod and its node; raises Permanent when a sandbox is asked for and there is none."""
    if platform.sandboxed:
        if platform.sandbox_runtime_class is None:
            raise Permanent(Reason.SANDBOX_UNAVAILABLE)
        # Not both: a runtime with a kernel of its own need not know the node's users.
        return {"runtimeClassName": platform.sandbox_runtime_class}
    return {"hostUsers": False} if platform.user_namespaces else {}


def _container(container: Manifest) -> Manifest:
    return {
        **container,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *container.get("volumeMounts", [])],  # noqa: S108 (in the pod)
    }
