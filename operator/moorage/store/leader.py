"""Leadership: one lease row with an epoch that every money and lifecycle write must name."""

from moorage.model.errors import LostLeadership
from moorage.store.database import Database

LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0

_TAKE = "SELECT moorage.take_lead($1, $2)"
_RENEW = """
UPDATE moorage.leader SET expires_at = clock_timestamp() + make_interval(secs => $2) WHERE epoch = $1 RETURNING epoch
"""


class Leadership:
    """The lease of this process. A holder of the same name takes over at once: its predecessor is dead or fenced."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder

    async def take(self) -> int | None:
        """The new epoch, or None while somebody else leads. Raises HistoryInDoubt on a server that was restored."""
        epoch: int | None = await self._database.value(_TAKE, self._holder, LEASE_SECONDS)
        return epoch

    async def renew(self, epoch: int) -> None:
        """Extend the lease; raises LostLeadership when the epoch has moved on."""
        if await self._database.value(_RENEW, epoch, LEASE_SECONDS) is None:
            raise LostLeadership("another process leads")

    async def release(self, epoch: int) -> None:
        """Let a standby take over without waiting for the lease to end."""
        await self._database.run("UPDATE moorage.leader SET expires_at = '-infinity' WHERE epoch = $1", epoch)
