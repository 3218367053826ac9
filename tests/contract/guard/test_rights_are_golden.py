"""What each account of the platform may do, as the API server itself says; `UPDATE_GOLDEN=1` rewrites the files."""

import os
from pathlib import Path

import pytest
import yaml

from tests.chart import rendering
from tests.contract.guard import scene
from tests.contract.guard.cluster import API, MOVER, OPERATOR, OURS, THEIRS, Guarded, Manifest, Who, account

pytestmark = pytest.mark.cluster

GOLDEN = Path(__file__).parents[2] / "golden" / "rights"
NOBODY = account("default", "nobody-in-particular")
EDITOR, VIEWER = Who("editor"), Who("viewer")
WHO = {"operator": OPERATOR, "api": API, "mover": MOVER, "tenant-edit": EDITOR, "tenant-view": VIEWER}
# The first stands for every namespace without a binding: what is said there may be done in all of them.
PLACES = {
    "everywhere": "somebody-elses",
    "default": "default",
    "core namespace": OURS,
    "core namespace of another": THEIRS,
    "kube-system": "kube-system",
}
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
TENANT_ROLES = {"tenant-edit": EDITOR, "tenant-view": VIEWER}
# Certificates of host names; a policy keeps the operator to those that it made.
WRITE_ONLY = {("secrets", verb) for verb in ("create", "patch", "delete")}
NEVER = ("escalate", "impersonate", "approve", "sign", "*")


@pytest.fixture(scope="module")
def bound(guarded: Guarded) -> Guarded:
    """Two people who have the roles for tenants in one core namespace."""
    for role, who in TENANT_ROLES.items():
        guarded.make(scene.binding(f"moorage-{role}", who.name))
    return guarded


def _rules(server: Guarded, who: Who, namespace: str) -> set[tuple[str, str]]:
    """What the server says somebody may do there: resource (with its one name, if the right is for one) and verb."""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    status, answer = server.ask(who, "POST", REVIEW, body)
    assert status == 201, answer
    assert not answer["status"]["incomplete"]
    rules = set[tuple[str, str]]()
    for rule in answer["status"]["resourceRules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                what = f"{resource}.{group}".rstrip(".")
                for name in rule.get("resourceNames") or [""]:
                    rules |= {(f"{what} {name}".strip(), verb) for verb in rule["verbs"]}
    return rules


def _told(server: Guarded, who: Who) -> dict[str, list[str]]:
    """Place by place what somebody may do beyond what anybody may, and beyond what they may everywhere."""
    told, everywhere = dict[str, list[str]](), set[tuple[str, str]]()
    for place, namespace in PLACES.items():
        rules = _rules(server, who, namespace) - _rules(server, NOBODY, namespace) - everywhere
        everywhere = everywhere or rules
        verbs: dict[str, list[str]] = {}
        for what, verb in sorted(rules):
            verbs.setdefault(what, []).append(verb)
        told[place] = [f"{what}: {' '.join(may)}" for what, may in verbs.items()]
    return told


@pytest.mark.parametrize("name", WHO)
def test_rights_are_what_the_golden_file_says(bound: Guarded, name: str) -> None:
    text = yaml.safe_dump(_told(bound, WHO[name]), sort_keys=False, width=160)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        (GOLDEN / f"{name}.yaml").write_text(text)
    assert text == (GOLDEN / f"{name}.yaml").read_text()


def test_nobody_may_what_leads_to_every_right(bound: Guarded) -> None:
    for who in WHO.values():
        for namespace in PLACES.values():
            for what, verb in _rules(bound, who, namespace) - _rules(bound, NOBODY, namespace):
                assert verb not in NEVER, (who, what)
                assert (what, verb) in WRITE_ONLY or not what.startswith("secrets"), (who, what, verb)
                assert not what.startswith(("pods/exec", "pods/attach", "nodes/proxy")), (who, what, verb)
                assert verb != "bind" or what == "clusterroles.rbac.authorization.k8s.io moorage-tenant-work", who


SECRETS = "/api/v1/namespaces/kube-system/secrets"
TRIED: dict[str, tuple[str, str, Manifest | None]] = {
    "bind cluster-admin everywhere": ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
                                      scene.binding("cluster-admin", "x", kind="ClusterRoleBinding")),
    "bind cluster-admin in a core namespace": (
        "POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{OURS}/rolebindings",
        scene.binding("cluster-admin", "x")),
    "bind a tenant's role": (
        "POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{OURS}/rolebindings",
        scene.binding("moorage-tenant-edit", "x")),
    "read a Secret of the cluster": ("GET", f"{SECRETS}/x", None),
    "list the Secrets of the cluster": ("GET", SECRETS, None),
    "list all Secrets": ("GET", "/api/v1/secrets", None),
    "read a tenant's Secret": ("GET", f"/api/v1/namespaces/{OURS}/secrets/x", None),
    "start a pod of the cluster": (
        "POST", "/api/v1/namespaces/kube-system/pods",
        {**scene.pod(), "metadata": {"name": "x", "namespace": "kube-system"}}),
    "get a token of another account": (
        "POST", "/api/v1/namespaces/kube-system/serviceaccounts/default/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}),
    "look into a pod": ("POST", f"/api/v1/namespaces/{OURS}/pods/x/exec?command=id&stdout=1", {}),
    "change a policy": (
        "DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/moorage-status", None),
}  # fmt: skip


@pytest.mark.parametrize("name", WHO)
@pytest.mark.parametrize("tried", TRIED)
def test_no_account_of_ours_may(bound: Guarded, name: str, tried: str) -> None:
    method, path, body = TRIED[tried]
    status, answer = bound.ask(WHO[name], method, path, body)
    assert status == 403, answer


def test_no_role_of_the_chart_reads_secrets() -> None:
    roles = [manifest for manifest in rendering.good("domains") if manifest["kind"] in ("ClusterRole", "Role")]
    assert len(roles) >= 5
    for role in roles:
        named = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
        assert {may for may in named if may[0] in ("secrets", "*")} <= WRITE_ONLY, role["metadata"]["name"]
    without = [rule for role in rendering.good("minimal") for rule in role.get("rules", ())]
    assert not any({"secrets", "ingresses", "endpointslices"} & set(rule["resources"]) for rule in without)


def test_bindings_lead_to_the_accounts_of_the_release_namespace_only() -> None:
    bindings = [
        manifest for manifest in rendering.good("domains") if manifest["kind"] in ("ClusterRoleBinding", "RoleBinding")
    ]
    subjects = [subject for binding in bindings for subject in binding["subjects"]]
    assert {(subject["kind"], subject["namespace"]) for subject in subjects} == {
        ("ServiceAccount", rendering.NAMESPACE)
    }
