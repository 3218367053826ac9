"""A real API server with the chart's rights and policies, asked in anybody's name."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3
import yaml

from moorage.desired import namespace as desired_namespace
from moorage.kube import kinds
from moorage.kube.login import Credentials
from moorage.model import names
from moorage.model import namespace as tenants
from tests import factories
from tests.chart import rendering

CRDS = Path(__file__).parents[3] / "crds"
VOLUME_SNAPSHOTS = Path(__file__).parents[1] / "volume_snapshots.yaml"
APPLY = "fieldManager=contract&force=true"
DRY = "dryRun=All"
BUSY = (404, 429, 503)
TRIES_MAX = 500
# Of what the chart has: groups and kinds. Nothing runs here.
RIGHTS_AND_POLICIES = {"rbac.authorization.k8s.io", "admissionregistration.k8s.io", "ServiceAccount", "ConfigMap"}
OURS, THEIRS = "mn-acme", "mn-other"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Who:
    """Somebody who asks: a name and groups."""

    name: str
    groups: tuple[str, ...] = ()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Impersonation."""
        groups = [("Impersonate-Group", group) for group in (*self.groups, "system:authenticated")]
        return [("Impersonate-User", self.name), *groups]

    def within(self, *groups: str) -> "Who":
        """The same, in more groups."""
        return Who(self.name, (*self.groups, *groups))


def account(namespace: str, name: str) -> Who:
    """A service account."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return Who(f"system:serviceaccount:{namespace}:{name}", groups)


OPERATOR = account(rendering.NAMESPACE, "moorage-operator")
API = account(rendering.NAMESPACE, "moorage-api")
MOVER = account(OURS, "moorage-mover")
# May do everything by its role, as continuous deployment often may: only a policy can stop it.
ADMINISTRATOR = Who("somebody-with-every-right")
BREAK_GLASS = Who("somebody-with-every-right", ("moorage:break-glass",))
# Has the cluster's own role `admin` in its core namespace.
TENANT = Who("ann")
JOBS = account("kube-system", "job-controller")
SLICES = account("kube-system", "endpointslice-controller")
COLLECTOR = account("kube-system", "generic-garbage-collector")
KUBELET = Who("system:node:one", ("system:nodes",))
EVERY_RIGHT = (ADMINISTRATOR, KUBELET, JOBS, COLLECTOR, SLICES)


class Guarded:
    """The server; where nobody is named, the owner of the kubeconfig asks."""

    def __init__(self, kubeconfig: str) -> None:
        config = yaml.safe_load(Path(kubeconfig).read_text())
        cluster = config["clusters"][0]["cluster"]
        self._token = config["users"][0]["user"]["token"]
        self._server, self._authority = cluster["server"], cluster["certificate-authority"]
        at = urlsplit(self._server)
        self._pool = urllib3.HTTPSConnectionPool(at.hostname, at.port, ca_certs=self._authority)

    def ask(
        self, who: Who | None, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, Manifest]:
        """One request in somebody's name."""
        headers = urllib3.HTTPHeaderDict({"Authorization": f"Bearer {self._token}", "Content-Type": content_type})
        for name, value in who.headers if who else ():
            headers.add(name, value)
        answer = self._pool.request(
            method, path, body=None if body is None else json.dumps(body), headers=headers, retries=False
        )
        return answer.status, json.loads(answer.data) if answer.data[:1] == b"{" else {"message": str(answer.data)}

    def apply(self, who: Who | None, manifest: Mapping[str, Any], query: str = "") -> tuple[int, Manifest]:
        """Server-side apply."""
        path = f"{path_of(manifest)}?{APPLY}&{query}"
        return self.ask(who, "PATCH", path, manifest, "application/apply-patch+yaml")

    def patch(self, who: Who | None, path: str, change: Any, query: str = DRY) -> tuple[int, Manifest]:
        """A merge patch."""
        return self.ask(who, "PATCH", f"{path}?{query}", change, "application/merge-patch+json")

    def make(self, manifest: Mapping[str, Any], who: Who | None = None) -> None:
        """Make an object as the operator would; a kind that is new is waited for."""
        once = manifest["kind"] in ("Pod", "Job")
        for _ in range(TRIES_MAX):
            if once:
                status, answer = self.ask(who, "POST", path_of(manifest).rpartition("/")[0], manifest)
            else:
                status, answer = self.apply(who, manifest)
            if status not in BUSY:
                break
        assert status in (200, 201), answer

    def credentials(self, who: Who) -> Credentials:
        """What a process of ours would be given to act as its service account."""
        namespace, name = who.name.split(":")[-2:]
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        status, answer = self.ask(None, "POST", path, request)
        assert status == 201, answer
        return Credentials(server=self._server, ca_file=self._authority, token=answer["status"]["token"])

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Ask again and again until something is so."""
        if not any(reached() for _ in range(TRIES_MAX)):
            raise AssertionError(f"it never came about that {what}")

    def set_up(self) -> None:
        """Kinds, the chart, two tenants as the operator makes them, and the people of the tests."""
        snapshots = yaml.safe_load(VOLUME_SNAPSHOTS.read_text())["items"]
        for kind in (*ROUTES, *(yaml.safe_load(file.read_text()) for file in sorted(CRDS.glob("*.yaml"))), *snapshots):
            self.make(kind)
        self.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": rendering.NAMESPACE}})
        for manifest in (*tenant(OURS), *tenant(THEIRS), *people()):
            self.make(manifest)
        for manifest in rendering.good("domains"):
            if {manifest["apiVersion"].partition("/")[0], manifest["kind"]} & RIGHTS_AND_POLICIES:
                self.make(manifest)
        self._until_in_force()

    def _until_in_force(self) -> None:
        """The server learns of all policies in one go: when the last one says no, all do."""
        last = {"apiVersion": "moorage.dev/v1alpha1", "kind": "Wallet", "metadata": {"name": "w"}}
        reserved = {**last, "metadata": {"name": "w", "labels": {"moorage.dev/managed": "true"}}, "spec": {}}
        self.until(lambda: self.apply(None, reserved, DRY)[0] == 403, "the policies are in force")


def _kind_of_routes(group: str, version: str, kind: str) -> Manifest:
    """A kind that some ingress controllers bring along, as far as policies look at it."""
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    # Names below k8s.io are reserved; this is how those who may have them say so.
    approved = {"api-approved.kubernetes.io": "unapproved, for a test"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": approved},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


ROUTES = (
    _kind_of_routes("gateway.networking.k8s.io", "v1", "HTTPRoute"),
    _kind_of_routes("traefik.io", "v1alpha1", "IngressRoute"),
)


def path_of(manifest: Mapping[str, Any]) -> str:
    """Where an object is."""
    version, metadata = manifest["apiVersion"], manifest["metadata"]
    plural = PLURALS.get((version, manifest["kind"])) or manifest["kind"].lower() + "s"
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{place}/{plural}/{quote(metadata['name'])}"


ADMISSION = "admissionregistration.k8s.io/v1"
PLURALS = {(kind.api_version, kind.kind): kind.plural for kind in kinds.ALL} | {
    ("v1", "Endpoints"): "endpoints",
    (ADMISSION, "MutatingAdmissionPolicy"): "mutatingadmissionpolicies",
}


def tenant(namespace: str) -> list[Manifest]:
    """A core namespace and what is in it, as the operator makes it."""
    name = names.tenant_of(namespace)
    metadata = {"name": name, "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "generation": 1}
    given = {"metadata": metadata, "spec": {"walletRef": {"name": name}}}
    return desired_namespace.children(tenants.from_manifest(given), factories.platform(), waiting_address="10.123.0.80")


def people() -> list[Manifest]:
    """Everybody's rights but the platform's: the built-in roles of a bare server are not aggregated by anybody."""
    subjects = [{"kind": "User", "name": who.name, "apiGroup": "rbac.authorization.k8s.io"} for who in EVERY_RIGHT]
    roles = ("view", "edit", "admin")
    return [
        _binding("ClusterRoleBinding", "every-right", "cluster-admin", subjects),
        *(
            _binding("RoleBinding", f"tenant-{role}", role, [{"kind": "User", "name": TENANT.name}], namespace=OURS)
            for role in (*(f"system:aggregate-to-{role}" for role in roles), "moorage-tenant-edit")
        ),
    ]


def _binding(kind: str, name: str, role: str, subjects: list[Manifest], **metadata: str) -> Manifest:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, **subject} for subject in subjects],
    }
