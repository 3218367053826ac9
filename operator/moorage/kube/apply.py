"""Applier: brings objects and statuses to what is wanted, and writes only where they differ."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from moorage.kube import failures, kinds, ownership, status, wire
from moorage.kube.client import Client
from moorage.kube.covers import covers
from moorage.kube.kinds import Kind
from moorage.kube.manifests import manifest_of
from moorage.kube.objects import Identity, Job, Live, Pod
from moorage.kube.observe import World
from moorage.kube.remembered import Recent
from moorage.model import clock
from moorage.model.errors import Permanent
from moorage.model.metadata import Metadata
from moorage.model.names import FINALIZER

log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]

# Named for one incarnation or one attempt: what is there under the name is what was wanted.
IMMUTABLE = (kinds.POD, kinds.JOB)
# No object ever has this version, so an apply that names it creates, or is refused; it can never take over
# an object that our label-scoped watches do not see.
NEVER_A_VERSION = "1"
# kind, whose, what was said before, what is said now. It only takes note and must not raise.
Told = Callable[[Kind, Metadata, Manifest, Manifest], object]
REMEMBERED_MAX = 10_000
FINALIZER_TRIES = 3


class HasMetadata(msgspec.Struct, frozen=True):
    """Any object, of which only the identity is read."""

    metadata: Identity


class Finalized(msgspec.Struct, frozen=True):
    """Any object, of which only the metadata is read."""

    metadata: Metadata


class Applier:
    """Writes; every method says whether it did."""

    def __init__(
        self,
        client: Client,
        world: World,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        told: Told = lambda *_: None,
    ) -> None:
        self._client = client
        self._world = world
        self._now = now
        self._told = told
        self._stubborn: Recent[str, tuple[bytes, bytes]] = Recent(REMEMBERED_MAX)
        self._statuses: Recent[str, tuple[int, bytes]] = Recent(REMEMBERED_MAX)
        self._finalized: Recent[str, int] = Recent(REMEMBERED_MAX)
        # By the uid of the owner: what we asked to be created, and were never told whether it was.
        self._unanswered: Recent[str, frozenset[tuple[Kind, str]]] = Recent(REMEMBERED_MAX)

    async def apply(self, manifest: Manifest) -> bool:
        """Make one child be as the manifest says; raises Permanent(NAME_TAKEN) when the name is somebody else's."""
        kind, path = kinds.of(manifest), kinds.path_of(manifest)
        with self._world.writing(manifest):
            live = self._world.live(manifest)
            if live is None:
                try:
                    return self._written(kind, path, manifest, await self._made(kind, path, manifest))
                except failures.Conflict:
                    live = await self._unseen(kind, path)
            ownership.claim(live, manifest)
            # What is being deleted cannot be brought back; its end rings, and then it is made anew.
            if kind in IMMUTABLE or live["metadata"].get("deletionTimestamp") or covers(live, manifest):
                return False
            if self._stubborn.get(path) == (msgspec.json.encode(manifest), _content(live)):
                return False
            # With the uid in it, an apply to an object that is gone is refused instead of bringing it back.
            body = {**manifest, "metadata": {**manifest["metadata"], "uid": live["metadata"]["uid"]}}
            return self._written(kind, path, manifest, await self._client.apply(path, body))

    async def make_sure(self, owner_uid: str) -> None:
        """Learn what became of creations that were not answered; raises while the server does not say.

        Until a watch shows it, such a child looks absent, and absence lets movers start beside pods.
        """
        for kind, path in self._unanswered.get(owner_uid) or ():
            raw = await self._client.read(path)
            if raw is not None:
                self._world.store(kind, raw)
        self._unanswered.drop(owner_uid)

    async def apply_status(
        self, kind: Kind, metadata: Metadata, wanted: Manifest, *, seen: Manifest | None = None
    ) -> bool:
        """Project a status; `seen` is the object's status as last watched (its version is in the metadata).

        Until the watch catches up with our last write, that write is what counts as seen.
        """
        last = self._last_status(metadata, seen or {})
        if status.same(last, wanted):
            return False
        body = status.dated(wanted, last, clock.rfc3339(self._now()))
        # A status apply ignores the uid in its body (tried), so a re-created object of this name is told by its
        # version; and a status that was computed from an outdated spec is refused as well.
        named = {"name": metadata.name, "namespace": metadata.namespace, "resourceVersion": self._version(metadata)}
        manifest = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": named, "status": body}
        path = kinds.object_path(kind, metadata.namespace, metadata.name)
        try:
            answer = await self._client.apply_status(path, manifest)
        except failures.Missing:
            return False  # the object is gone, and its status with it
        version = wire.decoded(HasMetadata, answer).metadata.version
        self._statuses.put(metadata.uid, (version, msgspec.json.encode(body)))
        self._told(kind, metadata, last, wanted)
        return True

    async def set_finalizer(self, kind: Kind, metadata: Metadata) -> bool:
        """Hold an object of ours until we let go."""
        written = self._finalized.get(metadata.uid)
        echoed = written is None or int(metadata.resource_version or 0) >= written
        if FINALIZER in metadata.finalizers or metadata.deleting or not echoed:
            return False
        path = kinds.object_path(kind, metadata.namespace, metadata.name)
        held = {**_named(metadata), "finalizers": [FINALIZER]}
        manifest = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": held}
        answer = await self._client.apply(path, manifest)
        self._finalized.put(metadata.uid, wire.decoded(HasMetadata, answer).metadata.version)
        return True

    async def clear_finalizer(self, kind: Kind, metadata: Metadata) -> bool:
        """Let an object of ours go; exactly this one, by uid."""
        path = kinds.object_path(kind, metadata.namespace, metadata.name)
        finalizers = metadata.finalizers
        for _ in range(FINALIZER_TRIES):
            if FINALIZER not in finalizers:
                break
            place = f"/metadata/finalizers/{finalizers.index(FINALIZER)}"
            ops = (
                {"op": "test", "path": "/metadata/uid", "value": metadata.uid},
                {"op": "test", "path": place, "value": FINALIZER},
                {"op": "remove", "path": place},
            )
            if await self._client.json_patch(path, ops):
                self._finalized.drop(metadata.uid)
                return True
            found = await self._client.get(path, Finalized)
            if found is None or found.metadata.uid != metadata.uid:
                return False
            finalizers = found.metadata.finalizers
        else:
            raise failures.Conflict("the finalizers of an object keep changing")
        return False

    async def uids(self, kind: Kind) -> frozenset[str]:
        """The uids of all objects of a kind at one moment after the call.

        Asks the server itself, for where absence allows something irreversible a cache is not enough. Raises whatever
        a list raises that has not come to its end.
        """
        found, _ = await self._client.list(kinds.collection_path(kind), HasMetadata)
        return frozenset(one.metadata.uid for one in found)

    async def _made(self, kind: Kind, path: str, manifest: Manifest) -> bytes:
        """Create an object; raises Conflict when the name is taken."""
        owner = (ownership.controller_of(manifest) or {}).get("uid", "")
        before = self._unanswered.get(owner) or frozenset()
        self._unanswered.put(owner, before | {(kind, path)})
        try:
            made = await self._asked_to_make(kind, path, manifest)
        except (Permanent, failures.Conflict, failures.Forbidden, failures.Missing):
            self._unanswered.put(owner, before)
            raise
        self._unanswered.put(owner, before)
        return made

    async def _asked_to_make(self, kind: Kind, path: str, manifest: Manifest) -> bytes:
        if kind in IMMUTABLE:  # never applied again, so nobody needs to know which fields were ours
            return await self._client.create(path.rpartition("/")[0], manifest)
        body = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": NEVER_A_VERSION}}
        return await self._client.apply(path, body)

    async def _unseen(self, kind: Kind, path: str) -> dict[str, Any]:
        """The object that has the name, though no watch of ours showed it."""
        raw = await self._client.read(path)
        if raw is None:
            raise failures.Conflict("the object vanished while it was being created")
        self._world.store(kind, raw)
        type_: Any = {kinds.POD: Pod, kinds.JOB: Job}.get(kind, Live)
        return manifest_of(wire.decoded(type_, raw))

    def _written(self, kind: Kind, path: str, manifest: Manifest, raw: bytes) -> bool:
        self._world.store(kind, raw)
        if kind not in IMMUTABLE:
            # A value that the server writes in its own way never looks covered. What was answered to the very same
            # wish is as good as it gets until the object changes: no loop of writes.
            answer = manifest_of(wire.decoded(Live, raw))
            if not covers(answer, manifest):
                log.warning("the server keeps a manifest differently", extra={"path": path})
                self._stubborn.put(path, (msgspec.json.encode(manifest), _content(answer)))
        return True

    def _version(self, metadata: Metadata) -> str:
        """The newest version of the object that we know of: as watched, or as one of our own writes left it."""
        finalized, status_written = self._finalized.get(metadata.uid), self._statuses.get(metadata.uid)
        written = max(finalized or 0, status_written[0] if status_written else 0)
        return str(max(int(metadata.resource_version or 0), written))

    def _last_status(self, metadata: Metadata, seen: Manifest) -> Manifest:
        written = self._statuses.get(metadata.uid)
        if written is None or int(metadata.resource_version or 0) >= written[0]:
            return seen
        last: Manifest = msgspec.json.decode(written[1])
        return last


def _named(metadata: Metadata) -> dict[str, Any]:
    """Exactly this object: a re-created one has another uid, and the write is refused."""
    named = {"name": metadata.name, "uid": metadata.uid}
    return {**named, "namespace": metadata.namespace} if metadata.namespace else named


def _content(live: Manifest) -> bytes:
    """What of an object may differ from a wish: neither its version nor its status, which others write all the time."""
    metadata = {name: value for name, value in live["metadata"].items() if name != "resourceVersion"}
    return msgspec.json.encode({**live, "metadata": metadata, "status": None})
