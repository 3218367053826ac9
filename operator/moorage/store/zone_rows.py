"""What the database says of our records in a zone: which platform this is, whose ids they are, which Domain is gone."""

from collections.abc import Collection, Mapping

from moorage.store.database import Database

_GONE = """
SELECT d.uid::text AS uid, d.hostname FROM moorage.require_epoch($1), moorage.domain d
WHERE d.uid = ANY ($2::uuid[]) AND d.deleted_at IS NOT NULL
"""

_NOTE = """
UPDATE moorage.domain d SET {column} = noted.id
FROM moorage.require_epoch($1), unnest($2::uuid[], $3::text[]) AS noted (uid, id)
WHERE d.uid = noted.uid AND d.deleted_at IS NULL
"""
_RECORDS, _HOSTNAMES = (_NOTE.format(column=column) for column in ("record_id", "provider_hostname_id"))


class ZoneRows:
    """Reads and writes of whoever keeps the zone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def platform_id(self) -> str:
        """The id of this platform, which is in the mark of everything that it makes elsewhere."""
        found: str = await self._database.value("SELECT id::text FROM moorage.platform")
        return found

    async def require(self, *, epoch: int) -> None:
        """Raises LostLeadership when another process leads."""
        await self._database.run("SELECT moorage.require_epoch($1)", epoch)

    async def gone(self, *, epoch: int, uids: Collection[str]) -> dict[str, str]:
        """The host names of those Domains that are finished for certain; one without a row is in doubt, not gone."""
        rows = await self._database.rows(_GONE, epoch, list(uids))
        return {row["uid"]: row["hostname"] for row in rows}

    async def note_records(self, *, epoch: int, ids: Mapping[str, str | None]) -> None:
        """The provider's ids of records, by Domain; None: it is gone."""
        await self._database.run(_RECORDS, epoch, list(ids), list(ids.values()))

    async def note_hostname(self, *, epoch: int, uid: str, hostname_id: str | None) -> None:
        """The provider's id of a custom host name; empty: it is asked for and its id not known; None: it is gone."""
        await self._database.run(_HOSTNAMES, epoch, [uid], [hostname_id])
