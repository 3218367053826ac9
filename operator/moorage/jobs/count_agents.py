"""Agents, wallets, snapshots are counted in the database: sums only, so that a tenant more is no series more."""

from moorage.model.record import AgentState
from moorage.model.wallet import Standing
from moorage.observability import Metrics
from moorage.store.overview import Overview, Overviews

LOOK_SECONDS = 15.0
# States that end by themselves; how long an agent has been in one says whether something is stuck.
PASSING = (AgentState.DRAINING, AgentState.SNAPSHOTTING, AgentState.VERIFYING, AgentState.RESTORING)
NOTHING = "Nothing"


class CountAgents:
    """Shows the sums of one look; what is no longer there is taken away."""

    def __init__(self, overviews: Overviews, metrics: Metrics) -> None:
        self._overviews = overviews
        self._metrics = metrics
        self._shown: set[tuple[str, str]] = set()

    async def look(self) -> float:
        """Count everything once."""
        found = await self._overviews.now()
        self._show_agents(found)
        for standing in Standing:
            self._metrics.wallets.labels(standing.value).set(found.wallets.get(standing, 0))
        self._metrics.tenants.set(found.tenants)
        self._metrics.snapshots_kept.set(found.snapshots)
        self._metrics.snapshots_kept_bytes.set(found.snapshot_bytes)
        self._metrics.settle_overdue_seconds.set(found.settle_overdue_seconds)
        self._metrics.snapshot_overdue_seconds.set(found.snapshot_overdue_seconds)
        self._metrics.silent_nodes.set(found.silent_nodes)
        return LOOK_SECONDS

    def _show_agents(self, found: Overview) -> None:
        counts = {(crowd.state.value, crowd.held_by or NOTHING): crowd.agents for crowd in found.crowds}
        for labels, agents in counts.items():
            self._metrics.agents.labels(*labels).set(agents)
        for gone in self._shown - set(counts):  # one by one: cleared, all would be gone for a scrape
            self._metrics.agents.remove(*gone)
        self._shown = set(counts)
        for state in PASSING:
            ages = [crowd.oldest_seconds for crowd in found.crowds if crowd.state is state]
            self._metrics.oldest_seconds.labels(state.value).set(max(ages, default=0.0))
