"""A real API server, asked as its users ask it: read, apply, delete, and watch until something is so."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config

Manifest = dict[str, Any]  # what the server sends is JSON, and tests read all of it
Seen = Mapping[str, Manifest]

CALL_SECONDS_MAX = 20
SOON_SECONDS = 90.0
MANAGER = "e2e"

# Cluster-scoped kinds have no place for a namespace in their path.
FOLDERS = {
    "wallets": "/apis/moorage.dev/v1alpha1/wallets",
    "tenantnamespaces": "/apis/moorage.dev/v1alpha1/tenantnamespaces",
    "agents": "/apis/moorage.dev/v1alpha1/namespaces/{namespace}/agents",
    "domains": "/apis/moorage.dev/v1alpha1/namespaces/{namespace}/domains",
    "namespaces": "/api/v1/namespaces",
    "nodes": "/api/v1/nodes",
    "persistentvolumes": "/api/v1/persistentvolumes",
    "pods": "/api/v1/namespaces/{namespace}/pods",
    "services": "/api/v1/namespaces/{namespace}/services",
    "endpointslices": "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
    "secrets": "/api/v1/namespaces/{namespace}/secrets",
    "configmaps": "/api/v1/namespaces/{namespace}/configmaps",
    "persistentvolumeclaims": "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "resourcequotas": "/api/v1/namespaces/{namespace}/resourcequotas",
    "serviceaccounts": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "events": "/apis/events.k8s.io/v1/namespaces/{namespace}/events",
    "ingresses": "/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses",
    "jobs": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "networkpolicies": "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
}


class Cluster:
    """One API server."""

    def __init__(self, kubeconfig: str) -> None:
        self._client = config.new_client_from_config(kubeconfig)  # type: ignore[no-untyped-call] # it has no types

    def apply(self, plural: str, manifest: Manifest) -> Manifest:
        """Server-side apply, as `kubectl apply --server-side` does; a refusal fails the test."""
        status, answer = self.try_apply(plural, manifest)
        assert status in (200, 201), answer
        return answer

    def try_apply(
        self, plural: str, manifest: Manifest, *, manager: str = MANAGER, dry: bool = False
    ) -> tuple[int, Manifest]:
        """Server-side apply by a field manager, or only what would come of it; returns what the server says to it."""
        metadata = manifest["metadata"]
        path = f"{_folder(plural, metadata.get('namespace', ''))}/{metadata['name']}"
        query = f"fieldManager={manager}&force=true&fieldValidation=Strict{'&dryRun=All' if dry else ''}"
        return self._call("PATCH", f"{path}?{query}", manifest, "application/apply-patch+yaml")

    def create(self, plural: str, manifest: Manifest) -> tuple[int, Manifest]:
        """A plain create; returns what the server says to it."""
        folder = _folder(plural, manifest["metadata"].get("namespace", ""))
        return self._call("POST", f"{folder}?fieldValidation=Strict", manifest)

    def patch(self, plural: str, namespace: str, name: str, change: Manifest) -> Manifest:
        """A merge patch, as `kubectl edit` sends it."""
        path = f"{_folder(plural, namespace)}/{name}"
        status, answer = self._call("PATCH", path, change, "application/merge-patch+json")
        assert status == 200, answer
        return answer  # type: ignore[no-any-return] # JSON

    def delete(self, plural: str, namespace: str, name: str) -> None:
        """Ask for a deletion; what is gone already is no matter."""
        status, answer = self._call("DELETE", f"{_folder(plural, namespace)}/{name}")
        assert status in (200, 202, 404), answer

    def find(self, plural: str, namespace: str, name: str) -> Manifest | None:
        """One object, or None."""
        status, answer = self._call("GET", f"{_folder(plural, namespace)}/{name}")
        assert status in (200, 404), answer
        return answer if status == 200 else None

    def get(self, plural: str, namespace: str, name: str) -> Manifest:
        """One object that is there."""
        found = self.find(plural, namespace, name)
        assert found is not None, f"{plural} {namespace}/{name} is not there"
        return found

    def find_all(self, plural: str, namespace: str = "", **selectors: str) -> list[Manifest]:
        """All objects of a kind; `labels="a=b"` and `fields="a=b"` narrow it."""
        return self._list(plural, namespace, selectors)[0]

    def post(self, path: str, body: Manifest) -> tuple[int, Any]:
        """A POST to any path, such as a service's proxy."""
        return self._call("POST", path, body)

    def until(
        self,
        plural: str,
        namespace: str,
        reached: Callable[[Seen], bool],
        what: str,
        *,
        seconds: float = SOON_SECONDS,
        **selectors: str,
    ) -> Seen:
        """Watch a kind until its objects, by name, are as wanted; returns them, or fails with what was seen last."""
        deadline = time.monotonic() + seconds
        seen: dict[str, Manifest] = {}
        while time.monotonic() < deadline:
            items, version = self._list(plural, namespace, selectors)
            seen = {item["metadata"]["name"]: item for item in items}
            if reached(seen):
                return seen
            for kind, item in self._watch(plural, namespace, selectors, version, deadline):
                if kind == "DELETED":
                    seen.pop(item["metadata"]["name"], None)
                else:
                    seen[item["metadata"]["name"]] = item
                if reached(seen):
                    return seen
        raise AssertionError(_told(f"{what} did not happen within {seconds:.0f} s", plural, seen))

    def until_one(
        self,
        plural: str,
        namespace: str,
        name: str,
        reached: Callable[[Manifest], bool],
        what: str,
        *,
        seconds: float = SOON_SECONDS,
    ) -> Manifest:
        """Watch one object until it is there and as wanted."""
        fields = f"metadata.name={name}"
        seen = self.until(
            plural,
            namespace,
            lambda objects: name in objects and reached(objects[name]),
            what,
            seconds=seconds,
            fields=fields,
        )
        return seen[name]

    def until_gone(
        self, plural: str, namespace: str, *, seconds: float = SOON_SECONDS, name: str = "", labels: str = ""
    ) -> None:
        """Watch until no such object is left."""
        selectors = {"fields": f"metadata.name={name}"} if name else {}
        if labels:
            selectors["labels"] = labels
        what = f"the end of {plural} {namespace}/{name or labels or '*'}"
        self.until(plural, namespace, lambda objects: not objects, what, seconds=seconds, **selectors)

    def changes(self, plural: str, namespace: str, *, seconds: int) -> list[str]:
        """Watch for a while and tell every change, and what was changed: for tests of silence."""
        items, version = self._list(plural, namespace, {})
        known = {item["metadata"]["name"]: item for item in items}
        told = []
        for kind, item in self._watch(plural, namespace, {}, version, time.monotonic() + seconds):
            name = item["metadata"]["name"]
            told.append(f"{kind} {name}: {' '.join(_differing(known.get(name, {}), item))}")
            known[name] = item
        return told

    def _list(self, plural: str, namespace: str, selectors: Mapping[str, str]) -> tuple[list[Manifest], str]:
        status, answer = self._call("GET", f"{_folder(plural, namespace)}?{_query(selectors)}")
        assert status == 200, answer
        return answer["items"], answer["metadata"]["resourceVersion"]

    def _watch(
        self, plural: str, namespace: str, selectors: Mapping[str, str], version: str, deadline: float
    ) -> Iterator[tuple[str, Manifest]]:
        """Events until the deadline, or until the server wants the kind to be listed again."""
        left = max(1, round(deadline - time.monotonic()))
        query = _query({**selectors, "watch": "1", "resourceVersion": version, "timeoutSeconds": str(left)})
        answer = self._open("GET", f"{_folder(plural, namespace)}?{query}", None, "", left + CALL_SECONDS_MAX)
        stream = answer.response
        try:
            rest = b""
            for data in stream.stream(decode_content=True):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    yield event["type"], event["object"]
        except urllib3.exceptions.ProtocolError:
            return  # the server was restarted or cut the line: list again
        finally:
            stream.close()
            stream.release_conn()

    def _call(
        self, method: str, path: str, body: Manifest | None = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        answer = self._open(method, path, body, content_type, CALL_SECONDS_MAX)
        text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:  # a proxy's own words
            return answer.status, {"message": text.decode(errors="replace")}

    def _open(self, method: str, path: str, body: Manifest | None, content_type: str, seconds: float) -> Any:
        # The raw call: the typed one would refuse, on its own, what the server is to refuse.
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._client.configuration.host}{path}"
        try:
            return self._client.call_api(method, url, header_params=headers, body=body, _request_timeout=seconds)
        except client.ApiException as error:
            raise AssertionError(f"{method} {path}: {error.status} {error.body}") from error


def condition(item: Manifest, kind: str) -> tuple[str, str]:
    """Status and reason of a condition; empty while it is not there."""
    for each in item.get("status", {}).get("conditions", []):
        if each["type"] == kind:
            return each["status"], each["reason"]
    return "", ""


def says(kind: str, reason: str) -> Callable[[Manifest], bool]:
    """Whether an object's condition has this reason, about its present generation."""

    def reached(item: Manifest) -> bool:
        current = item.get("status", {}).get("observedGeneration") == item["metadata"]["generation"]
        return current and condition(item, kind)[1] == reason

    return reached


def is_true(kind: str) -> Callable[[Manifest], bool]:
    """Whether an object's condition is True, about its present generation."""

    def reached(item: Manifest) -> bool:
        current = item.get("status", {}).get("observedGeneration") == item["metadata"]["generation"]
        return current and condition(item, kind)[0] == "True"

    return reached


def _folder(plural: str, namespace: str) -> str:
    return FOLDERS[plural].format(namespace=namespace)


def _query(selectors: Mapping[str, str]) -> str:
    words = {"labels": "labelSelector", "fields": "fieldSelector"}
    return urlencode({words.get(name, name): value for name, value in selectors.items()})


def _told(what: str, plural: str, seen: Seen) -> str:
    lines = [f"{what}; last seen of {plural}:"]
    for name, item in seen.items():
        conditions = [each for each in item.get("status", {}).get("conditions", []) if "reason" in each]
        told = {each["type"]: (each["status"], each["reason"]) for each in conditions}
        deleting = " (being deleted)" if "deletionTimestamp" in item["metadata"] else ""
        lines.append(f"  {name}{deleting}: {told or json.dumps(item)[:2000]}")
    return "\n".join(lines if seen else [*lines, "  none"])


def _differing(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Where two objects differ, and in what; who wrote when is left out."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after} - {"managedFields", "resourceVersion"}):
            yield from _differing(before.get(key), after.get(key), f"{place}.{key}")
    elif before != after:
        yield f"{place}: {before!r} -> {after!r}"
