"""From real pods: what an agent and a mover reach and what they do not, from their first instruction on."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from dev import identity, netpol, processes
from tests.e2e.cluster import Manifest
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Helper, Tenant

pytestmark = pytest.mark.cluster

# Tries every address at once and prints which of them answered, and whether names are resolved.
PROBE = """
import json, socket, sys, threading
def tried(place):
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        reached[place] = True
    except OSError:
        reached[place] = False
reached = {}
threads = [threading.Thread(target=tried, args=(place,)) for place in sys.argv[1:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
try:
    reached["names"] = bool(socket.getaddrinfo("kubernetes.default.svc.cluster.local", 443))
except OSError:
    reached["names"] = False
print(json.dumps(reached))
"""
# What an agent does first in its life: tries forbidden addresses for seconds, and tells which answered.
RUSH = """
import json, socket, sys, threading, time
def rush(place):
    host, _, port = place.rpartition(":")
    while time.monotonic() < end:
        try:
            socket.create_connection((host, int(port)), timeout=0.2).close()
            leaks.append(place)
        except OSError:
            pass
        tries.append(place)
leaks, tries, end = [], [], time.monotonic() + 2
threads = [threading.Thread(target=rush, args=(place,)) for place in sys.argv[1:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps({"tries": len(tries), "leaks": sorted(set(leaks))}), flush=True)
threading.Event().wait()
"""
STARTS_AT_ONCE, WAVES = 5, 4
PATIENCE_SECONDS = 120.0
FORGETFUL: Manifest = {"storage": None, "env": None}


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 443}"


@pytest.fixture
def node(house: House) -> set[str]:
    """What listens on the node and is nobody's business: kubelet, etcd, API server, database, store, API."""
    ip = house.layout.node_ip
    ours = {_address(house.settings["MOORAGE_STORE_ENDPOINT"]), _address(house.settings["MOORAGE_MOVER_API_URL"])}
    listening = {f"{ip}:10250", f"{ip}:6443", f"{ip}:5432", *ours}
    reached = json.loads(
        processes.run([*processes.enter(house.layout), sys.executable, "-c", PROBE, *sorted(listening)])
    )
    assert {place for place in listening if not reached[place]} == set(), "they listen, or nothing would be proven"
    return listening


@pytest.fixture
def no_engine(house: House) -> Iterator[Callable[[], None]]:
    """A cluster whose network engine has stopped, with all its rules gone; returns how to start it again."""
    layout = house.layout
    table = [*processes.enter(layout), "nft", "delete", "table", "inet", "moorage-netpol"]
    processes.stop(layout, "netpol", grace_seconds=0)
    processes.run(table)
    yield lambda: netpol.start(layout)
    netpol.start(layout)


def test_an_agent_reaches_names_and_itself_and_nothing_else(
    house: House, node: set[str], new_tenant: Callable[[], Tenant]
) -> None:
    one, other = new_tenant().open(PLENTY_MICROS), new_tenant().open(PLENTY_MICROS)
    ours, neighbour, theirs = one.agent(), one.agent("neighbour", **FORGETFUL), other.agent(**FORGETFUL)
    for helper in (ours, neighbour, theirs):
        helper.until_ready()
    assert theirs.chat("hello") == "hello", "it listens"
    service = house.cluster.get("services", other.namespace, "agent-helper")["spec"]["clusterIP"]
    api = house.cluster.get("services", "default", "kubernetes")["spec"]["clusterIP"]
    closed = {
        *(f"{helper.pod()['status']['podIP']}:8080" for helper in (neighbour, theirs)),
        *(f"{service}:8080", f"{api}:443", "169.254.169.254:80", f"{house.layout.node_ip}:2379"),
        *node,
    }
    pod = ours.pod()
    own = f"{pod['status']['podIP']}:8080"
    assert _reached(house, pod, own, *closed) == {own: True, "names": True} | dict.fromkeys(closed, False)


def test_a_mover_reaches_the_api_and_the_store_and_nothing_else(house: House, node: set[str], tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(**FORGETFUL)
    helper.until_ready()
    mover = _as_a_mover(house, helper)
    allowed = {_address(house.settings["MOORAGE_STORE_ENDPOINT"]), _address(house.settings["MOORAGE_MOVER_API_URL"])}
    closed = {f"{helper.pod()['status']['podIP']}:8080", "169.254.169.254:80"} | node - allowed
    reached = _reached(house, mover, *allowed, *closed)
    assert reached == {"names": True} | dict.fromkeys(allowed, True) | dict.fromkeys(closed, False)


def test_no_start_of_an_agent_reaches_anything_before_its_network_is_closed(
    house: House, node: set[str], new_tenant: Callable[[], Tenant]
) -> None:
    one, other = new_tenant().open(PLENTY_MICROS), new_tenant().open(PLENTY_MICROS)
    target = other.agent(**FORGETFUL)
    target.until_ready()
    places = sorted({f"{target.pod()['status']['podIP']}:8080", *node})
    rushing: Manifest = {**FORGETFUL, "http": None, "command": ["python3", "-c", RUSH, *places]}
    seen = []
    for wave in range(WAVES):
        helpers = [one.agent(f"rush-{wave}-{number}", **rushing) for number in range(STARTS_AT_ONCE)]
        for helper in helpers:
            helper.until_ready(seconds=PATIENCE_SECONDS)
        for helper in helpers:
            seen.append(_told(house, helper))
            helper.patch(desiredState="Suspended")
    assert len(seen) == STARTS_AT_ONCE * WAVES
    assert min(told["tries"] for told in seen) >= len(places), "everyone tried everything"
    assert [told["leaks"] for told in seen] == [[]] * len(seen)


def test_no_agent_starts_while_nobody_enforces_its_policies(
    house: House, no_engine: Callable[[], None], tenant: Tenant
) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(**FORGETFUL)
    helper.until_says("Ready", "NetworkPolicyNotEnforced")
    (status,) = helper.pod()["status"]["containerStatuses"]
    assert status["state"].keys() == {"waiting"}, "not one instruction of it was executed"
    assert house.rows("SELECT 1 FROM money.run WHERE ended IS NULL AND agent_uid = $1", helper.record()["uid"]) == []
    no_engine()
    helper.until_ready(seconds=PATIENCE_SECONDS)


def _told(house: House, helper: Helper) -> Manifest:
    """What an agent has printed about its first seconds; its pod has started, so it will."""
    pod = helper.pod()
    arguments = ["logs", "-f", "--limit-bytes=2048", "-n", pod["metadata"]["namespace"], pod["metadata"]["name"]]
    # It says one thing in its life; following it any longer would wait for ever.
    argv = [str(house.layout.bin / "kubectl"), f"--kubeconfig={house.layout.kubeconfig}", *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        line = following.stdout.readline()
        following.kill()
    told: Manifest = json.loads(line)
    return told


def _as_a_mover(house: House, helper: Helper) -> Manifest:
    """A pod that the network takes for a mover; only the operator may make one."""
    like = helper.pod()
    metadata = {"name": "as-a-mover", "namespace": helper.tenant.namespace}
    labels = {"moorage.dev/component": "mover", "moorage.dev/managed": "true"}
    (container,) = like["spec"]["containers"]
    kept = {key: container[key] for key in ("name", "image", "resources", "securityContext")}
    spec = {key: like["spec"][key] for key in ("securityContext", "automountServiceAccountToken")}
    spec |= {
        "containers": [{**kept, "command": ["python3", "-c", "import threading; threading.Event().wait()"]}],
        "serviceAccountName": "moorage-mover",
        "activeDeadlineSeconds": 600,
        "terminationGracePeriodSeconds": 0,
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, "labels": labels}, "spec": spec}
    operator = ["--kubeconfig", str(identity.kubeconfig(house.layout))]
    argv = [*processes.enter(house.layout), str(house.layout.bin / "kubectl"), *operator, "create", "-f", "-"]
    processes.run(argv, stdin=json.dumps(pod))
    house.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "-n", metadata["namespace"], "pod/as-a-mover")
    return pod


def _reached(house: House, pod: Manifest, *places: str) -> Manifest:
    """What the probe finds from inside a pod."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    reached: Manifest = json.loads(
        house.kubectl("exec", "-n", namespace, name, "--", "python3", "-c", PROBE, *places).splitlines()[-1]
    )
    return reached
