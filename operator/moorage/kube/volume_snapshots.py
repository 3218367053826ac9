"""VolumeSnapshots of CSI drivers, where a cluster has them: which storage can be frozen, and each single one."""

from collections.abc import Mapping
from typing import Any

import msgspec

from moorage.kube import failures, kinds
from moorage.kube.client import Client
from moorage.kube.kinds import Kind
from moorage.model.names import LABEL_SNAPSHOT_CLASS

SELECTOR = f"{LABEL_SNAPSHOT_CLASS}=true"


class _Named(msgspec.Struct, frozen=True):
    name: str
    uid: str = ""


class _Any(msgspec.Struct, frozen=True):
    metadata: _Named


class _StorageClass(msgspec.Struct, frozen=True):
    metadata: _Named
    provisioner: str


class _SnapshotClass(msgspec.Struct, frozen=True):
    metadata: _Named
    driver: str


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    ready_to_use: bool | None = None
    restore_size: str | None = None
    bound_volume_snapshot_content_name: str | None = None


class VolumeSnapshot(msgspec.Struct, frozen=True):
    """A VolumeSnapshot, of which only its state is read."""

    metadata: _Named
    status: _Status | None = None

    @property
    def ready(self) -> bool:
        """Whether it holds the volume as it was, whatever is written from now on."""
        return self.status is not None and self.status.ready_to_use is True

    @property
    def size(self) -> str | None:
        """The smallest claim that can hold it, a quantity; None when the driver does not say."""
        return self.status.restore_size if self.status is not None else None

    @property
    def content(self) -> str:
        """The object that stands for the driver's side of it; before it is bound, by the name it will have."""
        bound = self.status.bound_volume_snapshot_content_name if self.status is not None else None
        return bound or f"snapcontent-{self.metadata.uid}"


async def classes(client: Client) -> dict[str, str]:
    """Per StorageClass the VolumeSnapshotClass that the platform has labelled for its driver; empty without any.

    A cluster without the API, and one that does not let us look, has none.
    """
    try:
        found, _ = await client.list(
            kinds.collection_path(kinds.VOLUME_SNAPSHOT_CLASS), _SnapshotClass, label_selector=SELECTOR
        )
        storage, _ = await client.list(kinds.collection_path(kinds.STORAGE_CLASS), _StorageClass)
    except (failures.Missing, failures.Forbidden):
        return {}
    by_driver = {item.driver: item.metadata.name for item in sorted(found, key=lambda item: item.metadata.name)}
    return {item.metadata.name: by_driver[item.provisioner] for item in storage if item.provisioner in by_driver}


async def make(client: Client, kind: Kind, manifest: Mapping[str, Any]) -> None:
    """Create an object whose name is its attempt's own; one that is there already is the one that was wanted."""
    try:
        await client.create(kinds.collection_path(kind, manifest["metadata"]["namespace"]), manifest)
    except failures.Conflict:
        if await client.read(kinds.path_of(manifest)) is None:
            raise


async def find(client: Client, namespace: str, name: str) -> VolumeSnapshot | None:
    """One VolumeSnapshot; None when it does not exist."""
    return await client.get(kinds.object_path(kinds.VOLUME_SNAPSHOT, namespace, name), VolumeSnapshot)


async def remove(client: Client, namespace: str, name: str) -> bool:
    """Ask for the end of a VolumeSnapshot, the driver's side included; True when it is gone."""
    found = await find(client, namespace, name)
    if found is None:
        return True
    # Its class may say Retain, so that nobody else's deletion takes the copy away. Ours means it.
    content = kinds.object_path(kinds.VOLUME_SNAPSHOT_CONTENT, "", found.content)
    ops = (
        {"op": "test", "path": "/spec/volumeSnapshotRef/uid", "value": found.metadata.uid},
        {"op": "replace", "path": "/spec/deletionPolicy", "value": "Delete"},
    )
    await client.json_patch(content, ops)
    await client.delete(kinds.object_path(kinds.VOLUME_SNAPSHOT, namespace, name), uid=found.metadata.uid)
    return False


async def remove_claim(client: Client, namespace: str, name: str) -> bool:
    """Ask for the end of the claim made from a VolumeSnapshot; True when it is gone."""
    path = kinds.object_path(kinds.PERSISTENT_VOLUME_CLAIM, namespace, name)
    found = await client.get(path, _Any)
    if found is not None:
        await client.delete(path, uid=found.metadata.uid)
    return found is None
