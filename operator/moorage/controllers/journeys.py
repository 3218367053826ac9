"""How long agents take to stop and to come back, by the times of their own records."""

from datetime import datetime

from moorage.kube.remembered import Recent
from moorage.lifecycle.conditions import StatusManifest
from moorage.model.conditions import ConditionType, Status
from moorage.model.record import AgentRecord, AgentState
from moorage.observability import Metrics

UNDER_WAY_MAX = 10_000  # more than start at once; what is forgotten is only not measured

NEW, VOLUME, SNAPSHOT = "New", "Volume", "Snapshot"
# From where an agent comes back says what it needs for that: its volume as it is, or its snapshot on a new one.
PATHS: dict[tuple[AgentState, AgentState], str] = {
    (AgentState.SUSPENDED, AgentState.RUNNING): VOLUME,
    (AgentState.SNAPSHOTTING, AgentState.RUNNING): VOLUME,
    (AgentState.VERIFYING, AgentState.RUNNING): VOLUME,
    (AgentState.ARCHIVED, AgentState.RESTORING): SNAPSHOT,
    (AgentState.RUNNING, AgentState.RESTORING): SNAPSHOT,
    (AgentState.DRAINING, AgentState.RESTORING): SNAPSHOT,
}
ON_THE_WAY = (AgentState.RUNNING, AgentState.RESTORING)
STOPPED = (AgentState.SNAPSHOTTING, AgentState.SUSPENDED)


class Journeys:
    """Begun when a step is saved, ended when the agent is told to be ready; a new leader does not know of them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._begun: Recent[str, tuple[str, datetime]] = Recent(UNDER_WAY_MAX)

    def born(self, record: AgentRecord) -> None:
        """An agent was seen for the first time; one that begins with a snapshot begins later."""
        if record.state is AgentState.RUNNING:
            self._begun.put(record.uid, (NEW, record.state_since))

    def moved(self, before: AgentRecord, after: AgentRecord) -> None:
        """A step was saved."""
        if before.state is AgentState.DRAINING and after.state in STOPPED:
            cause = before.veto.value if before.veto is not None else "Other"
            seconds = (before.now - before.state_since).total_seconds()
            self._metrics.suspend_seconds.labels(cause).observe(max(0.0, seconds))
        path = PATHS.get((before.state, after.state))
        if path is not None:
            self._begun.put(after.uid, (path, before.now))
        elif after.state not in ON_THE_WAY:
            self._begun.drop(after.uid)

    def told(self, record: AgentRecord, status: StatusManifest) -> None:
        """This status was worked out for the agent: the first that says Ready ends its journey."""
        begun = self._begun.get(record.uid)
        if begun is not None and _is_ready(status):
            path, since = begun
            self._begun.drop(record.uid)
            self._metrics.resume_seconds.labels(path).observe(max(0.0, (record.now - since).total_seconds()))


def _is_ready(status: StatusManifest) -> bool:
    return any(item["type"] == ConditionType.READY and item["status"] == Status.TRUE for item in status["conditions"])
