"""An agent has no token for the cluster, and its tenant cannot leave the restricted profile."""

import pytest

from dev.trouble import Trouble
from tests.e2e.cluster import Manifest
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Tenant

pytestmark = pytest.mark.cluster


def test_an_agent_has_no_token_for_the_cluster(house: House, tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(storage=None, env=None)
    helper.until_ready()
    pod = helper.pod()
    with pytest.raises(Trouble, match="No such file"):
        _in(house, pod, "ls", "/var/run/secrets/kubernetes.io/serviceaccount")
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "MOORAGE" not in _in(house, pod, "env")


def test_a_core_namespace_admits_no_pod_outside_the_restricted_profile(house: House, tenant: Tenant) -> None:
    tenant.open()
    labels = house.cluster.get("namespaces", "", tenant.namespace)["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bare", "namespace": tenant.namespace},
        "spec": {"hostNetwork": True, "containers": [{"name": "c", "image": "localhost/none"}]},
    }
    status, answer = house.cluster.create("pods", pod)
    assert (status, "violates PodSecurity" in answer["message"]) == (403, True), answer


def _in(house: House, pod: Manifest, *command: str) -> str:
    """Run a command in an agent's container."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    return house.kubectl("exec", "-n", namespace, name, "--", *command)
