"""Nodes: they start and stop what the cluster says, report late or not at all, and go on when nobody hears them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from moorage.kube import kinds
from moorage.kube.observe import NODE_LEASE_NAMESPACE
from moorage.model import clock
from tests.simulation.cluster import ADDED, Cluster, Manifest, Place, claim_of
from tests.simulation.disks import Disks, Volume
from tests.simulation.judge import Judge
from tests.simulation.stage import Stage

HEARTBEAT_SECONDS = 20.0
LOST_AFTER_SECONDS = 40.0  # then the control plane calls the node Unknown
AGAIN_SECONDS = 3.0
CRASH_SECONDS = 10.0


@dataclass
class Node:
    """One machine; while it is silent it hears and says nothing, and its containers run on."""

    name: str
    silent: bool = False
    beats: bool = False
    backlog: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class Container:
    """What really runs."""

    place: Place
    pod_uid: str
    agent_uid: str
    node: Node
    volume: Volume | None
    started: float
    ended: float | None = None
    restarts: int = 0
    told: float | None = None  # when the control plane was told of its end


class Kubelets:
    """Scheduler, kubelets and node controller in one."""

    def __init__(self, stage: Stage, cluster: Cluster, disks: Disks, judge: Judge, *, nodes: int) -> None:
        self._stage = stage
        self._cluster = cluster
        self._disks = disks
        self._judge = judge
        self._rng = stage.chance("nodes")
        self.containers: dict[str, Container] = {}
        self.nodes = [Node(f"node-{index}") for index in range(nodes)]
        for node in self.nodes:
            self._say_ready(node, "True")
            self._beat(node)
        cluster.hooks.append(self._changed)

    # Faults.

    def silence(self, node: Node) -> None:
        """Cut a node off from the control plane."""
        node.silent = True
        self._stage.tell(node.name, "falls silent")
        self._stage.later(LOST_AFTER_SECONDS, self._give_up, node)

    def heal(self, node: Node) -> None:
        """The node is back, and does what it missed."""
        if not node.silent:
            return
        node.silent = False
        self._stage.tell(node.name, "is back")
        self._say_ready(node, "True")
        if not node.beats:
            self._beat(node)
        backlog, node.backlog = node.backlog, []
        for do in backlog:
            do()

    def crash(self, container: Container) -> None:
        """The container ends by itself and is started again in its pod."""
        if container.ended is None:
            self._end(container, "crashes")
            self._report(container)
            self._stage.later(CRASH_SECONDS * self._rng.random(), self._restart, container)

    def evict(self, container: Container) -> None:
        """The kubelet ends a pod for its own reasons; the object stays and says so."""
        if container.ended is None and not container.node.silent:
            self._end(container, "is evicted")
            self._report(container, phase="Failed")

    def some_node(self) -> Node:
        """Where the scheduler puts what may run anywhere."""
        return self._rng.choice([node for node in self.nodes if not node.silent] or self.nodes)

    def alive(self) -> list[Container]:
        """All containers of agents that really run."""
        return [one for one in self.containers.values() if one.ended is None]

    # What nodes do by themselves.

    def _changed(self, type_: str, place: Place, old: Manifest | None, new: Manifest | None) -> None:
        if place[0] != kinds.POD.plural or new is None:
            return
        if type_ == ADDED:
            self._stage.later(0.3 * self._rng.random(), self._schedule, place, new["metadata"]["uid"])
        elif new["metadata"].get("deletionTimestamp") and not (old or new)["metadata"].get("deletionTimestamp"):
            self._stage.later(0.1 + 2.0 * self._rng.random() ** 3, self._stop, place, new["metadata"]["uid"])

    def _pod(self, place: Place, uid: str) -> Manifest | None:
        found = self._cluster.objects.get(place)
        return found if found is not None and found["metadata"]["uid"] == uid else None

    def _schedule(self, place: Place, uid: str) -> None:
        pod = self._pod(place, uid)
        if pod is None or pod["metadata"].get("deletionTimestamp"):
            return
        node, volume = self.some_node(), None
        claim = claim_of(pod)
        if claim is not None:
            volume = self._disks.bind(place[1], claim, node.name)
            if volume is None:
                self._stage.later(AGAIN_SECONDS, self._schedule, place, uid)
                return
            node = next(one for one in self.nodes if one.name == volume.node)
        if node.silent:
            nowhere = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            self._cluster.edit(place, status={"phase": "Pending", "conditions": [nowhere]})
            self._stage.later(AGAIN_SECONDS, self._schedule, place, uid)
            return
        self._cluster.edit(place, spec={**pod["spec"], "nodeName": node.name}, status={"phase": "Pending"})
        self._on(node, 0.2 + 1.5 * self._rng.random(), lambda: self._start(place, uid, node, volume))

    def _start(self, place: Place, uid: str, node: Node, volume: Volume | None) -> None:
        pod = self._pod(place, uid)
        if pod is None or pod["metadata"].get("deletionTimestamp") or uid in self.containers:
            return
        agent_uid = pod["metadata"]["ownerReferences"][0]["uid"]
        container = Container(place, uid, agent_uid, node, volume, self._stage.seconds)
        self.containers[uid] = container
        self._stage.tell(node.name, f"starts {place[2]}", uid)
        self._judge.starts(container)
        if volume is not None:
            self._disks.write(volume)
        self._report(container)

    def _restart(self, container: Container) -> None:
        pod = self._pod(container.place, container.pod_uid)
        if pod is None or pod["metadata"].get("deletionTimestamp") or container.ended is None:
            return
        container.restarts += 1
        container.ended = None
        self._judge.starts(container)
        if container.volume is not None:
            self._disks.write(container.volume)
        self._report(container)

    def _stop(self, place: Place, uid: str) -> None:
        pod = self._pod(place, uid)
        if pod is None:
            return
        container = self.containers.get(uid)
        if container is None:
            name = pod["spec"].get("nodeName")
            node = next((one for one in self.nodes if one.name == name), None)
            if node is not None and node.silent:
                node.backlog.append(lambda: self._stop(place, uid))
            else:
                self._cluster.remove(place)
            return
        if container.node.silent:
            container.node.backlog.append(lambda: self._stop(place, uid))
            return
        if container.ended is None:
            self._end(container, "stops")
        if self._rng.random() < 0.8:
            self._report(container)
        self._stage.later(0.3 * self._rng.random(), self._forget, place, uid)

    def _forget(self, place: Place, uid: str) -> None:
        if self._pod(place, uid) is not None:
            self._cluster.remove(place)

    def _end(self, container: Container, how: str) -> None:
        if container.volume is not None:
            self._disks.write(container.volume)
        container.ended = self._stage.seconds
        self._stage.tell(container.node.name, f"{container.place[2]} {how}", container.pod_uid)

    def _report(self, container: Container, *, phase: str = "Running") -> None:
        if container.node.silent:
            container.node.backlog.append(lambda: self._report(container))
            return
        pod = self._pod(container.place, container.pod_uid)
        if pod is None or (pod.get("status") or {}).get("phase") == "Failed":
            return
        began = clock.rfc3339(clock.from_epoch(int(container.started)))
        state: Manifest = {"running": {"startedAt": began}}
        container.told = None if container.ended is None else self._stage.seconds
        if container.ended is not None:
            over = clock.rfc3339(clock.from_epoch(int(container.ended)))
            state = {"terminated": {"startedAt": began, "finishedAt": over}}
        status = {
            "name": "agent", "containerID": f"c-{container.pod_uid}", "restartCount": container.restarts,
            "state": state, "lastState": {},
        }  # fmt: skip
        ready = {"type": "Ready", "status": "True" if container.ended is None else "False"}
        self._cluster.edit(
            container.place, status={"phase": phase, "conditions": [ready], "containerStatuses": [status]}
        )

    def _on(self, node: Node, seconds: float, do: Callable[[], None]) -> None:
        """Something that a node does after a while, or once it is back."""
        self._stage.later(seconds, lambda: node.backlog.append(do) if node.silent else do())

    def _beat(self, node: Node) -> None:
        node.beats = not node.silent
        if node.silent:
            return
        place = (kinds.LEASE.plural, NODE_LEASE_NAMESPACE, node.name)
        self._cluster.put(place, {**self._named(place), "spec": {"renewTime": self._stage.now()}})
        self._stage.later(HEARTBEAT_SECONDS, self._beat, node)

    def _give_up(self, node: Node) -> None:
        if node.silent:
            self._say_ready(node, "Unknown")

    def _say_ready(self, node: Node, status: str) -> None:
        place = (kinds.NODE.plural, "", node.name)
        self._cluster.put(
            place, {**self._named(place), "status": {"conditions": [{"type": "Ready", "status": status}]}}
        )

    def _named(self, place: Place) -> Manifest:
        return self._cluster.objects.get(place, {"metadata": {}})
