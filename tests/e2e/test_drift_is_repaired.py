"""What somebody deletes or edits of our objects is put back, and nothing that still fits is replaced."""

import json
from collections.abc import Callable

import pytest

from dev.trouble import Trouble
from tests.e2e.cluster import Manifest
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Helper, Tenant

# An administrator who says so is not held up by the policies.
BREAK_GLASS = ("--as=somebody", "--as-group=system:masters", "--as-group=moorage:break-glass")

pytestmark = pytest.mark.cluster


def test_deleted_and_edited_objects_are_put_back(house: House, tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(files={"a.txt": "one"})
    helper.until_ready()
    pod = helper.pod()["metadata"]["uid"]

    _deleted(house, tenant, "services", "agent-helper")
    _edited(house, tenant, "services", "agent-helper", {"spec": {"selector": {"app": "elsewhere"}}})
    _edited(house, tenant, "services", "agent-helper", {"metadata": {"labels": {"moorage.dev/agent": "other"}}})
    _deleted(house, tenant, "configmaps", "files-helper")
    _edited(house, tenant, "configmaps", "files-helper", {"data": {"a.txt": "two"}})
    _deleted(house, tenant, "networkpolicies", "moorage-default-deny")
    _edited(house, tenant, "networkpolicies", "moorage-default-deny", {"spec": {"ingress": [{}]}})
    _edited(house, tenant, "networkpolicies", "moorage-dns", {"spec": {"egress": [{}]}})
    _edited(house, tenant, "resourcequotas", "moorage-agents", {"spec": {"hard": {"pods": "1000"}}})
    _deleted(house, tenant, "resourcequotas", "moorage-movers")
    _edited(house, tenant, "serviceaccounts", "moorage-mover", {"automountServiceAccountToken": True})
    _labelled(house, tenant)

    assert helper.pod()["metadata"]["uid"] == pod, "none of this replaced the pod"
    _pod_deleted(helper, pod)


def _deleted(house: House, tenant: Tenant, plural: str, name: str) -> None:
    before = house.cluster.get(plural, tenant.namespace, name)
    house.cluster.delete(plural, tenant.namespace, name)
    _until(house, tenant, plural, before, lambda now: now["metadata"]["uid"] != before["metadata"]["uid"])


def _edited(house: House, tenant: Tenant, plural: str, name: str, change: Manifest) -> None:
    before = house.cluster.get(plural, tenant.namespace, name)
    with pytest.raises(Trouble, match=r"denied request: .*(manages|set by the platform)"):
        _patch(house, tenant, plural, name, change)
    edited = json.loads(_patch(house, tenant, plural, name, change, *BREAK_GLASS))
    assert content(edited) != content(before), "the edit changes something"
    _until(house, tenant, plural, before, lambda now: now["metadata"]["uid"] == before["metadata"]["uid"])


def _patch(house: House, tenant: Tenant, plural: str, name: str, change: Manifest, *who: str) -> str:
    how = ("--type=merge", f"--patch={json.dumps(change)}", "--output=json", *who)
    return house.kubectl("patch", plural, name, f"--namespace={tenant.namespace}", *how)


def _until(house: House, tenant: Tenant, plural: str, before: Manifest, also: Callable[[Manifest], bool]) -> None:
    name = before["metadata"]["name"]
    house.cluster.until_one(
        plural,
        tenant.namespace,
        name,
        lambda now: content(now) == content(before) and also(now),
        f"the repair of {plural} {name}",
        seconds=60,
    )


def _labelled(house: House, tenant: Tenant) -> None:
    """The core namespace's own labels are what Pod Security goes by."""
    label = "pod-security.kubernetes.io/enforce"
    _patch(house, tenant, "namespaces", tenant.namespace, {"metadata": {"labels": {label: "privileged"}}}, *BREAK_GLASS)
    house.cluster.until_one(
        "namespaces",
        "",
        tenant.namespace,
        lambda now: now["metadata"]["labels"].get(label) == "restricted",
        "the repair of the namespace's label",
        seconds=60,
    )


def _pod_deleted(helper: Helper, uid: str) -> None:
    """A deleted pod is followed by the next incarnation, on the same volume."""
    cluster, namespace = helper.tenant.house.cluster, helper.tenant.namespace
    before, volumes = helper.pod()["metadata"]["name"], helper.volumes()
    assert helper.chat("remember the pod was deleted")
    cluster.delete("pods", namespace, before)
    cluster.until_gone("pods", namespace, name=before)
    agent = helper.until_ready()
    assert agent["status"]["podName"] != before
    assert helper.pod()["metadata"]["uid"] != uid
    assert helper.volumes() == volumes
    assert "the pod was deleted" in helper.chat("recall")


def content(item: Manifest) -> Manifest:
    """What we wrote of an object, without what the server adds to each new one."""
    # A list leaves out what all its items are.
    kept = {key: value for key, value in item.items() if key not in {"metadata", "status", "apiVersion", "kind"}}
    spec = {key: value for key, value in kept.get("spec", {}).items() if key not in {"clusterIP", "clusterIPs"}}
    return {**kept, "spec": spec, "labels": item["metadata"].get("labels", {})}
