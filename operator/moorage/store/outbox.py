"""The outbox: wake-ups written in the transaction that made them necessary."""

from collections.abc import Callable

from moorage.model.names import Key
from moorage.store.database import Database

CHANNEL = "moorage"
BATCH_MAX = 500


class Outbox:
    """Unsent wake-ups. Ids may become visible out of order, so `sent_at IS NULL` is the cursor, never a last id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listen(self, notified: Callable[[], None]) -> None:
        """Call `notified` for each new wake-up; called again, it listens again if the connection was lost."""
        await self._database.listen(CHANNEL, notified)

    async def take(self) -> list[Key]:
        """Mark a batch as sent and return whom it concerns.

        A wake-up only rings a bell: one that is lost with this process is made good by the next start, which
        looks at every object.
        """
        rows = await self._database.rows(
            "UPDATE moorage.outbox SET sent_at = clock_timestamp() WHERE id IN"
            " (SELECT id FROM moorage.outbox WHERE sent_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)"
            " RETURNING kind, namespace, name",
            BATCH_MAX,
        )
        return [Key(row["kind"], row["namespace"], row["name"]) for row in rows]
