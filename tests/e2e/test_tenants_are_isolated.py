"""Tenants cannot reach each other, the platform's own services, or the API server; nor leave the restricted profile."""

import json
from collections.abc import Callable

import pytest

from dev.trouble import Trouble
from tests.e2e.cluster import Manifest
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Tenant

pytestmark = pytest.mark.cluster

CONNECT_SECONDS = 2
# Runs in an agent's pod: tries every address and prints which of them answered.
PROBE = f"""
import json, socket, sys
def reaches(host, port):
    try:
        socket.create_connection((host, int(port)), timeout={CONNECT_SECONDS}).close()
    except OSError:
        return False
    return True
print(json.dumps({{place: reaches(*place.rsplit(":", 1)) for place in sys.argv[1:]}}))
"""


def test_an_agent_reaches_no_other_tenant_and_nothing_of_the_platform(
    house: House, new_tenant: Callable[[], Tenant]
) -> None:
    one, other = new_tenant().open(PLENTY_MICROS), new_tenant().open(PLENTY_MICROS)
    forgetful: Manifest = {"storage": None, "env": None}
    ours, neighbour, theirs = one.agent(), one.agent("neighbour", **forgetful), other.agent(**forgetful)
    for helper in (ours, neighbour, theirs):
        helper.until_ready()
    assert theirs.chat("hello") == "hello", "it listens"
    pods = [helper.pod() for helper in (neighbour, theirs)]
    closed = {
        *(f"{pod['status']['podIP']}:8080" for pod in pods),
        f"{house.cluster.get('services', other.namespace, 'agent-helper')['spec']['clusterIP']}:8080",
        house.settings["MOORAGE_STORE_ENDPOINT"].removeprefix("http://"),
        house.settings["MOORAGE_MOVER_API_URL"].removeprefix("https://"),
        f"{house.cluster.get('services', 'default', 'kubernetes')['spec']['clusterIP']}:443",
    }
    pod = ours.pod()
    own = f"{pod['status']['podIP']}:8080"
    reached = json.loads(_in(house, pod, "python3", "-c", PROBE, own, *closed))
    assert reached == {own: True} | dict.fromkeys(closed, False)

    with pytest.raises(Trouble, match="No such file"):
        _in(house, pod, "ls", "/var/run/secrets/kubernetes.io/serviceaccount")
    assert pod["spec"]["automountServiceAccountToken"] is False
    environment = _in(house, pod, "env")
    assert "KUBERNETES_SERVICE_HOST" not in environment or "MOORAGE" not in environment


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
