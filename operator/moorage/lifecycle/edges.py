"""Every way an agent can go from one state to another; `docs/lifecycle.md` shows them, and no other is ever taken."""

from dataclasses import dataclass

from moorage.model.record import AgentState

RUNNING, DRAINING, SNAPSHOTTING, VERIFYING = (
    AgentState.RUNNING,
    AgentState.DRAINING,
    AgentState.SNAPSHOTTING,
    AgentState.VERIFYING,
)
SUSPENDED, ARCHIVED, RESTORING, DELETED = (
    AgentState.SUSPENDED,
    AgentState.ARCHIVED,
    AgentState.RESTORING,
    AgentState.DELETED,
)
PURGE_PENDING, PURGED = AgentState.PURGE_PENDING, AgentState.PURGED


@dataclass(frozen=True, slots=True)
class Edge:
    """One way, and what leads there."""

    before: AgentState
    after: AgentState
    why: str
    decided: bool = True  # by the transition; else by the step it asked for, in the step's own transaction


EDGES = (
    Edge(RUNNING, DRAINING, "the credit has ended, its user pauses or deletes it, other data is to take the place"
         " of what it has, or a snapshot of it has its turn"),
    Edge(RUNNING, RESTORING, "its node is lost, and it is to come back from its snapshot"),
    Edge(DRAINING, RUNNING, "nobody objects any more, and the stop is not recorded yet"),
    Edge(DRAINING, SNAPSHOTTING, "no pod is left"),
    Edge(DRAINING, SUSPENDED, "no pod is left, and there is nothing to keep"),
    Edge(DRAINING, RESTORING, "its node is lost, and it is to come back from its snapshot"),
    Edge(SNAPSHOTTING, VERIFYING, "the object is complete"),
    Edge(SNAPSHOTTING, RUNNING, "nobody objects any more; its mover is gone"),
    Edge(SNAPSHOTTING, DRAINING, "a pod has appeared; what was read beside it is of no use"),
    Edge(VERIFYING, SUSPENDED, "the object was read back, decrypted and counted"),
    Edge(VERIFYING, SNAPSHOTTING, "the object is not what it should be; a new attempt"),
    Edge(VERIFYING, RUNNING, "nobody objects any more; the read-back goes on beside it"),
    Edge(SUSPENDED, RUNNING, "nobody objects any more; the same volume"),
    Edge(SUSPENDED, DRAINING, "a pod has appeared"),
    Edge(SUSPENDED, ARCHIVED, "the warm window is over, it is being deleted, or other data is to take the place of what"
         " it has; the verified object was asked for once more"),
    Edge(SUSPENDED, SNAPSHOTTING, "its object has vanished from the store; the volume is there", decided=False),
    Edge(SUSPENDED, PURGE_PENDING, "nobody has paid for it for the whole grace, and its owner was told in time"),
    Edge(SUSPENDED, DELETED, "it is being deleted, and there is nothing to keep"),
    Edge(ARCHIVED, RESTORING, "nobody objects any more"),
    Edge(ARCHIVED, PURGE_PENDING, "the same"),
    Edge(ARCHIVED, DELETED, "it is being deleted, and its volumes are gone"),
    Edge(RESTORING, RUNNING, "the new volume holds what the snapshot holds"),
    Edge(RESTORING, SUSPENDED, "the new volume is filled, and meanwhile somebody objects"),
    Edge(RESTORING, DRAINING, "the same, with data that is in no snapshot of its own yet"),
    Edge(RESTORING, ARCHIVED, "it is being deleted; the half filled volume is given up"),
    Edge(PURGE_PENDING, SUSPENDED, "the credit is back, or the grace was made longer; its volume is there"),
    Edge(PURGE_PENDING, ARCHIVED, "the same, without a volume; or it is being deleted"),
    Edge(PURGE_PENDING, PURGED, "the last look at wallet, payments, notices and brake found nothing in the way; from"
         " here on nothing brings the data back", decided=False),
    Edge(PURGED, DELETED, "it is being deleted, and its volumes are gone"),
)  # fmt: skip

DECIDED = frozenset((edge.before, edge.after) for edge in EDGES if edge.decided)
