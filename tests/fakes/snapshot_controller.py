"""What a CSI driver and its controller do with VolumeSnapshots, one step at a time, on the scripted API server."""

import copy
from dataclasses import dataclass, field
from typing import Any

from moorage.kube import kinds
from tests.fakes.apiserver import ApiServer

DRIVER = "csi.example.com"
PROTECTED = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection"


@dataclass
class SnapshotController:
    """Keeps the driver's copies; `works` is False while it makes none ready."""

    api: ApiServer
    works: bool = True
    policy: str = "Retain"
    copies: set[str] = field(default_factory=set)  # the contents whose bytes the driver keeps
    made: int = 0

    def install(self, *, labelled: bool = True, driver: str = DRIVER) -> None:
        """One storage class of the driver, one of another, and a class for its snapshots."""
        labels = {"moorage.dev/snapshot-class": "true"} if labelled else {}
        for name, provisioner in (("fast", DRIVER), ("local-path", "rancher.io/local-path")):
            self.api.put(kinds.STORAGE_CLASS, {"metadata": {"name": name}, "provisioner": provisioner})
        snapshots = {"metadata": {"name": "frozen", "labels": labels}, "driver": driver, "deletionPolicy": self.policy}
        self.api.put(kinds.VOLUME_SNAPSHOT_CLASS, snapshots)

    def step(self) -> None:
        """Look at every VolumeSnapshot once, as its controller does."""
        for snapshot in list(self.api.of(kinds.VOLUME_SNAPSHOT).values()):
            if snapshot["metadata"].get("deletionTimestamp"):
                self._end(snapshot)
            elif "status" not in snapshot:
                self._bind(copy.deepcopy(snapshot))
            elif self.works and not snapshot["status"]["readyToUse"]:
                status = {**snapshot["status"], "readyToUse": True, "restoreSize": "2Gi"}
                self.api.put(kinds.VOLUME_SNAPSHOT, {**snapshot, "status": status})

    def _bind(self, snapshot: dict[str, Any]) -> None:
        metadata = snapshot["metadata"]
        content = f"snapcontent-{metadata['uid']}"
        spec = {"deletionPolicy": self.policy, "volumeSnapshotRef": {"uid": metadata["uid"]}}
        self.api.put(kinds.VOLUME_SNAPSHOT_CONTENT, {"metadata": {"name": content}, "spec": spec})
        metadata["finalizers"] = [PROTECTED]
        status = {"readyToUse": False, "boundVolumeSnapshotContentName": content}
        self.api.put(kinds.VOLUME_SNAPSHOT, {**snapshot, "status": status})
        self.copies.add(content)
        self.made += 1

    def _end(self, snapshot: dict[str, Any]) -> None:
        metadata = snapshot["metadata"]
        content = self.api.of(kinds.VOLUME_SNAPSHOT_CONTENT).get(("", f"snapcontent-{metadata['uid']}"))
        if content is not None and content["spec"]["deletionPolicy"] == "Delete":
            self.api.remove(kinds.VOLUME_SNAPSHOT_CONTENT, "", content["metadata"]["name"])
            self.copies.discard(content["metadata"]["name"])
        self.api.remove(kinds.VOLUME_SNAPSHOT, metadata["namespace"], metadata["name"])
