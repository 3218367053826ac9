"""A frozen copy of a volume: the VolumeSnapshot, and the claim made from it that a mover reads."""

from moorage.desired.metadata import Manifest
from moorage.model import names
from moorage.model.agent import Agent

SNAPSHOT_API = "snapshot.storage.k8s.io"


def volume_snapshot(agent: Agent, *, attempt_id: str, volume_name: str, snapshot_class: str) -> Manifest:
    """The VolumeSnapshot of the agent's volume."""
    return {
        "apiVersion": f"{SNAPSHOT_API}/v1",
        "kind": "VolumeSnapshot",
        "metadata": _metadata(agent, attempt_id),
        "spec": {"volumeSnapshotClassName": snapshot_class, "source": {"persistentVolumeClaimName": volume_name}},
    }


def claim(agent: Agent, *, attempt_id: str, storage_class: str, size: str) -> Manifest:
    """The claim that holds what the VolumeSnapshot holds; it is filled when the mover's pod needs it."""
    source = {"apiGroup": SNAPSHOT_API, "kind": "VolumeSnapshot", "name": names.frozen_copy(attempt_id)}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(agent, attempt_id),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "dataSource": source,
            "resources": {"requests": {"storage": size}},
        },
    }


def _metadata(agent: Agent, attempt_id: str) -> Manifest:
    # No owner reference, and no label that would make the claim one of the agent's volumes: it belongs to the attempt,
    # whose row outlives it.
    labels = {names.LABEL_MANAGED: "true", names.LABEL_COMPONENT: names.COMPONENT_MOVER}
    labels[names.LABEL_ATTEMPT] = attempt_id
    return {"name": names.frozen_copy(attempt_id), "namespace": agent.metadata.namespace, "labels": labels}
