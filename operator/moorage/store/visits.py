"""What visitors of a host name may be told: whether it is held here, and how its agent stands."""

from dataclasses import dataclass

from moorage.model.record import AgentState
from moorage.store.database import Database

# A name of a tenant's own that nobody has proven is nobody's.
_AGENT = """
SELECT a.state AS agent_state
FROM moorage.claim c
JOIN moorage.domain d ON d.uid = c.domain_uid AND d.deleted_at IS NULL
LEFT JOIN moorage.agent a ON a.namespace = d.namespace AND a.name = d.agent_name AND a.state <> 'Deleted'
WHERE c.hostname = $1 AND (NOT d.own OR c.proven_at IS NOT NULL)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A host name that is held here."""

    agent: AgentState | None  # None: there is no agent behind it


class Visits:
    """Reads claims, domains and agents together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, hostname: str) -> Visit | None:
        """How the agent behind a canonical host name stands; None: nobody here holds the name."""
        row = await self._database.row(_AGENT, hostname)
        if row is None:
            return None
        return Visit(agent=None if row["agent_state"] is None else AgentState(row["agent_state"]))
