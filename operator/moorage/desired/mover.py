"""The mover's Jobs: one attempt to write a snapshot of a volume, or to restore one."""

from moorage.desired import metadata, pod
from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.agent import Agent
from moorage.model.offer import Platform

CONTAINER = "mover"
DATA_PATH = "/data"
TOKEN_FOLDER = "/var/run/moorage"  # noqa: S105 (a folder, not a password)
TOKEN_SECONDS = 600
KEPT_SECONDS = 600
CPU_REQUEST, CPU_LIMIT = "100m", "1"
MEMORY_REQUEST, MEMORY_LIMIT = "64Mi", "256Mi"
# Its log and /tmp; the request is zero for the reason that agents have.
EPHEMERAL_REQUEST, EPHEMERAL_LIMIT_MIB = "0", 512


def capture_job(agent: Agent, *, attempt_id: str, volume_name: str, limit_seconds: int, platform: Platform) -> Manifest:
    """The Job that reads the volume, and cannot write it, into a new snapshot."""
    spec = _pod_spec("capture", attempt_id, volume_name, limit_seconds, platform)
    return _job(agent, attempt_id, limit_seconds, spec)


def restore_job(agent: Agent, *, attempt_id: str, volume_name: str, limit_seconds: int, platform: Platform) -> Manifest:
    """The Job that fills a new, empty volume from a snapshot."""
    spec = _pod_spec("restore", attempt_id, volume_name, limit_seconds, platform)
    return _job(agent, attempt_id, limit_seconds, spec)


def _job(agent: Agent, attempt_id: str, limit_seconds: int, pod_spec: Manifest) -> Manifest:
    labels = metadata.agent_labels(agent, names.COMPONENT_MOVER) | {names.LABEL_ATTEMPT: attempt_id}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.mover_job(attempt_id),
            "namespace": agent.metadata.namespace,
            "labels": labels,
            "ownerReferences": metadata.owned_by("Agent", agent.metadata),
        },
        "spec": {
            # One Job is one attempt: a retry has its own attempt, data key and object.
            "backoffLimit": 0,
            "activeDeadlineSeconds": limit_seconds,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod_spec},
        },
    }


def _pod_spec(verb: str, attempt_id: str, volume_name: str, limit_seconds: int, platform: Platform) -> Manifest:
    read_only = verb == "capture"
    claim: Manifest = {"claimName": volume_name}
    data_mount: Manifest = {"name": "data", "mountPath": DATA_PATH}
    if read_only:
        claim["readOnly"] = True
        data_mount["readOnly"] = True
    container: Manifest = {
        "name": CONTAINER,
        "image": platform.mover.image,
        "command": ["python", "-m", "moorage", "mover", verb],
        # Nothing secret: the data key and the addresses of the object come over TLS against the pod's own token.
        "env": [
            {"name": "MOORAGE_MOVER_API_URL", "value": platform.mover.api_url},
            {"name": "MOORAGE_MOVER_API_CA", "value": platform.mover.api_ca_pem},
            {"name": "MOORAGE_MOVER_ATTEMPT", "value": attempt_id},
        ],
        "resources": {
            "requests": {"cpu": CPU_REQUEST, "memory": MEMORY_REQUEST, "ephemeral-storage": EPHEMERAL_REQUEST},
            "limits": {
                "cpu": CPU_LIMIT,
                "memory": MEMORY_LIMIT,
                "ephemeral-storage": f"{EPHEMERAL_LIMIT_MIB}Mi",
            },
        },
        "volumeMounts": [data_mount, {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True}],
    }
    token = {"audience": names.MOVER_AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token"}
    volumes: list[Manifest] = [
        {"name": "data", "persistentVolumeClaim": claim},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
    ]
    return pod.spec(
        container,
        volumes,
        platform,
        restart_policy="Never",
        serviceAccountName=names.MOVER_SERVICE_ACCOUNT,
        # On the pod as well as on the Job: a pod with a deadline counts against the movers' quota, not the agents'.
        activeDeadlineSeconds=limit_seconds,
    )
