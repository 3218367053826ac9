"""What failed attempts may have left in the object store."""

from moorage.store.database import Database

_UNSWEPT = """
SELECT id::text FROM moorage.attempt WHERE state = 'Failed' AND upload_id IS NOT NULL ORDER BY changed_at LIMIT $1
"""

# An agent that leaves a lost node, or is gone, leaves its attempt behind; nobody else ends it.
_ABANDONED = """
UPDATE moorage.attempt t SET state = 'Failed', failure = 'CalledOff', changed_at = clock_timestamp()
FROM moorage.require_epoch($1)
WHERE t.state NOT IN ('Verified', 'Failed')
  AND NOT EXISTS (SELECT 1 FROM moorage.agent a WHERE a.attempt_id = t.id AND a.state <> 'Deleted')
"""


class Leftovers:
    """Attempts whose upload id still speaks of something to remove."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def end_abandoned(self, epoch: int) -> None:
        """End the attempts that no agent is on any more."""
        await self._database.run(_ABANDONED, epoch)

    async def unswept(self, limit: int) -> list[str]:
        """Failed attempts that may have left something in the object store."""
        return [row["id"] for row in await self._database.rows(_UNSWEPT, limit)]

    async def swept(self, attempt_id: str) -> None:
        """Remember that nothing of a failed attempt is left in the object store."""
        await self._database.run(
            "UPDATE moorage.attempt SET upload_id = NULL WHERE id = $1 AND state = 'Failed'", attempt_id
        )
