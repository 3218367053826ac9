"""Frozen copies of volumes: rows that are written before a copy is asked for, and kept until nothing is left of it."""

from dataclasses import dataclass

from moorage.model.record import CopyState
from moorage.store.database import Database

# Only a capture whose agent is on it may freeze: what anybody else froze would be the volume of another moment.
_ASK = """
INSERT INTO moorage.frozen_copy (attempt_id, namespace, asked_at)
SELECT t.id, a.namespace, to_timestamp(money.clock()) FROM moorage.require_epoch($1), moorage.attempt t
JOIN moorage.agent a ON a.uid = t.agent_uid AND a.attempt_id = t.id
WHERE t.id = $2 AND t.kind = 'Snapshot' AND t.state = 'Started'
ON CONFLICT (attempt_id) DO NOTHING
"""

_MOVE = """
UPDATE moorage.frozen_copy f SET state = $3
FROM moorage.require_epoch($1), moorage.attempt t
WHERE f.attempt_id = $2 AND f.state = 'Asked' AND t.id = f.attempt_id AND t.state = 'Started'
RETURNING f.attempt_id
"""

# Nobody needs a copy that was given up, nor one whose attempt is over or was left behind.
_LEFT = """
SELECT f.attempt_id::text AS attempt_id, f.namespace FROM moorage.frozen_copy f
JOIN moorage.attempt t ON t.id = f.attempt_id JOIN moorage.agent a ON a.uid = t.agent_uid
WHERE f.removed_at IS NULL
  AND (f.state = 'GivenUp' OR t.state IN ('Verified', 'Failed') OR a.attempt_id IS DISTINCT FROM t.id
       OR a.state = 'Deleted')
ORDER BY f.asked_at LIMIT $1
"""


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a copy that nobody needs any more may have left in the cluster."""

    attempt_id: str
    namespace: str


class FrozenCopyRows:
    """The table `frozen_copy`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(self, epoch: int, attempt_id: str) -> CopyState | None:
        """Write down that a copy is asked for, and say how it stands; None when the attempt may not have one."""
        await self._database.run(_ASK, epoch, attempt_id)
        state = await self._database.value("SELECT state FROM moorage.frozen_copy WHERE attempt_id = $1", attempt_id)
        return None if state is None else CopyState(state)

    async def move(self, epoch: int, attempt_id: str, state: CopyState) -> bool:
        """Say that a copy that was asked for is ready, or given up; False when it is neither asked for nor needed."""
        return await self._database.row(_MOVE, epoch, attempt_id, state.value) is not None

    async def left(self, limit: int) -> list[Leftover]:
        """Copies that nobody needs and that may still be there, the oldest first."""
        return [Leftover(row["attempt_id"], row["namespace"]) for row in await self._database.rows(_LEFT, limit)]

    async def removed(self, epoch: int, attempt_id: str) -> None:
        """Remember that nothing of a copy is left."""
        await self._database.run(
            "UPDATE moorage.frozen_copy SET removed_at = clock_timestamp() FROM moorage.require_epoch($1)"
            " WHERE attempt_id = $2",
            *(epoch, attempt_id),
        )
