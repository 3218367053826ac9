"""What people ask for an agent's data, and what there is of it to choose from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from moorage.model.names import SnapshotId
from moorage.store.database import Database


class Asked(StrEnum):
    """What became of a wish."""

    ASKED = "Asked"
    CHOSEN = "Chosen"
    AT_REST = "AtRest"
    NO_AGENT = "NoAgent"
    PURGED = "Purged"
    NO_DATA = "NoData"
    NO_STORAGE = "NoStorage"
    NO_SNAPSHOT = "NoSnapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One verified snapshot as people see it."""

    id: SnapshotId
    namespace: str
    agent: str
    deleted: bool  # its agent is
    purpose: str
    taken_at: datetime
    object_bytes: int
    file_count: int
    last: bool  # its agent counts on it
    keep_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How an agent stands on the way to what was asked for."""

    state: str
    wish: str | None
    restore_id: str | None
    snapshot_id: str | None
    failures: int


_LIST = """
SELECT s.id::text, a.namespace, a.name AS agent, a.state = 'Deleted' AS deleted, s.purpose, s.taken_at, s.object_bytes,
       s.file_count, a.snapshot_id IS NOT DISTINCT FROM s.id AS last, s.keep_until
FROM moorage.snapshot s JOIN moorage.agent a ON a.uid = s.agent_uid
WHERE s.wrapped_key IS NOT NULL AND ($1::text IS NULL OR a.namespace = $1) AND ($2::text IS NULL OR a.name = $2)
ORDER BY a.namespace, a.name, s.taken_at
"""

_PROGRESS = """
SELECT state, wish, restore_id::text, snapshot_id::text, failures FROM moorage.agent
WHERE namespace = $1 AND name = $2 AND state <> 'Deleted'
"""


class Wishes:
    """The doors for people; the operator learns of a wish at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(self, namespace: str | None = None, agent: str | None = None) -> list[Listed]:
        """Every verified snapshot that is still there, by agent, the oldest first."""
        return [Listed(**dict(row)) for row in await self._database.rows(_LIST, namespace, agent)]

    async def take(self, namespace: str, agent: str) -> Asked:
        """Ask for a snapshot of an agent."""
        return Asked(await self._database.value("SELECT moorage.ask_for_snapshot($1, $2)", namespace, agent))

    async def restore(self, namespace: str, agent: str, snapshot_id: SnapshotId) -> Asked:
        """Choose the data an agent comes back with; what it has is kept as a snapshot first."""
        said = await self._database.value("SELECT moorage.choose_data($1, $2, $3)", namespace, agent, snapshot_id)
        return Asked(said)

    async def progress(self, namespace: str, agent: str) -> Progress | None:
        """How the agent stands; None when it is gone."""
        row = await self._database.row(_PROGRESS, namespace, agent)
        return None if row is None else Progress(**dict(row))
