"""Flux's real kustomize-controller as a program of the tests, and the source that it takes its trees from."""

import hashlib
import http.server
import io
import json
import subprocess
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from dev import gosource, toolchain
from dev.layout import Layout

HOME = "flux-system"
API = ("kustomize.toolkit.fluxcd.io", "v1")
SOURCES = ("source.toolkit.fluxcd.io", "v1")
MODULE = "github.com/fluxcd/kustomize-controller"
CRD_IN_MODULE = "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"
ARTIFACT = "tree"
HANDLED_SECONDS_MAX = 180.0
POLL_SECONDS = 0.05

Manifest = dict[str, Any]  # JSON for a tool that is not ours
Tree = Mapping[str, Manifest]
"""Objects by the path of their file."""


class Flux:
    """One running controller over one cluster."""

    def __init__(self, kubeconfig: str, folder: Path) -> None:
        self._client = config.new_client_from_config(kubeconfig)
        self._custom = client.CustomObjectsApi(self._client)
        self._kubeconfig, self._folder = kubeconfig, folder
        self._server = _serve()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Install its kinds and run it; afterwards neither is left."""
        layout = Layout.current()
        program = toolchain.program(layout, "kustomize-controller")
        kinds = [_kustomization_kind(layout), *_source_kinds()]
        extensions = client.ApiextensionsV1Api(self._client)
        for kind in kinds:
            extensions.create_custom_resource_definition(kind)
        client.CoreV1Api(self._client).create_namespace({"metadata": {"name": HOME}})
        log = (self._folder / "kustomize-controller.log").open("wb")
        argv = [str(program), "--feature-gates=ExternalArtifact=true", "--interval-jitter-percentage=0"]
        argv += ["--metrics-addr=0", "--health-addr=0", "--concurrent=60"]
        environment = {"KUBECONFIG": self._kubeconfig, "RUNTIME_NAMESPACE": HOME, "TMPDIR": str(self._folder)}
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment)
        try:
            yield
            assert process.poll() is None, f"Flux ended; its log is in {self._folder}"
        finally:
            self._remove_all()
            process.terminate()
            process.wait()
            log.close()
            self._server.shutdown()
            self._server.server_close()
            client.CoreV1Api(self._client).delete_namespace(HOME)
            for kind in kinds:
                extensions.delete_custom_resource_definition(kind["metadata"]["name"])

    def publish(self, tree: Tree) -> None:
        """Offer a tree, as a source controller would after a commit."""
        packed = _packed(tree)
        digest = hashlib.sha256(packed).hexdigest()
        self._server.offered[f"/{digest}.tar.gz"] = packed
        metadata = {"name": ARTIFACT, "namespace": HOME}
        manifest = {"apiVersion": "/".join(SOURCES), "kind": "ExternalArtifact", "metadata": metadata, "spec": {}}
        self._put("externalartifacts", manifest, SOURCES)
        artifact = {
            "digest": f"sha256:{digest}",
            "lastUpdateTime": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "path": f"{digest}.tar.gz",
            "revision": f"main@sha256:{digest}",
            "size": len(packed),
            "url": f"http://127.0.0.1:{self._server.server_port}/{digest}.tar.gz",
        }
        self._custom.patch_namespaced_custom_object_status(
            *SOURCES, HOME, "externalartifacts", ARTIFACT, {"status": {"artifact": artifact}}
        )

    def apply(self, name: str, path: str, **spec: Any) -> str:
        """Let a Kustomization reconcile a folder of the published tree, `spec` as Flux documents it, and ask for it."""
        source = {"kind": "ExternalArtifact", "name": ARTIFACT}
        usual = {"interval": "1h", "path": path, "prune": False, "sourceRef": source}
        asked, token = _asked()
        manifest = {
            "apiVersion": "/".join(API),
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": HOME, **asked},
            "spec": {**usual, **spec},
        }
        self._put("kustomizations", manifest, API)
        return token

    def ask(self, name: str) -> str:
        """Ask for one reconciliation; returns the token by which its answer is known."""
        asked, token = _asked()
        self._custom.patch_namespaced_custom_object(*API, HOME, "kustomizations", name, {"metadata": asked})
        return token

    def answer(self, name: str, token: str) -> Manifest:
        """Wait until what was asked for has happened, and return the `Ready` condition that it left."""
        deadline = time.monotonic() + HANDLED_SECONDS_MAX
        while time.monotonic() < deadline:
            status = self._custom.get_namespaced_custom_object(*API, HOME, "kustomizations", name).get("status", {})
            ready = next((each for each in status.get("conditions", []) if each["type"] == "Ready"), None)
            if status.get("lastHandledReconcileAt") == token and ready and ready["status"] != "Unknown":
                return dict(ready)
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"Flux did not reconcile {name} in time: {json.dumps(status)}")

    def _put(self, plural: str, manifest: Manifest, api: tuple[str, str]) -> None:
        try:
            self._custom.create_namespaced_custom_object(*api, HOME, plural, manifest, field_validation="Strict")
        except client.ApiException as error:
            if error.status != 409:
                raise
            name = manifest["metadata"]["name"]
            self._custom.patch_namespaced_custom_object(*api, HOME, plural, name, manifest)

    def _remove_all(self) -> None:
        """Let the controller take its finalizers away; what it has applied stays, because nothing here is pruned."""
        self._custom.delete_collection_namespaced_custom_object(*API, HOME, "kustomizations")
        deadline = time.monotonic() + HANDLED_SECONDS_MAX
        while self._custom.list_namespaced_custom_object(*API, HOME, "kustomizations")["items"]:
            assert time.monotonic() < deadline, "Flux does not let its Kustomizations go"
            time.sleep(0.05)


def _asked() -> tuple[Manifest, str]:
    token = uuid.uuid4().hex
    return {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}, token


class _Offers(http.server.ThreadingHTTPServer):
    """Serves what is offered, by path."""

    daemon_threads = True

    def __init__(self) -> None:
        self.offered: dict[str, bytes] = {}
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.server.offered.get(self.path)  # type: ignore[attr-defined] # always our _Offers
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, *arguments: object) -> None:
        pass


def _serve() -> _Offers:
    server = _Offers()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _packed(tree: Tree) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, manifest in sorted(tree.items()):
            data = yaml.safe_dump(manifest).encode()
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _kustomization_kind(layout: Layout) -> Manifest:
    """The kind as its authors publish it, from the module that the program was built from."""
    go = gosource.find(layout)
    assert go is not None, "Go is needed to find the module of kustomize-controller"
    argv = [str(go), "mod", "download", "-C", str(layout.toolchain / "flux"), "-json", MODULE]
    found = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300)
    return dict(yaml.safe_load((Path(json.loads(found.stdout)["Dir"]) / CRD_IN_MODULE).read_text()))


def _source_kinds() -> list[Manifest]:
    """The kinds of sources that the controller watches, without a schema: only the last one is ever made here."""
    kinds = {
        "GitRepository": "gitrepositories",
        "OCIRepository": "ocirepositories",
        "Bucket": "buckets",
        "ExternalArtifact": "externalartifacts",
    }
    group, version = SOURCES
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "subresources": {"status": {}}}
    return [
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "group": group,
                "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
                "scope": "Namespaced",
                "versions": [{**served, "schema": {"openAPIV3Schema": anything}}],
            },
        }
        for kind, plural in kinds.items()
    ]
