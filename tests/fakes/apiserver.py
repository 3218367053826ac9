"""A scripted API server over HTTP: versions, lists in pages, watches with history, apply, and faults on call."""

import asyncio
import contextlib
import copy
import json
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from aiohttp import web

from moorage.kube.client import Client
from moorage.kube.kinds import Kind, collection_path
from moorage.kube.login import Credentials

Manifest = dict[str, Any]
Place = tuple[str, str, str]  # plural, namespace, name

BOOKMARK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A scripted answer in place of the real one; `lost` does the work and then cuts the connection."""

    code: int = 500
    retry_after: str | None = None
    message: str = "scripted"
    causes: tuple[dict[str, str], ...] = ()
    lost: bool = False


@dataclass(eq=False, slots=True)
class Watcher:
    """One open watch."""

    matches: Callable[[Place, Manifest], bool]
    plural: str
    lines: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)
    mute: bool = False

    def send(self, type_: str, obj: Manifest) -> None:
        """Send one event."""
        if not self.mute:
            self.lines.put_nowait(json.dumps({"type": type_, "object": obj}).encode() + b"\n")


class ApiServer:
    """Enough of the Kubernetes API to test against; `unix_socket` is where it listens."""

    def __init__(self) -> None:
        self.version = 100
        self.page_max = 500
        self.canonical: Callable[[Manifest], Manifest] = lambda obj: obj  # how it writes what was applied
        self.lag: Callable[[], float] = lambda: 0.0  # seconds that a list or an event is under way
        self.objects: dict[Place, Manifest] = {}
        self.requests: list[tuple[str, str]] = []  # verb, path
        self.watchers: set[Watcher] = set()
        self._history: list[tuple[int, str, Place, Manifest]] = []
        self._oldest = 0
        self._applied: dict[tuple[Place, str], Manifest] = {}
        self._script: list[tuple[str, str, deque[Answer]]] = []
        self._next_uid = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Client]:
        """Listen on a local socket, and connect a client to it."""
        with tempfile.TemporaryDirectory(prefix="api-") as folder:
            socket = str(Path(folder) / "socket")
            runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
            await runner.setup()
            await web.UnixSite(runner, socket).start()
            try:
                async with Client.connect(
                    Credentials(server="http://localhost"), connector=lambda: aiohttp.UnixConnector(socket, limit=0)
                ) as client:
                    yield client
            finally:
                for watcher in self.watchers:
                    watcher.lines.put_nowait(None)
                await runner.cleanup()

    # What a test does to the world.

    def put(self, kind: Kind, obj: Manifest) -> Manifest:
        """Create or replace an object, as somebody else would."""
        place = _place(kind.plural, obj)
        old = self.objects.get(place)
        if old is None:
            self._next_uid += 1
        uid = f"uid-{self._next_uid}" if old is None else old["metadata"]["uid"]
        metadata = {"uid": uid, **obj["metadata"]}
        new = {"apiVersion": kind.api_version, "kind": kind.kind, **obj, "metadata": metadata}
        return self._store(place, new)

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """Remove an object for good, as somebody else would."""
        self._remove((kind.plural, namespace, name))

    def script(self, verb: str, plural: str, *answers: Answer) -> None:
        """Answer the next calls of this kind so. Verbs: get, list, watch, apply, patch, post, delete."""
        self._script.append((verb, plural, deque(answers)))

    def forgive(self) -> None:
        """Forget all scripted answers that were not used."""
        self._script.clear()

    def compact(self) -> None:
        """Forget all history: a watch or a list that wants to go on from before is answered with 410."""
        self._oldest = self.version

    def close_watches(self, *, ending: bytes = b"") -> None:
        """End all watches, perhaps with a piece of a line or an event of the test's own."""
        for watcher in list(self.watchers):
            if ending:
                watcher.lines.put_nowait(ending)
            watcher.lines.put_nowait(None)

    def mute_watches(self) -> None:
        """Keep all watches open, but never send anything on them again."""
        for watcher in self.watchers:
            watcher.mute = True

    def bookmark(self) -> None:
        """Tell all watches how far they are."""
        for watcher in self.watchers:
            watcher.send("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def of(self, kind: Kind) -> dict[tuple[str, str], Manifest]:
        """All objects of a kind, by namespace and name."""
        return {place[1:]: obj for place, obj in self.objects.items() if place[0] == kind.plural}

    # How it serves.

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        url = urlsplit(request.raw_path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        plural, namespace, name, sub = _parsed(url.path)
        verb = _verb(request, query, name)
        self.requests.append((verb, url.path))
        scripted = self._scripted(verb, plural)
        if scripted is not None and not scripted.lost:
            return _refusal(scripted)
        body = await request.json() if request.can_read_body else {}
        if verb == "watch":
            return await self._watch(request, plural, namespace, query)
        if verb == "list":
            answer = self._list(plural, namespace, query)
            await _passed(self.lag())
        elif verb == "get":
            answer = self._get((plural, namespace, name))
        elif verb == "apply":
            answer = self._apply((plural, namespace, name), body, query["fieldManager"], sub)
        elif verb == "patch":
            answer = self._json_patch((plural, namespace, name), body)
        elif verb == "delete":
            answer = self._delete((plural, namespace, name), body)
        else:
            answer = self._create(plural, namespace, body)
        if scripted is not None and request.transport is not None:
            request.transport.close()
        return answer

    def _scripted(self, verb: str, plural: str) -> Answer | None:
        for wanted_verb, wanted_plural, answers in self._script:
            if verb == wanted_verb and plural == wanted_plural and answers:
                return answers.popleft()
        return None

    def _get(self, place: Place) -> web.StreamResponse:
        found = self.objects.get(place)
        return _refusal(Answer(404)) if found is None else web.json_response(found)

    def _list(self, plural: str, namespace: str, query: dict[str, str]) -> web.StreamResponse:
        matches = _matcher(plural, namespace, query.get("labelSelector", ""))
        start, at = 0, self.version
        if token := query.get("continue"):
            start, at = (int(part) for part in token.split("."))
            if at < self._oldest:
                return _refusal(Answer(410, message="the continue token is too old"))
        shown = self._as_of(at)
        items = [obj for place, obj in sorted(shown.items()) if matches(place, obj)]
        limit = min(int(query.get("limit", "500")), self.page_max)
        metadata = {"resourceVersion": str(at)}
        if start + limit < len(items):
            metadata["continue"] = f"{start + limit}.{at}"
        return web.json_response({"metadata": metadata, "items": items[start : start + limit]})

    def _as_of(self, version: int) -> dict[Place, Manifest]:
        """The objects as they were; later pages of a list show what the first page showed."""
        if version == self.version:
            return self.objects
        shown: dict[Place, Manifest] = {}
        for at, type_, place, obj in self._history:
            if at > version:
                break
            if type_ == "DELETED":
                del shown[place]
            else:
                shown[place] = obj
        return shown

    async def _watch(
        self, request: web.BaseRequest, plural: str, namespace: str, query: dict[str, str]
    ) -> web.StreamResponse:
        since = int(query["resourceVersion"])
        if since < self._oldest:
            return _refusal(Answer(410, message="too old resource version"))
        watcher = Watcher(_matcher(plural, namespace, query.get("labelSelector", "")), plural)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        for at, type_, place, obj in self._history:
            if at > since and watcher.matches(place, obj):
                watcher.send(type_, obj)
        self.watchers.add(watcher)
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + float(query["timeoutSeconds"])
        try:
            await response.prepare(request)
            while (left := ends_at - loop.time()) > 0:
                try:
                    async with asyncio.timeout(min(left, BOOKMARK_SECONDS)):
                        line = await watcher.lines.get()
                except TimeoutError:
                    if left > BOOKMARK_SECONDS:
                        watcher.send("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})
                    continue
                if line is None:
                    break
                await _passed(self.lag())
                await response.write(line)
        except ConnectionError:
            pass  # the client went away, as clients do
        finally:
            self.watchers.discard(watcher)
        return response

    def _apply(self, place: Place, body: Manifest, manager: str, sub: str) -> web.StreamResponse:
        old = self.objects.get(place)
        metadata = body["metadata"]
        refusal = precondition(old, metadata, creates=not sub)
        if refusal is not None:
            return _refusal(refusal)
        before = self._applied.get((place, f"{manager}/{sub}"), {})
        wanted = {name: value for name, value in body.items() if (name == "status") == (sub == "status")}
        wanted["metadata"] = {name: value for name, value in metadata.items() if name not in ("uid", "resourceVersion")}
        new = self.canonical(merged(released(copy.deepcopy(old or {}), before, wanted), wanted))
        self._applied[place, f"{manager}/{sub}"] = copy.deepcopy(wanted)
        if old is None:
            self._next_uid += 1
            new["metadata"]["uid"] = f"uid-{self._next_uid}"
        if new != old:
            new = self._store(place, new)
        return web.json_response(new, status=201 if old is None else 200)

    def _create(self, plural: str, namespace: str, body: Manifest) -> web.StreamResponse:
        place = (plural, namespace, body["metadata"]["name"])
        if place in self.objects:
            return _refusal(Answer(409, message="already exists"))
        self._next_uid += 1
        body["metadata"]["uid"] = f"uid-{self._next_uid}"
        return web.json_response(self._store(place, body), status=201)

    def _delete(self, place: Place, body: Manifest) -> web.StreamResponse:
        old = self.objects.get(place)
        if old is None:
            return _refusal(Answer(404))
        wanted = body.get("preconditions", {}).get("uid")
        if wanted is not None and wanted != old["metadata"]["uid"]:
            message = f"the UID in the precondition ({wanted}) does not match the UID in record"
            return _refusal(Answer(409, message=message))
        if old["metadata"].get("finalizers"):
            metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z", **old["metadata"]}
            return web.json_response(self._store(place, {**old, "metadata": metadata}))
        return web.json_response(self._remove(place))

    def _json_patch(self, place: Place, ops: list[Manifest]) -> web.StreamResponse:
        old = self.objects.get(place)
        if old is None:
            return _refusal(Answer(404))
        new = copy.deepcopy(old)
        for op in ops:
            *way, last = op["path"].strip("/").split("/")
            target: Any = new
            try:
                for step in way:
                    target = target[int(step) if isinstance(target, list) else step]
                at: Any = int(last) if isinstance(target, list) else last
                if op["op"] == "test" and target[at] != op["value"]:
                    return _refusal(Answer(422, message="the server rejected our request"))
                if op["op"] == "replace":
                    target[at] = op["value"]
                if op["op"] == "remove":
                    del target[at]
            except (KeyError, IndexError):
                return _refusal(Answer(422, message="the server rejected our request"))
        if not new["metadata"].get("finalizers") and new["metadata"].get("deletionTimestamp"):
            return web.json_response(self._remove(place))
        return web.json_response(self._store(place, new))

    def _store(self, place: Place, obj: Manifest) -> Manifest:
        self.version += 1
        old = self.objects.get(place)
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self.objects[place] = obj
        self._tell("ADDED" if old is None else "MODIFIED", place, obj)
        return obj

    def _remove(self, place: Place) -> Manifest:
        self.version += 1
        old = self.objects.pop(place)
        for key in [key for key in self._applied if key[0] == place]:
            del self._applied[key]
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}
        self._tell("DELETED", place, last)
        return last

    def _tell(self, type_: str, place: Place, obj: Manifest) -> None:
        self._history.append((self.version, type_, place, obj))
        for watcher in self.watchers:
            if watcher.matches(place, obj):
                watcher.send(type_, obj)


async def _passed(seconds: float) -> None:
    if seconds:
        over = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(seconds, over.set_result, None)
        await over


def _parsed(path: str) -> tuple[str, str, str, str]:
    """plural, namespace, name, subresource."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if len(parts) > 2 and parts[0] == "namespaces":
        namespace, parts = parts[1], parts[2:]
    name, sub = [*parts[1:3], "", ""][:2]
    return parts[0], namespace, name, sub


def _verb(request: web.BaseRequest, query: dict[str, str], name: str) -> str:
    if request.method == "GET":
        return "get" if name else "watch" if query.get("watch") else "list"
    if request.method == "PATCH":
        return "apply" if "apply-patch" in request.headers["Content-Type"] else "patch"
    return request.method.lower()


def _place(plural: str, obj: Manifest) -> Place:
    return plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _matcher(plural: str, namespace: str, selector: str) -> Callable[[Place, Manifest], bool]:
    wanted = dict(item.split("=") for item in selector.split(",") if item)

    def matches(place: Place, obj: Manifest) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return place[0] == plural and namespace in ("", place[1]) and wanted.items() <= labels.items()

    return matches


def _refusal(answer: Answer) -> web.StreamResponse:
    status = {
        "kind": "Status",
        "code": answer.code,
        "message": answer.message,
        "reason": "Scripted",
        "details": {"causes": list(answer.causes)},
    }
    headers = {"Retry-After": answer.retry_after} if answer.retry_after is not None else {}
    return web.json_response(status, status=answer.code, headers=headers)


def precondition(old: Manifest | None, metadata: Manifest, *, creates: bool) -> Answer | None:
    """Why an apply is refused before it is looked at, or None."""
    if old is None:
        if not creates:
            return Answer(404)
        return Answer(409, message="uid mismatch") if "uid" in metadata else None
    # A status apply takes only the status from its body; of the metadata the version alone is looked at.
    if creates and metadata.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
        cause = {"reason": "FieldValueInvalid", "field": "metadata.uid"}
        return Answer(422, message="metadata.uid: field is immutable", causes=(cause,))
    if metadata.get("resourceVersion", old["metadata"]["resourceVersion"]) != old["metadata"]["resourceVersion"]:
        return Answer(409, message="the object has been modified")
    return None


def released(old: Manifest, before: Manifest, wanted: Manifest) -> Manifest:
    """The object without what this field manager applied before and no longer wants."""
    for name, value in before.items():
        if name not in wanted:
            old.pop(name, None)
        elif isinstance(value, dict) and isinstance(wanted[name], dict) and isinstance(old.get(name), dict):
            old[name] = released(old[name], value, wanted[name])
    return old


def merged(old: Manifest, wanted: Manifest) -> Manifest:
    """The object with what this field manager wants."""
    for name, value in wanted.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            old[name] = merged(old[name], value)
        elif value not in ([], None):  # left out, as the real one does
            old[name] = value
    return old


def path_of(kind: Kind, namespace: str = "") -> str:
    """The collection's path, as it stands in `requests`."""
    return collection_path(kind, namespace or None)
