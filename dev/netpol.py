"""The policy engine of the test bed: watches pods, namespaces and policies and keeps one nftables table."""

import http.client
import json
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # watched objects are free-form API documents
from urllib.parse import urlencode

from dev import policies, processes
from dev.layout import Layout

RETRY_SECONDS = 0.5
# A moment to collect what changes together, so that a burst of pods costs one table and not one each.
SETTLE_SECONDS = 0.05
WATCH_SECONDS = 280
ENDED = {"Succeeded", "Failed"}


@dataclass(frozen=True)
class Server:
    """The API server as seen from the node, and who we are to it."""

    host: str
    port: int
    pki: Path
    node: str


@dataclass
class Store:
    """What is known of one resource; `complete` once it has been listed."""

    path: str
    query: dict[str, str]
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    complete: bool = False


def start(layout: Layout) -> None:
    """Start the engine on the node's network."""
    argv = [sys.executable, "-m", "dev", "netpol", "--server", layout.node_ip]
    argv += ["--pki", str(layout.pki), "--node", layout.node_name]
    processes.start(layout, "netpol", argv, inside=True, env={"PYTHONPATH": str(layout.root)})


def serve(server: Server) -> None:
    """Follow the API server and load a new table whenever its content changes, until killed."""
    # Only pods of the real node: those of a pretended one have no packets.
    pods = Store("/api/v1/pods", {"fieldSelector": f"spec.nodeName={server.node}"})
    stores = [pods, Store("/api/v1/namespaces", {}), Store("/apis/networking.k8s.io/v1/networkpolicies", {})]
    changed, lock = threading.Event(), threading.Lock()
    for store in stores:
        threading.Thread(target=_follow, args=(server, store, changed, lock), daemon=True).start()
    loaded = ""
    while True:
        changed.wait()
        time.sleep(SETTLE_SECONDS)
        changed.clear()
        with lock:
            table = _table(stores) if all(store.complete for store in stores) else ""
        if table and table != loaded and _load(table):
            loaded = table
            _log(f"loaded a table with {table.count('counter drop')} chains")


def pod_of(document: dict[str, Any]) -> policies.Pod | None:
    """The pod as policies see it, or None while it has no address of its own."""
    spec, status, metadata = document["spec"], document.get("status", {}), document["metadata"]
    if spec.get("hostNetwork") or not status.get("podIP") or status.get("phase") in ENDED:
        return None
    ports = tuple(
        (port["name"], port.get("protocol", "TCP"), port["containerPort"])
        for container in spec["containers"]
        for port in container.get("ports") or ()
        if port.get("name")
    )
    return policies.Pod(metadata["namespace"], metadata["name"], status["podIP"], metadata.get("labels") or {}, ports)


def _table(stores: list[Store]) -> str:
    pods, namespaces, rules = (list(store.objects.values()) for store in stores)
    known = [pod for document in pods if (pod := pod_of(document)) is not None]
    labels = {document["metadata"]["name"]: document["metadata"].get("labels") or {} for document in namespaces}
    return policies.render(policies.evaluate(policies.World(known, labels), rules))


def _load(table: str) -> bool:
    done = subprocess.run(["nft", "-f", "-"], input=table, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _log(f"nft refused a table: {done.stderr.strip()[:2000]}")
    return done.returncode == 0


def _follow(server: Server, store: Store, changed: threading.Event, lock: threading.Lock) -> None:
    while True:
        try:
            version = _list(server, store, lock)
            changed.set()
            _watch(server, store, version, changed, lock)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            _log(f"{store.path}: {type(error).__name__}: {error}")
        time.sleep(RETRY_SECONDS)


def _list(server: Server, store: Store, lock: threading.Lock) -> str:
    # Version 0: whatever the API server has at hand is good enough to start from.
    with _get(server, store, {"resourceVersion": "0"}) as response:
        document = json.load(response)
    with lock:
        store.objects = {item["metadata"]["uid"]: item for item in document["items"]}
        store.complete = True
    return str(document["metadata"]["resourceVersion"])


def _watch(server: Server, store: Store, version: str, changed: threading.Event, lock: threading.Lock) -> None:
    """Apply changes until the server ends the watch or says that the version is too old; then list again."""
    query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
    with _get(server, store, query) as response:
        for line in response:
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            item = event["object"]
            with lock:
                if event["type"] == "DELETED":
                    store.objects.pop(item["metadata"]["uid"], None)
                else:
                    store.objects[item["metadata"]["uid"]] = item
            changed.set()


def _get(server: Server, store: Store, query: dict[str, str]) -> http.client.HTTPResponse:
    context = ssl.create_default_context(cafile=str(server.pki / "ca.crt"))
    context.load_cert_chain(server.pki / "admin.crt", server.pki / "admin.key")
    connection = http.client.HTTPSConnection(server.host, server.port, timeout=WATCH_SECONDS + 20, context=context)
    connection.request("GET", f"{store.path}?{urlencode({**store.query, **query})}")
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise http.client.HTTPException(f"status {response.status}")
    return response


def _log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
