"""Months of host names: which want to be looked at, and the one door that pays, sets aside and frees."""

from datetime import timedelta

from moorage.store.database import Database

# What is due, and what is set aside for names that nobody keeps any more.
_DUE = """
SELECT d.uid::text FROM moorage.domain d
WHERE d.deleted_at IS NULL AND (d.state = 'Active' OR d.state = 'Released' AND d.unpaid_since IS NOT NULL)
  AND d.renew_at <= to_timestamp((SELECT money.clock()))
UNION
SELECT d.uid::text FROM money.hold h JOIN moorage.domain d ON d.uid = h.domain_uid
WHERE h.state = 'Open' AND (d.deleted_at IS NOT NULL OR d.state <> 'Active')
ORDER BY 1 LIMIT $1
"""


class DomainMonthRows:
    """Each call is one Domain and one transaction; the database's clock says what is due."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, limit: int) -> list[str]:
        """The uids of Domains that something is to be done for."""
        return [row["uid"] for row in await self._database.rows(_DUE, limit)]

    async def keep(self, *, epoch: int, uid: str, unpaid_for: timedelta) -> None:
        """Do what is due for one Domain; a name stays `unpaid_for` after the end of what was paid."""
        await self._database.run("SELECT money.keep_month($1, $2, $3)", epoch, uid, unpaid_for)
