"""Who takes part in a burst: Agents of three kinds, and beside each the same objects created directly."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any  # manifests

from moorage import settings as knobs
from moorage.desired import agent as desired_agent
from moorage.kube import kinds
from moorage.model import agent as agents
from moorage.model import names
from tests.bench import fake_node, rig
from tests.bench.rig import BARE, CORE, STATIC_CLASS
from tests.bench.wire import Wire

Manifest = dict[str, Any]

SIZES = {"bench": {"cpu": "10m", "memory": "16Mi", "pricePerHour": "0.036"}}
SETTINGS: Mapping[str, Any] = {
    "sizes": SIZES,
    "runtimes": {"chatbot": {"image": rig.NO_IMAGE}},
    "agent_node_selector": fake_node.SELECTOR,
    "agent_tolerations": fake_node.TOLERATIONS,
    "storage_class": STATIC_CLASS,
    "volume_annotations": {},
}
# No policy closes the network of a bare pod, so its gate would never open.
OPEN = {"MOORAGE_NETWORK_GATE": "false"}
HTTP = {"http": {"port": 8080}}
STORAGE = {"storage": {"size": "1Gi"}}


@dataclass(frozen=True)
class Contestant:
    """One way to get a Ready pod, and what it should reach."""

    name: str
    spec: Mapping[str, Any]
    """Fields of the Agent's spec."""
    ours: bool = False
    """An Agent; otherwise its objects are created directly, without quota, policy and owner."""
    raised: bool = False
    """Whether scheduler and controllers may call the API server more often than by default (see rig.limit_calls)."""
    beside: str = ""
    """With whom it is compared: created directly, the same objects or less."""
    bare: str = "bare pod"
    """The bare pods to which its goals refer."""
    rate_at_least: float | None = None
    """Of the rate of bare pods."""
    writes_at_most: float | None = None
    operator_ms_at_most: float | None = None
    server_cpu_at_most: float | None = None
    """Of the API server's CPU for a bare pod."""

    @property
    def namespace(self) -> str:
        """Where its objects are."""
        return CORE if self.ours else BARE

    @property
    def watched(self) -> str:
        """The collection in which it becomes Ready."""
        return kinds.collection_path(kinds.AGENT if self.ours else kinds.POD, self.namespace)

    def batches(self, count: int, settings: Mapping[str, str]) -> list[list[tuple[str, Manifest]]]:
        """For each of so many, the objects to create one after the other; the last one becomes Ready."""
        if self.ours:
            return [[(self.watched, agent(f"a{number:05}", CORE, self.spec))] for number in range(count)]
        return [_objects(agent(f"a{number:05}", CORE, self.spec), settings) for number in range(count)]


_AGENT = Contestant("agent", {}, ours=True, beside="bare pod", rate_at_least=0.65, writes_at_most=3)
_FULL = Contestant(
    "agent+volume+service (raised)",
    HTTP | STORAGE,
    ours=True,
    raised=True,
    beside="pod+volume+service (raised)",
    bare="bare pod (raised)",
    rate_at_least=0.4,
    writes_at_most=5,
)
ALL = {
    each.name: each
    for each in (
        Contestant("bare pod", {}),
        replace(_AGENT, operator_ms_at_most=2.0, server_cpu_at_most=1.7),
        Contestant("pod+service", HTTP),
        Contestant("agent+service", HTTP, ours=True, beside="pod+service", rate_at_least=0.5, writes_at_most=4),
        Contestant("bare pod (raised)", {}, raised=True),
        replace(_AGENT, name="agent (raised)", raised=True, beside="bare pod (raised)", bare="bare pod (raised)"),
        Contestant("pod+volume+service (raised)", HTTP | STORAGE, raised=True),
        _FULL,
    )
}


def agent(name: str, namespace: str, spec: Mapping[str, Any]) -> Manifest:
    """An Agent of the smallest kind, with more in its spec."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Agent",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"runtime": "chatbot", "size": "bench", **spec},
    }


def _objects(given: Manifest, settings: Mapping[str, str]) -> list[tuple[str, Manifest]]:
    """The very objects an Agent would get, but nobody's."""
    number = int(given["metadata"]["name"].removeprefix("a"))
    identified = {**given, "metadata": {**given["metadata"], "uid": f"00000000-0000-4000-8000-{number:012}"}}
    made = desired_agent.children(
        agents.from_manifest(identified),
        volume_generation=1,
        incarnation=1,
        platform=knobs.platform(knobs.load({**settings, **OPEN})),
        with_pod=True,
    )
    return [
        (kinds.collection_path(kinds.of(each), BARE), each | {"metadata": disowned(each["metadata"])}) for each in made
    ]


def disowned(metadata: Manifest) -> Manifest:
    """As many labels, but not the one our operator watches by, and no owner that would collect the object."""
    labels = {name.replace(names.LABEL_MANAGED, "bench/managed"): value for name, value in metadata["labels"].items()}
    plain = {"name": metadata["name"], "namespace": BARE, "labels": labels}
    return plain | ({"annotations": metadata["annotations"]} if "annotations" in metadata else {})


async def make_volumes(wire: Wire, count: int) -> None:
    """Volumes that exist already: a provisioner would start a pod for each, which the fake node cannot run."""
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STATIC_CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    path = "/apis/storage.k8s.io/v1/storageclasses"
    if not any(item["metadata"]["name"] == STATIC_CLASS for item in (await wire.get(path))["items"]):
        await wire.call("POST", path, storage_class)
    await wire.create_all([("/api/v1/persistentvolumes", _volume(number))] for number in range(count))


def _volume(number: int) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"bench-{number:05}", "labels": {"moorage-bench": "true"}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STATIC_CLASS,
            "hostPath": {"path": "/nowhere"},
        },
    }
