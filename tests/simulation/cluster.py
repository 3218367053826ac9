"""The API server in memory: versions, server-side apply, preconditions, finalizers, lists, and watches with history."""

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from moorage.kube import failures, kinds
from moorage.kube.failures import Cause, StatusAnswer, StatusDetails
from moorage.kube.kinds import Kind
from moorage.model.names import LABEL_MANAGED
from tests.fakes import apiserver
from tests.simulation.stage import Stage

Manifest = dict[str, Any]
Place = tuple[str, str, str]  # plural, namespace, name
# Told of every change: what happened, where, the object before, the object after.
Hook = Callable[[str, Place, Manifest | None, Manifest | None], None]

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
KINDS = {kind.plural: kind for kind in kinds.ALL}


@dataclass
class Event:
    """One line of a watch."""

    version: int
    line: bytes
    managed: bool


@dataclass(eq=False)
class Watcher:
    """One open watch: what it has still to tell, and how it ends."""

    managed_only: bool
    at: int  # the version that was told last
    news: asyncio.Event = field(default_factory=asyncio.Event)
    mute: bool = False
    ended: Exception | None = None
    closed: bool = False

    def end(self, error: Exception | None = None) -> None:
        """Close the stream, or break it."""
        self.closed, self.ended = True, error
        self.news.set()


class Cluster:
    """All objects of one cluster. What it holds is never changed in place: every write puts a new object there."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.version = 100
        self.objects: dict[Place, Manifest] = {}
        self.hooks: list[Hook] = []
        self.writes = 0  # of clients, that changed something
        self.watchers: dict[str, list[Watcher]] = defaultdict(list)
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.oldest: dict[str, int] = defaultdict(int)
        self._encoded: dict[Place, bytes] = {}
        self._applied: dict[tuple[Place, str], Manifest] = {}
        self._uids = 0

    # What clients ask for.

    def read(self, path: str) -> bytes:
        place, _ = placed(path)
        self._there(place)
        return self._encoded[place]

    def listed(self, path: str, *, managed_only: bool) -> tuple[list[bytes], int]:
        plural, namespace, _ = placed(path)[0]
        found = [
            self._encoded[place]
            for place, obj in self.objects.items()
            if place[0] == plural and namespace in ("", place[1]) and (not managed_only or managed(obj))
        ]
        return found, self.version

    def create(self, path: str, manifest: Mapping[str, Any]) -> bytes:
        plural, namespace, _ = placed(path)[0]
        place = (plural, namespace, manifest["metadata"]["name"])
        if place in self.objects:
            raise refusal(409, "already exists")
        self.writes += 1
        return self.put(place, dict(manifest))

    def apply(self, path: str, manifest: Mapping[str, Any], manager: str) -> bytes:
        place, sub = placed(path)
        old = self.objects.get(place)
        refused = apiserver.precondition(old, manifest["metadata"], creates=not sub)
        if refused is not None:
            raise refusal(refused.code, refused.message, refused.causes)
        wanted = {name: value for name, value in manifest.items() if (name == "status") == (sub == "status")}
        named = {name: value for name, value in manifest["metadata"].items() if name not in ("uid", "resourceVersion")}
        wanted["metadata"] = named
        before = self._applied.get((place, f"{manager}/{sub}"), {})
        copied = msgspec.json.decode(self._encoded[place]) if old is not None else {}
        new = apiserver.merged(apiserver.released(copied, before, wanted), wanted)
        self._applied[place, f"{manager}/{sub}"] = wanted
        if new == old:
            return self._encoded[place]
        self.writes += 1
        return self.put(place, new)

    def delete(self, path: str, *, uid: str) -> bool:
        place, _ = placed(path)
        old = self.objects.get(place)
        if old is None or old["metadata"]["uid"] != uid:
            return False
        if old["metadata"].get("deletionTimestamp"):
            return True
        self.writes += 1
        self.remove_kindly(place)
        return True

    def json_patch(self, path: str, ops: Sequence[Mapping[str, Any]]) -> bool:
        """The one patch there is: take a finalizer away, if uid and finalizer are as expected."""
        place, _ = placed(path)
        old = self.objects.get(place)
        uid, finalizer = ops[0]["value"], ops[1]["value"]
        index = int(ops[2]["path"].rpartition("/")[2])
        if old is None or old["metadata"]["uid"] != uid:
            return False
        held = list(old["metadata"].get("finalizers", ()))
        if index >= len(held) or held[index] != finalizer:
            return False
        self.writes += 1
        self.edit(place, metadata={"finalizers": held[:index] + held[index + 1 :]})
        return True

    # What others do.

    def put(self, place: Place, obj: Manifest) -> bytes:
        """Store an object, new or changed."""
        old = self.objects.get(place)
        kind = KINDS[place[0]]
        metadata = {**obj["metadata"], "name": place[2]}
        if place[1]:
            metadata["namespace"] = place[1]
        if old is None:
            self._uids += 1
            metadata = {"generation": 1, **metadata, "uid": f"{place[0]}-{self._uids}"}
        new = {**obj, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        return self._store(place, old, new)

    def edit(self, place: Place, *, metadata: Manifest | None = None, **fields: Any) -> None:
        """Change an object as somebody else would; a change of its spec is a new generation."""
        old = self.objects[place]
        merged = {**old["metadata"], **(metadata or {})}
        if "spec" in fields and place[0] == kinds.AGENT.plural:
            merged["generation"] += 1
        new = {**old, **fields, "metadata": merged}
        if merged.get("deletionTimestamp") and not merged.get("finalizers") and place[0] == kinds.AGENT.plural:
            self.remove(place)
        else:
            self._store(place, old, new)

    def remove_kindly(self, place: Place) -> None:
        """As a DELETE does: what somebody holds goes when they let go."""
        old = self.objects[place]
        if place[0] in (kinds.POD.plural, kinds.JOB.plural) or old["metadata"].get("finalizers") or self.held(place):
            self._store(place, old, {**old, "metadata": {**old["metadata"], "deletionTimestamp": self.stage.stamp()}})
        else:
            self.remove(place)

    def held(self, place: Place) -> bool:
        """Whether a claim is in use: it stays as long as something mounts it."""
        if place[0] != kinds.PERSISTENT_VOLUME_CLAIM.plural:
            return False
        return any(
            claim_of(obj) == place[2]
            for other, obj in self.objects.items()
            if other[0] in (kinds.POD.plural, kinds.JOB.plural) and other[1] == place[1] and not is_over(obj)
        )

    def remove(self, place: Place) -> None:
        """The object is gone."""
        old = self.objects.pop(place)
        self.version += 1
        del self._encoded[place]
        for key in [key for key in self._applied if key[0] == place]:
            del self._applied[key]
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}
        self._publish(DELETED, place, last, msgspec.json.encode(last))
        for hook in self.hooks:
            hook(DELETED, place, old, None)

    # Watches.

    def watch(self, path: str, since: int, *, managed_only: bool) -> Watcher:
        plural = placed(path)[0][0]
        if since < self.oldest[plural]:
            raise refusal(410, "too old resource version")
        watcher = Watcher(managed_only, since)
        if self.events[plural] and self.events[plural][-1].version > since:
            watcher.news.set()
        self.watchers[plural].append(watcher)
        return watcher

    def lines(self, plural: str, watcher: Watcher) -> list[bytes]:
        """What the watcher has not been told yet."""
        watcher.news.clear()
        events = self.events[plural]
        start = bisect_right(events, watcher.at, key=lambda event: event.version)
        fresh = events[start:]
        if fresh:
            watcher.at = fresh[-1].version
        return [event.line for event in fresh if event.managed or not watcher.managed_only]

    def compact(self) -> None:
        """Forget all history: a watch that wants to go on from before is answered with 410."""
        for plural in self.watchers:
            self.oldest[plural] = self.version

    def of(self, kind: Kind) -> list[tuple[Place, Manifest]]:
        """All objects of a kind."""
        return [(place, obj) for place, obj in self.objects.items() if place[0] == kind.plural]

    def _there(self, place: Place) -> Manifest:
        found = self.objects.get(place)
        if found is None:
            raise refusal(404, "not found")
        return found

    def _store(self, place: Place, old: Manifest | None, new: Manifest) -> bytes:
        self.version += 1
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": str(self.version)}}
        self.objects[place] = new
        raw = self._encoded[place] = msgspec.json.encode(new)
        type_ = ADDED if old is None else MODIFIED
        self._publish(type_, place, new, raw)
        for hook in self.hooks:
            hook(type_, place, old, new)
        return raw

    def _publish(self, type_: str, place: Place, obj: Manifest, raw: bytes) -> None:
        line = b'{"type":"%b","object":%b}' % (type_.encode(), raw)
        self.events[place[0]].append(Event(self.version, line, managed(obj)))
        for watcher in self.watchers[place[0]]:
            if not watcher.mute:
                watcher.news.set()


def refusal(code: int, message: str, causes: Sequence[Mapping[str, str]] = ()) -> Exception:
    """What a client makes of an answer that says no."""
    details = StatusDetails(causes=[Cause(**cause) for cause in causes])
    return failures.translate(code, StatusAnswer(code=code, message=message, details=details))


def placed(path: str) -> tuple[Place, str]:
    """Where a path points: plural, namespace and name, and the subresource."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if len(parts) > 2 and parts[0] == "namespaces":
        namespace, parts = parts[1], parts[2:]
    name, sub = [*parts[1:3], "", ""][:2]
    return (parts[0], namespace, name), sub


def managed(obj: Manifest) -> bool:
    """Whether our label is on it."""
    return (obj["metadata"].get("labels") or {}).get(LABEL_MANAGED) == "true"


def claim_of(obj: Manifest) -> str | None:
    """The claim that a pod or a Job mounts."""
    spec = obj["spec"]["template"]["spec"] if "template" in obj["spec"] else obj["spec"]
    for volume in spec.get("volumes", ()):
        if "persistentVolumeClaim" in volume:
            name: str = volume["persistentVolumeClaim"]["claimName"]
            return name
    return None


def is_over(obj: Manifest) -> bool:
    """Whether a pod or a Job has ended by itself."""
    status = obj.get("status") or {}
    ended = any(item["type"] in ("Complete", "Failed") for item in status.get("conditions", ()))
    return status.get("phase") in ("Succeeded", "Failed") or (obj["kind"] == "Job" and ended)
