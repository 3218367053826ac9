"""What is really on the disks: the content of every volume, and what each agent wrote last."""

from dataclasses import dataclass, field

from moorage.kube import kinds
from moorage.kube.views import SELECTED_NODE
from tests.simulation.cluster import DELETED, Cluster, Manifest, Place
from tests.simulation.stage import Stage

EMPTY = 0
PARTIAL = -1  # a restore that was cut off
CAPACITY = {"storage": "1Gi"}


@dataclass
class Volume:
    """One disk; `content` is the last value written, for the whole of its files."""

    claim_uid: str
    agent_uid: str
    node: str
    content: int = EMPTY
    left: bool = False  # on a lost node: whatever is still written there is nobody's data any more


@dataclass
class Disks:
    """Binds claims to disks, and wipes a disk when its claim is gone."""

    stage: Stage
    cluster: Cluster
    volumes: dict[str, Volume] = field(default_factory=dict)  # by the claim's uid
    last_written: dict[str, int] = field(default_factory=dict)  # per agent: what must never be lost
    _newest: int = EMPTY  # no value is written twice, by whomever

    def __post_init__(self) -> None:
        self.cluster.hooks.append(self._changed)

    def bind(self, namespace: str, claim_name: str, node: str) -> Volume | None:
        """The disk of a claim, made on this node when there was none; None while the claim cannot be mounted."""
        place = (kinds.PERSISTENT_VOLUME_CLAIM.plural, namespace, claim_name)
        claim = self.cluster.objects.get(place)
        if claim is None or claim["metadata"].get("deletionTimestamp"):
            return None
        uid = claim["metadata"]["uid"]
        if uid not in self.volumes:
            agent_uid = claim["metadata"]["labels"]["moorage.dev/agent-uid"]
            self.volumes[uid] = Volume(uid, agent_uid, node)
            self.cluster.edit(
                place, metadata={"annotations": {SELECTED_NODE: node}}, status={"phase": "Bound", "capacity": CAPACITY}
            )
        return self.volumes[uid]

    def kept(self, agent_uid: str) -> list[Volume]:
        """The disks of an agent whose deletion nobody has asked for."""
        kept = []
        for _, claim in self.cluster.of(kinds.PERSISTENT_VOLUME_CLAIM):
            volume = self.volumes.get(claim["metadata"]["uid"])
            if volume is not None and volume.agent_uid == agent_uid and not claim["metadata"].get("deletionTimestamp"):
                kept.append(volume)
        return kept

    def write(self, volume: Volume) -> None:
        """The agent writes something new."""
        self._newest += 1
        volume.content = self._newest
        if not volume.left:
            self.last_written[volume.agent_uid] = volume.content

    def leave(self, agent_uid: str, content: int) -> None:
        """What the agent has is left behind by its tenant's wish; from now on a snapshot with this content counts."""
        for volume in self.volumes.values():
            volume.left = volume.left or volume.agent_uid == agent_uid
        self.last_written[agent_uid] = content

    def _changed(self, type_: str, place: Place, old: Manifest | None, new: Manifest | None) -> None:
        if type_ != DELETED or old is None:
            return
        if place[0] == kinds.PERSISTENT_VOLUME_CLAIM.plural:
            self.volumes.pop(old["metadata"]["uid"], None)
        elif place[0] in (kinds.POD.plural, kinds.JOB.plural):
            for claim_place, claim in self.cluster.of(kinds.PERSISTENT_VOLUME_CLAIM):
                if claim["metadata"].get("deletionTimestamp") and not self.cluster.held(claim_place):
                    self.cluster.remove(claim_place)
