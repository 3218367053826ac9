"""The promises that hold at every moment, whatever breaks; each is looked at when something could have broken it."""

from typing import Any

from moorage.jobs.sweep_orphans import SWEEP_SECONDS
from moorage.kube import kinds
from tests.simulation.bucket import Bucket
from tests.simulation.cluster import DELETED, Cluster, Manifest, Place
from tests.simulation.disks import EMPTY, Disks
from tests.simulation.stage import Stage, current
from tests.simulation.tables import Tables

# A pod that vanished while no watch worked ends where its node's proof ends: this much later than it was told, at most.
UNSEEN_SECONDS_MAX = 100
# Nobody looks at the pod of an Agent whose finalizer was taken before the next sweep does.
UNOWNED_SECONDS_MAX = SWEEP_SECONDS + 100


class Judge:
    """Sees what really is, not what anybody believes."""

    def __init__(self, stage: Stage, cluster: Cluster, disks: Disks, bucket: Bucket, tables: Tables) -> None:
        self._stage = stage
        self._cluster = cluster
        self._disks = disks
        self._bucket = bucket
        self._tables = tables
        self._left: dict[str, int] = {}  # per agent, up to which generation its volumes were left behind
        self.kubelets: Any = None  # both are made after their judge
        self.movers: Any = None
        cluster.hooks.insert(0, self._changed)  # before the disk of a claim that is gone is wiped
        bucket.changed = self._stored
        tables.committed = self._committed

    # Two writers.

    def starts(self, container: Any) -> None:
        """An agent's container starts: alone on its volume, and with its last data."""
        if self._fenced(container):
            return
        others = [one for one in self._of(container.agent_uid) if one is not container]
        if others:
            self._stage.wrong(f"two pods of one agent run: {others[0].place[2]} and {container.place[2]}")
        if any(mover.agent_uid == container.agent_uid for mover in self.movers.alive()):
            self._stage.wrong(f"{container.place[2]} starts beside a mover")
        volume = container.volume
        if volume is not None and volume.content != self._disks.last_written.get(container.agent_uid, EMPTY):
            self._stage.wrong(
                f"{container.place[2]} starts with the data {volume.content}, but"
                f" {self._disks.last_written.get(container.agent_uid, EMPTY)} was written last"
            )

    def moves(self, mover: Any) -> None:
        """A mover starts: no pod of its agent and no other mover runs."""
        if self._of(mover.agent_uid):
            self._stage.wrong("a mover starts beside a pod of its agent")
        if any(one is not mover and one.volume is mover.volume for one in self.movers.alive()):
            self._stage.wrong("two movers work on one volume")

    def _of(self, agent_uid: str) -> list[Any]:
        """The containers of an agent that run and count."""
        return [one for one in self.kubelets.alive() if one.agent_uid == agent_uid and not self._fenced(one)]

    def _fenced(self, container: Any) -> bool:
        """Whether it was left behind on a lost node, with a volume that is nobody's any more."""
        return container.volume is not None and container.volume.left

    # The last copy.

    def _changed(self, type_: str, place: Place, old: Manifest | None, new: Manifest | None) -> None:
        if place[0] != kinds.PERSISTENT_VOLUME_CLAIM.plural or old is None:
            return
        going = type_ == DELETED or (new is not None and new["metadata"].get("deletionTimestamp"))
        if going and not (type_ == DELETED and old["metadata"].get("deletionTimestamp")):
            self._stage.tell("cluster", f"{place[2]} is to go")
            volume = self._disks.volumes.get(old["metadata"]["uid"])
            if volume is not None:
                self.last_copy(volume.agent_uid)

    def _stored(self, what: str, key: str) -> None:
        self._stage.tell("store", what, key)
        for one in self._tables.snapshots.values():
            if one.object_key == key:
                self.last_copy(one.agent_uid)

    def last_copy(self, agent_uid: str) -> None:
        """What the agent wrote last is on a volume that stays, or in a verified snapshot that can be read."""
        written = self._disks.last_written.get(agent_uid, EMPTY)
        if written == EMPTY or any(volume.content == written for volume in self._disks.kept(agent_uid)):
            return
        for one in self._tables.snapshots.values():
            held = self._bucket.objects.get(one.object_key)
            if held == written and one.object_key not in self._bucket.damaged:
                return
        self._stage.wrong(f"the last copy of {agent_uid} is lost")

    # Money.

    def _committed(self, what: str, agent_uid: str) -> None:
        self._stage.tell("database", what, agent_uid)
        life = current()
        if life is not None and life.epoch not in (None, self._tables.epoch):
            self._stage.wrong(f"{life.name} writes under epoch {life.epoch}, which is over: {what}")
        if agent_uid in self._tables.agents:
            self._stage.visited.add(self._tables.agents[agent_uid].state)
            self._leaves(agent_uid)
        source = self._tables.agents[agent_uid].restore_id if what == "ensure" else None
        if source is not None:  # the new agent's data, before it has a volume
            self._stage.visited.add("filled from another")
            self._disks.last_written[agent_uid] = self._bucket.objects[self._tables.snapshots[source].object_key]
        if what in ("open_run", "close_run"):
            self._runs(agent_uid)

    def _leaves(self, agent_uid: str) -> None:
        """The moment of the decision: the volume on the lost node is given up for the last snapshot."""
        row = self._tables.agents[agent_uid]
        if row.left_generation > self._left.get(agent_uid, 0):
            self._left[agent_uid] = row.left_generation
            self._stage.visited.add("left behind")
            key = self._tables.snapshots[row.snapshot_id].object_key
            self._disks.leave(agent_uid, self._bucket.objects[key])

    def _runs(self, agent_uid: str) -> None:
        runs = [run for purse in self._tables.purses.values() for run in purse.runs if run.agent_uid == agent_uid]
        if sum(run.ended is None for run in runs) > 1:
            self._stage.wrong("two runs of one agent are open")
        for run in runs:
            container = self.kubelets.containers.get(run.pod_uid)
            if container is None or run.started < int(container.started):
                self._stage.wrong(f"{run.pod_uid} is metered before it runs")
            elif run.ended is not None and container.ended is None and not self._fenced(container):
                self._stage.wrong(f"{run.pod_uid} runs, but its meter is closed")
            elif run.ended is not None and container.told is not None and run.cursor > self._latest(container):
                self._stage.wrong(f"{run.pod_uid} is charged {run.cursor - container.ended:.0f} s after its end")

    def _latest(self, container: Any) -> float:
        """The last second that a run may be charged for when its end was not seen."""
        owned = any(agent["metadata"]["uid"] == container.agent_uid for _, agent in self._cluster.of(kinds.AGENT))
        return float(container.told + (UNSEEN_SECONDS_MAX if owned else UNOWNED_SECONDS_MAX))
