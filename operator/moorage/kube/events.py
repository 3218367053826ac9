"""Events of our objects: one per object and reason, counted up in place whoever leads."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from moorage.kube import failures, kinds
from moorage.kube.client import Client
from moorage.kube.kinds import Kind
from moorage.kube.objects import Identity
from moorage.model.messages import MESSAGES
from moorage.model.metadata import Metadata
from moorage.model.names import FIELD_MANAGER
from moorage.model.reasons import Reason

CONTROLLER = "moorage.dev/operator"
ACTION = "Reconcile"
# Where the API server wants Events of objects without a namespace.
CLUSTER_NAMESPACE = "default"
NAME_MAX = 200  # of 253: a dot and the digest follow


@dataclass(frozen=True, slots=True)
class About:
    """What an Event is about."""

    kind: Kind
    metadata: Metadata
    reason: Reason
    warning: bool


class _Series(msgspec.Struct, frozen=True, rename="camel"):
    count: int = 1


class _Event(msgspec.Struct, frozen=True):
    metadata: Identity
    series: _Series | None = None


class Events:
    """Writes; the text is the reason's own, nothing else ever gets in."""

    def __init__(
        self, client: Client, instance: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._client = client
        self._instance = instance[:128]
        self._now = now

    async def write(self, about: About, *, times: int = 1) -> bool:
        """Tell it; False when it was told before and is counted up. Raises our errors."""
        path = kinds.object_path(kinds.EVENT, _place(about), _name(about))
        try:
            await self._client.create(path.rpartition("/")[0], self._manifest(about))
        except failures.Conflict:
            await self._again(path, times)
            return False
        if times > 1:
            await self._again(path, times - 1)
        return True

    async def _again(self, path: str, times: int) -> None:
        """Once more, of what is there; one that has just expired is not missed."""
        found = await self._client.get(path, _Event)
        if found is None:
            return
        count = (found.series.count if found.series is not None else 1) + times
        series = {"count": count, "lastObservedTime": _micro(self._now())}
        await self._client.json_patch(
            path,
            (
                {"op": "test", "path": "/metadata/resourceVersion", "value": found.metadata.resource_version},
                {"op": "add", "path": "/series", "value": series},
            ),
        )

    def _manifest(self, about: About) -> dict[str, Any]:
        metadata, kind = about.metadata, about.kind
        regarding = {"apiVersion": kind.api_version, "kind": kind.kind, "name": metadata.name, "uid": metadata.uid}
        if metadata.namespace:
            regarding["namespace"] = metadata.namespace
        return {
            "apiVersion": kinds.EVENT.api_version,
            "kind": kinds.EVENT.kind,
            "metadata": {"name": _name(about), "namespace": _place(about)},
            "eventTime": _micro(self._now()),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance or FIELD_MANAGER,
            "action": ACTION,
            "reason": about.reason.value,
            "type": "Warning" if about.warning else "Normal",
            "note": MESSAGES[about.reason],
            "regarding": regarding,
        }


def _place(about: About) -> str:
    return about.metadata.namespace or CLUSTER_NAMESPACE


def _name(about: About) -> str:
    """The same for the same object and reason, so that a second writer finds the first one's."""
    digest = hashlib.sha256(f"{about.metadata.uid}/{about.reason.value}".encode()).hexdigest()[:16]
    return f"{about.metadata.name[:NAME_MAX].rstrip('.-')}.{digest}"


def _micro(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
