"""The operator's self-check sees every policy that is missing, narrowed or weakened, on a real API server."""

import asyncio
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from moorage.kube.client import Client
from moorage.kube.policies import CONFIG_MAP, KEY, Policies
from tests.chart import rendering
from tests.contract.guard import scene
from tests.contract.guard.cluster import ADMISSION, API, OPERATOR, Guarded, Manifest, Who, path_of

pytestmark = pytest.mark.cluster

# Policies of the test's own, about nothing: those of the chart stay in force for the other tests.
NAMESPACE = "self-check"
NAME = "self-check"
SPEC: Manifest = {
    "failurePolicy": "Fail",
    "matchConstraints": {
        "matchPolicy": "Equivalent",
        "resourceRules": [
            {"apiGroups": ["example.com"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["things"],
             "scope": "Namespaced"},
        ],
    },
    "validations": [{"expression": "false", "reason": "Forbidden", "message": "no"}],
}  # fmt: skip
BINDING: Manifest = {"policyName": NAME, "validationActions": ["Deny"]}
# What the chart's own store needs, and nobody asks for here.
NEEDED = {"store.endpoint": "https://store.example.com", "store.accessKey": "key"}
Edit = Callable[[Manifest, Manifest], object]


def found_by(server: Guarded, who: Who, namespace: str) -> frozenset[str]:
    """What the self-check finds to be missing in somebody's name."""

    async def look() -> frozenset[str]:
        async with Client.connect(server.credentials(who)) as client:
            policies = Policies(client, namespace)
            assert not policies.in_force(), "nothing is known before the first look"
            await policies.look()
            assert policies.in_force() == (not policies.missing)
            return policies.missing

    return asyncio.run(look())


def put(server: Guarded, kind: str, spec: Manifest | None, *, labelled: bool = True) -> None:
    """Make the policy, or its binding, be so, or not be there."""
    labels = {"app.kubernetes.io/part-of": "moorage"} if labelled else {}
    manifest = scene.made(ADMISSION, kind, NAME, namespace=None, metadata={"labels": labels}, spec=spec)
    status, answer = server.ask(None, "DELETE", path_of(manifest))
    assert status in (200, 404), answer
    if spec is not None:
        status, answer = server.ask(None, "POST", path_of(manifest).rpartition("/")[0], manifest)
        assert status == 201, answer


def rendered(server: Guarded, text: str) -> None:
    """What the chart is said to have rendered."""
    server.make(scene.made("v1", "Namespace", NAMESPACE, namespace=None))
    server.make(scene.made("v1", "ConfigMap", CONFIG_MAP, namespace=NAMESPACE, data={KEY: text}))


@pytest.fixture
def installed(guarded: Guarded) -> Guarded:
    """A server on which the policy is as it was rendered."""
    rendered(guarded, json.dumps({NAME: SPEC}))
    put(guarded, "ValidatingAdmissionPolicy", SPEC)
    put(guarded, "ValidatingAdmissionPolicyBinding", BINDING)
    return guarded


def test_what_the_chart_installs_is_in_force(guarded: Guarded) -> None:
    assert found_by(guarded, OPERATOR, rendering.NAMESPACE) == frozenset()


EDITS: dict[str, Edit] = {
    "it lets errors pass": lambda policy, _: policy.update(failurePolicy="Ignore"),
    "it has an exception": lambda policy, _: policy.update(matchConditions=[{"name": "x", "expression": "false"}]),
    "it is about less": lambda policy, _: policy["matchConstraints"]["resourceRules"][0].update(operations=["DELETE"]),
    "it leaves something out": lambda policy, _: policy["matchConstraints"].update(
        excludeResourceRules=policy["matchConstraints"]["resourceRules"]
    ),
    "it is about one name": lambda policy, _: policy["matchConstraints"]["resourceRules"][0].update(
        resourceNames=["x"]
    ),
    "it is about some namespaces": lambda policy, _: policy["matchConstraints"].update(
        namespaceSelector={"matchLabels": {"x": "y"}}
    ),
    "it is about some objects": lambda policy, _: policy["matchConstraints"].update(
        objectSelector={"matchLabels": {"x": "y"}}
    ),
    "it says yes": lambda policy, _: policy["validations"][0].update(expression="true"),
    "a rule is gone": lambda policy, _: policy.update(
        validations=[], auditAnnotations=[{"key": "x", "valueExpression": "''"}]
    ),
    "it only warns": lambda _, binding: binding.update(validationActions=["Warn"]),
    "it only takes notes": lambda _, binding: binding.update(validationActions=["Audit"]),
    "it is bound to some namespaces": lambda _, binding: binding.update(
        matchResources={"namespaceSelector": {"matchLabels": {"x": "y"}}}
    ),
    "another is bound": lambda _, binding: binding.update(policyName="moorage-status"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_policy_is_missed_when(installed: Guarded, name: str) -> None:
    policy, binding = copy.deepcopy(SPEC), copy.deepcopy(BINDING)
    EDITS[name](policy, binding)
    assert (policy, binding) != (SPEC, BINDING)
    put(installed, "ValidatingAdmissionPolicy", policy)
    put(installed, "ValidatingAdmissionPolicyBinding", binding)
    assert found_by(installed, OPERATOR, NAMESPACE) == {NAME}


def test_it_is_missed_when_it_or_its_binding_is_gone(installed: Guarded) -> None:
    assert found_by(installed, OPERATOR, NAMESPACE) == frozenset()
    put(installed, "ValidatingAdmissionPolicyBinding", None)
    assert found_by(installed, OPERATOR, NAMESPACE) == {NAME}
    put(installed, "ValidatingAdmissionPolicyBinding", BINDING)
    put(installed, "ValidatingAdmissionPolicy", None)
    assert found_by(installed, OPERATOR, NAMESPACE) == {NAME}
    put(installed, "ValidatingAdmissionPolicy", SPEC)
    assert found_by(installed, OPERATOR, NAMESPACE) == frozenset()


@pytest.mark.parametrize("text", ["", "{}", "not JSON", '{"x": 1}'])
def test_nothing_is_in_force_when_nobody_knows_what_was_rendered(installed: Guarded, text: str) -> None:
    rendered(installed, text)
    assert found_by(installed, OPERATOR, NAMESPACE) == {CONFIG_MAP}


def test_nothing_is_in_force_when_nothing_was_rendered(guarded: Guarded) -> None:
    assert found_by(guarded, OPERATOR, "default") == {CONFIG_MAP}


def test_nothing_is_in_force_for_who_may_not_look(installed: Guarded) -> None:
    assert found_by(installed, API, NAMESPACE) == {CONFIG_MAP}


def test_volumes_are_of_the_chosen_classes_where_some_are_chosen(guarded: Guarded) -> None:
    found = rendering.template({**NEEDED, "admission.storageClasses": ["fast", "safe"]}).objects()
    policy, binding = (item for item in found if item["metadata"]["name"] == "moorage-storage-classes")
    spec: dict[str, Any] = policy["spec"]
    spec["matchConstraints"]["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
    rendered(guarded, "{}")
    put(guarded, "ValidatingAdmissionPolicy", spec, labelled=False)
    put(guarded, "ValidatingAdmissionPolicyBinding", {**binding["spec"], "policyName": NAME}, labelled=False)
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    path = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims?dryRun=All"

    def claimed(**more: str) -> int:
        body = scene.made("v1", "PersistentVolumeClaim", namespace=NAMESPACE, spec={**claim, **more})
        return guarded.ask(None, "POST", path, body)[0]

    guarded.until(lambda: claimed(storageClassName="cheap") == 403, "the policy is in force")
    assert claimed() == 403
    assert claimed(storageClassName="fast") == claimed(storageClassName="safe") == 201
    put(guarded, "ValidatingAdmissionPolicyBinding", None)
    put(guarded, "ValidatingAdmissionPolicy", None)
