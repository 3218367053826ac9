"""Leadership: one lease row with an epoch that every money and lifecycle write must name."""

from moorage.model.errors import LostLeadership
from moorage.store.database import Database

LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0

# The exclusive advisory lock waits for every transaction that still writes under the old epoch (see require_epoch).
_TAKE = """
WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock(7400001, 1))
UPDATE moorage.leader SET epoch = epoch + 1, holder = $1, expires_at = clock_timestamp() + make_interval(secs => $2)
FROM lock
WHERE expires_at < clock_timestamp() OR holder = $1
RETURNING epoch
"""
_RENEW = """
UPDATE moorage.leader SET expires_at = clock_timestamp() + make_interval(secs => $2) WHERE epoch = $1 RETURNING epoch
"""


class Leadership:
    """The lease of this process. A holder of the same name takes over at once: its predecessor is dead or fenced."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder

    async def take(self) -> int | None:
        """The new epoch, or None while somebody else leads."""
        epoch: int | None = await self._database.value(_TAKE, self._holder, LEASE_SECONDS)
        return epoch

    async def renew(self, epoch: int) -> None:
        """Extend the lease; raises LostLeadership when the epoch has moved on."""
        if await self._database.value(_RENEW, epoch, LEASE_SECONDS) is None:
            raise LostLeadership("another process leads")

    async def release(self, epoch: int) -> None:
        """Let a standby take over without waiting for the lease to end."""
        await self._database.run("UPDATE moorage.leader SET expires_at = '-infinity' WHERE epoch = $1", epoch)
