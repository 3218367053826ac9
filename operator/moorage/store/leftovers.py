"""What failed attempts may have left in the object store."""

from moorage.store.database import Database

_UNSWEPT = """
SELECT id::text FROM moorage.attempt WHERE state = 'Failed' AND upload_id IS NOT NULL ORDER BY changed_at LIMIT $1
"""


class Leftovers:
    """Attempts whose upload id still speaks of something to remove."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unswept(self, limit: int) -> list[str]:
        """Failed attempts that may have left something in the object store."""
        return [row["id"] for row in await self._database.rows(_UNSWEPT, limit)]

    async def swept(self, attempt_id: str) -> None:
        """Remember that nothing of a failed attempt is left in the object store."""
        await self._database.run(
            "UPDATE moorage.attempt SET upload_id = NULL WHERE id = $1 AND state = 'Failed'", attempt_id
        )
