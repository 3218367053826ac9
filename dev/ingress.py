"""The ingress controller of the test bed: Caddy, told by a small translator what the cluster's Ingress objects say."""

import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self  # objects of the cluster are free-form

from kubernetes import client, config

from dev import processes, toolchain
from dev.layout import Layout

NAME = "ingress"
LOOK_SECONDS = 0.3
START_SECONDS_MAX = 20.0
KINDS = {
    "ingresses": "/apis/networking.k8s.io/v1/ingresses",
    "services": "/api/v1/services",
    "slices": "/apis/discovery.k8s.io/v1/endpointslices",
    "secrets": "/api/v1/secrets?fieldSelector=type%3Dkubernetes.io%2Ftls",
}

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """What of the cluster an ingress controller looks at."""

    ingresses: Iterable[Manifest] = ()
    services: Iterable[Manifest] = ()
    slices: Iterable[Manifest] = ()
    secrets: Iterable[Manifest] = ()


def configuration(found: Found, *, listen: str, admin: str) -> dict[str, Any]:
    """Caddy's configuration for these objects; pure."""
    routes = [_route(found, ingress, rule) for ingress in found.ingresses for rule in ingress["spec"].get("rules", ())]
    server = {
        "listen": [listen],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        # Who asks for another name than the certificate was for is told 421.
        "strict_sni_host": True,
        "tls_connection_policies": [{}],
        "routes": [*routes, {"handle": [{"handler": "static_response", "status_code": 404}]}],
    }
    wanted = {
        (item["metadata"]["namespace"], tls["secretName"])
        for item in found.ingresses
        for tls in item["spec"].get("tls", ())
    }
    pairs = [_pair(each) for each in found.secrets if _place(each) in wanted]
    apps = {"http": {"servers": {"edge": server}}, "tls": {"certificates": {"load_pem": pairs}}}
    return {"admin": {"listen": admin, "config": {"persist": False}}, "apps": apps}


def _route(found: Found, ingress: Manifest, rule: Manifest) -> dict[str, Any]:
    (path,) = rule["http"]["paths"]  # whatever else there is, nobody here makes
    assert (path["path"], path["pathType"]) == ("/", "Prefix")
    backend = path["backend"]["service"]
    dials = _dials(found, ingress["metadata"]["namespace"], backend["name"], backend["port"]["number"])
    handler: dict[str, Any] = {"handler": "static_response", "status_code": 503}
    if dials:
        handler = {"handler": "reverse_proxy", "upstreams": [{"dial": dial} for dial in dials]}
    return {"match": [{"host": [rule["host"]]}], "handle": [handler], "terminal": True}


def _dials(found: Found, namespace: str, service: str, port: int) -> list[str]:
    """Where the pods behind one port of a Service answer."""
    services = [each for each in found.services if _place(each) == (namespace, service)]
    names = {each.get("name") for item in services for each in item["spec"]["ports"] if each["port"] == port}
    dials = []
    for item in found.slices:
        owner = (item["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
        if (item["metadata"]["namespace"], owner) != (namespace, service):
            continue
        ports = [each["port"] for each in item.get("ports") or () if each.get("name") in names]
        for endpoint in item.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                dials += [f"{address}:{target}" for address in endpoint["addresses"] for target in ports]
    return sorted(dials)


def _pair(secret: Manifest) -> dict[str, str]:
    data = {name: base64.b64decode(text).decode() for name, text in secret["data"].items()}
    return {"certificate": data["tls.crt"], "key": data["tls.key"]}


def _place(item: Manifest) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


class OverSocket(http.client.HTTPConnection):
    """HTTP to a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass
class Ingress:
    """Caddy on the node's network; it listens on a socket of the file system, which every network sees."""

    layout: Layout
    _stop: threading.Event = field(default_factory=threading.Event)
    _loaded: str = field(default="", repr=False)  # has keys in it

    @property
    def door(self) -> Path:
        """Where visitors connect, for TLS."""
        return self.layout.run / "edge.sock"

    @property
    def _admin(self) -> Path:
        return self.layout.run / "edge-admin.sock"

    def __enter__(self) -> Self:
        """Start Caddy and follow the cluster."""
        program = toolchain.program(self.layout, "caddy")
        for stale in (self.door, self._admin):
            stale.unlink(missing_ok=True)
        first = self.layout.run / "edge.json"
        first.write_text(json.dumps(self._configuration(Found())))
        # Caddy keeps what it makes up for itself below its home.
        home = {"HOME": str(self.layout.run), "XDG_DATA_HOME": str(self.layout.run / "edge")}
        processes.start(self.layout, NAME, [str(program), "run", "--config", str(first)], inside=True, env=home)
        processes.wait(self.layout, NAME, self.door.exists, seconds=START_SECONDS_MAX, what="its socket")
        threading.Thread(target=self._follow, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both."""
        self._stop.set()
        processes.stop(self.layout, NAME)

    def _configuration(self, found: Found) -> dict[str, Any]:
        return configuration(found, listen=f"unix/{self.door}", admin=f"unix/{self._admin}|0600")

    def _follow(self) -> None:
        server = config.new_client_from_config(str(self.layout.kubeconfig))  # type: ignore[no-untyped-call] # it has no types
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self._load(Found(**{name: _listed(server, path) for name, path in KINDS.items()}))
            except (OSError, client.ApiException, http.client.HTTPException):
                continue  # the next look is soon

    def _load(self, found: Found) -> None:
        wanted = json.dumps(self._configuration(found), sort_keys=True)
        if wanted == self._loaded:
            return
        admin = OverSocket(self._admin)
        try:
            admin.request("POST", "/load", wanted, {"Content-Type": "application/json"})
            if admin.getresponse().status == http.client.OK:
                self._loaded = wanted
        finally:
            admin.close()


def _listed(server: Any, path: str) -> list[Manifest]:  # Any: the official client has no types
    headers = {"Accept": "application/json"}
    server.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
    answer = server.call_api("GET", f"{server.configuration.host}{path}", header_params=headers, _request_timeout=10)
    items: list[Manifest] = json.loads(answer.read())["items"]
    return items
