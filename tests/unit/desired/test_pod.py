"""The hardened baseline: no pod leaves this house without it, and nothing can take a part of it away."""

from collections.abc import Iterator
from typing import Any

import pytest

from moorage.desired import agent, mover, network, pod
from moorage.desired import namespace as desired_namespace
from tests import factories

STORED = factories.agent(storage={"size": "1Gi"}, http={"port": 8080}, files={"a": "b"})


def pod_specs() -> Iterator[Any]:
    offer = factories.platform()
    *_, running = agent.children(STORED, volume_generation=1, incarnation=1, platform=offer, with_pod=True)
    yield pytest.param(running["spec"], id="agent")
    for build in (mover.capture_job, mover.restore_job):
        job = build(
            STORED, attempt_id=factories.ATTEMPT_ID, volume_name="data-helper-1", limit_seconds=3_600, platform=offer
        )
        yield pytest.param(job["spec"]["template"]["spec"], id=build.__name__)


@pytest.mark.parametrize("spec", list(pod_specs()))
def test_every_pod_has_the_complete_restricted_profile(spec: dict[str, Any]) -> None:
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "initContainers"} & spec.keys()
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("spec", list(pod_specs()))
def test_every_pod_has_bounded_cpu_memory_and_scratch_space(spec: dict[str, Any]) -> None:
    for container in spec["containers"]:
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    for volume in spec["volumes"]:
        assert "hostPath" not in volume
        assert volume.get("emptyDir", {"sizeLimit": "1"}).keys() == {"sizeLimit"}


@pytest.mark.parametrize("spec", list(pod_specs()))
def test_no_pod_is_evicted_because_its_node_is_silent(spec: dict[str, Any]) -> None:
    for taint in ("not-ready", "unreachable"):
        wanted = {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute"}
        assert wanted in spec["tolerations"]  # without tolerationSeconds: for ever


def test_the_baseline_wins_over_whatever_a_builder_adds() -> None:
    container = {"name": "agent", "securityContext": {"privileged": True}}
    spec = pod.spec(container, [], factories.platform(), restart_policy="Always", securityContext={}, hostname="a")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert "privileged" not in spec["containers"][0]["securityContext"]
    assert spec["hostname"] == "a"


def test_a_capture_cannot_write_what_it_reads_and_a_restore_can() -> None:
    for build, read_only in ((mover.capture_job, True), (mover.restore_job, None)):
        job = build(
            STORED,
            attempt_id=factories.ATTEMPT_ID,
            volume_name="data-helper-1",
            limit_seconds=3_600,
            platform=factories.platform(),
        )
        spec = job["spec"]["template"]["spec"]
        (claim,) = [item["persistentVolumeClaim"] for item in spec["volumes"] if item["name"] == "data"]
        (mount,) = [item for item in spec["containers"][0]["volumeMounts"] if item["name"] == "data"]
        assert (claim.get("readOnly"), mount.get("readOnly")) == (read_only, read_only)


def test_a_mover_gets_nothing_secret_and_only_its_own_token() -> None:
    job = mover.capture_job(
        STORED,
        attempt_id=factories.ATTEMPT_ID,
        volume_name="data-helper-1",
        limit_seconds=3_600,
        platform=factories.platform(),
    )
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert [entry["name"] for entry in container["env"]] == [
        "MOORAGE_MOVER_API_URL",
        "MOORAGE_MOVER_API_CA",
        "MOORAGE_MOVER_ATTEMPT",
    ]
    assert not any("valueFrom" in entry for entry in container["env"])
    (projected,) = [item["projected"] for item in spec["volumes"] if "projected" in item]
    token = {"audience": "moorage-mover", "expirationSeconds": 600, "path": "token"}
    assert projected == {"sources": [{"serviceAccountToken": token}]}
    assert not any("secret" in item for item in spec["volumes"])


def test_only_movers_have_a_deadline_so_that_each_counts_against_its_own_quota() -> None:
    specs = {param.id: param.values[0] for param in pod_specs()}
    assert {name: "activeDeadlineSeconds" in spec for name, spec in specs.items()} == {
        "agent": False,
        "capture_job": True,
        "restore_job": True,
    }


def test_an_attempt_is_one_try() -> None:
    job = mover.restore_job(
        STORED,
        attempt_id=factories.ATTEMPT_ID,
        volume_name="data-helper-1",
        limit_seconds=3_600,
        platform=factories.platform(),
    )
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]
    assert job["metadata"]["labels"]["moorage.dev/attempt"] == factories.ATTEMPT_ID


def test_a_tenant_is_denied_before_anything_is_allowed() -> None:
    kinds = [manifest["kind"] for manifest in desired_namespace.children(factories.tenant(), factories.platform())]
    assert kinds[:3] == ["Namespace", "RoleBinding", "NetworkPolicy"]
    denial, *allowed = network.policies(factories.tenant(), factories.platform())
    assert denial["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}
    assert [policy["spec"]["ingress"] for policy in allowed if "ingress" in policy["spec"]] == [[]]


def test_quota_bounds_the_agents_and_leaves_movers_out() -> None:
    tenant = factories.tenant(agents=3, cpu="2", memory="4Gi", storage="30Gi")
    made = desired_namespace.children(tenant, factories.platform())
    quotas = {item["metadata"]["name"]: item["spec"] for item in made if item["kind"] == "ResourceQuota"}
    assert quotas["moorage-agents"] == {
        "hard": {
            "pods": "3",
            "requests.cpu": "2",
            "limits.cpu": "2",
            "requests.memory": "4Gi",
            "limits.memory": "4Gi",
        },
        "scopes": ["NotTerminating"],
    }
    assert quotas["moorage-objects"] == {
        "hard": {
            "requests.storage": "30Gi",
            "limits.ephemeral-storage": f"{3 * 1024 + 5 * 512}Mi",
            "persistentvolumeclaims": "130",
            "services": "130",
            "secrets": "130",
            "configmaps": "130",
            "count/jobs.batch": "130",
            "services.loadbalancers": "0",
            "services.nodeports": "0",
        }
    }
    assert quotas["moorage-movers"]["scopes"] == ["Terminating"]
