"""Every resource that the server has, tried by every account and role of ours; open is what the golden files say."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from tests.contract.guard.cluster import API, MOVER, OPERATOR, OURS, TENANT, THEIRS, Guarded, Manifest, Who
from tests.contract.guard.probes.probe import EDITOR, VIEWER, Probe

GOLDEN = Path(__file__).parents[3] / "golden" / "rights"
ROLES = {"operator": OPERATOR, "api": API, "mover": MOVER, "tenant-edit": EDITOR, "tenant-view": VIEWER}
PLACES = {OURS: "core namespace", THEIRS: "core namespace of another", "kube-system": "kube-system"}
METHODS = {"get": "GET", "list": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE"}
# What everybody with a name may ask, about themselves.
OF_ONESELF = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
RBAC = "rbac.authorization.k8s.io"
ESCALATIONS = (
    *(("impersonate", "", what) for what in ("users", "groups", "serviceaccounts")),
    *(("impersonate", "authentication.k8s.io", what) for what in ("uids", "userextras/scopes")),
    *((verb, RBAC, what) for verb in ("escalate", "bind") for what in ("roles", "clusterroles")),
    *((verb, "certificates.k8s.io", "signers") for verb in ("approve", "sign", "attest")),
    ("update", "certificates.k8s.io", "certificatesigningrequests/approval"),
    ("create", "", "serviceaccounts/token"),
    ("create", "", "nodes/proxy"),
    ("get", "", "nodes/proxy"),
    ("get", "", "secrets"),
    ("watch", "", "secrets"),
    ("create", "", "pods/exec"),
    ("create", "", "persistentvolumes"),
    ("patch", "admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("patch", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("*", "*", "*"),
)
URLS = ("/metrics", "/logs/", "/debug/pprof/", "/configz", "/flagz", "/statusz")


def _open() -> dict[str, dict[str, set[tuple[str, str]]]]:
    """Role by role and place by place what is open: resource and verb."""
    found: dict[str, dict[str, set[tuple[str, str]]]] = {}
    for role in ROLES:
        told: Mapping[str, list[str]] = yaml.safe_load((GOLDEN / f"{role}.yaml").read_text())
        pairs = {
            place: {(what, verb) for line in lines for what, verb in _pairs(line)} for place, lines in told.items()
        }
        everywhere = pairs.pop("everywhere")
        found[role] = {place: more | everywhere for place, more in pairs.items()}
    return found


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    what, _, verbs = line.rpartition(": ")
    # A right for one name is none for the name that is tried here.
    yield from ((what, verb) for verb in verbs.split() if " " not in what)


def resources(server: Guarded) -> list[tuple[str, str, Manifest]]:
    """Group, path and description of everything that the server serves."""
    _, core = server.ask(None, "GET", "/api/v1")
    found = [("", "/api/v1", each) for each in core["resources"]]
    _, groups = server.ask(None, "GET", "/apis")
    for group in groups["groups"]:
        path = f"/apis/{group['preferredVersion']['groupVersion']}"
        _, listed = server.ask(None, "GET", path)
        found += [(group["name"], path, each) for each in listed["resources"]]
    return found


def probes(server: Guarded) -> Iterator[Probe]:
    """Each role at each resource in each place; and a tenant with the cluster's own role, outside of its namespace."""
    served, opened = resources(server), _open()
    for role, who in ROLES.items():
        for place, name in PLACES.items():
            yield from _tried(who, served, place, opened[role][name])
        yield from _tried(who, served, None, opened[role]["kube-system"])
    for foreign in (THEIRS, "kube-system", None):
        yield from _tried(TENANT, served, foreign, set())


def _tried(
    who: Who, served: list[tuple[str, str, Manifest]], place: str | None, opened: set[tuple[str, str]]
) -> Iterator[Probe]:
    """Every verb at every resource of one place, but for those that are open."""
    for group, root, resource in served:
        name: str = resource["name"]
        if resource["namespaced"] != (place is not None) or name in OF_ONESELF:
            continue
        what = f"{name}.{group}".rstrip(".")
        folder = f"{root}/namespaces/{place}" if place else root
        for verb in sorted(METHODS.keys() & set(resource["verbs"])):
            if (what, verb) in opened:
                continue
            yield Probe(f"{verb} {what} in {place}", who, METHODS[verb], _path(folder, name, verb), *_body(verb))


def _path(folder: str, resource: str, verb: str) -> str:
    kind, _, sub = resource.partition("/")
    if sub:
        return f"{folder}/{kind}/x/{sub}?dryRun=All"
    one = "" if verb in ("list", "create") else "/x"
    return f"{folder}/{kind}{one}?dryRun=All"


def _body(verb: str) -> tuple[Manifest | None, str]:
    return ({}, "merge-patch+json") if verb == "patch" else ({} if verb == "create" else None, "json")


def escalations() -> Iterator[Probe]:
    """What leads to other rights, asked of the server itself in each place; and its own pages."""
    for who in (*ROLES.values(), TENANT):
        for verb, group, resource in ESCALATIONS:
            for place in (OURS, THEIRS, "kube-system", ""):
                if who == TENANT and place == OURS:
                    continue  # the cluster's role `admin` is the cluster's business there
                what, _, sub = resource.partition("/")
                wanted = {"verb": verb, "group": group, "resource": what, "subresource": sub, "namespace": place}
                review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
                body = {**review, "spec": {"resourceAttributes": wanted}}
                yield Probe(f"{verb} {group} {resource} in {place}", who, "POST", ACCESS, body, gained=_is_allowed)
        for url in URLS:
            yield Probe(f"reads {url}", who, "GET", url)


def _is_allowed(answer: Manifest) -> bool:
    return bool(answer["status"]["allowed"])


def allowed(server: Guarded) -> Iterator[tuple[str, Probe]]:
    """Everything that the golden files open to reading: none of it may be forbidden."""
    opened = _open()
    for role, who in ROLES.items():
        for group, root, resource in resources(server):
            what = f"{resource['name']}.{group}".rstrip(".")
            for verb in ("get", "list"):
                if (what, verb) in opened[role]["core namespace"] and verb in resource["verbs"]:
                    folder = f"{root}/namespaces/{OURS}" if resource["namespaced"] else root
                    yield verb, Probe(f"{verb} {what}", who, "GET", _path(folder, resource["name"], verb))
