"""Keys that take the place of others: what is left to do, and each small step of it in a transaction of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from moorage.model.sealing import PLATFORM, Place, SealedValue, WrappedKey
from moorage.store.database import Database

_LEFT = """
SELECT owner::text, version, root_key, wrapped_key AS wrapped FROM moorage.owner_key
WHERE root_key <> $1 AND (owner, version) > ($2, $3) ORDER BY owner, version LIMIT $4
"""
_OWNERS = """
SELECT owner::text FROM moorage.owner_key WHERE owner <> $1
GROUP BY owner HAVING count(*) > 1 OR max(created_at) <= clock_timestamp() - make_interval(days => $2) ORDER BY owner
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the audit of keys."""

    at: datetime
    actor: str
    step: str
    owner: str | None  # None: of many owners
    subject: str  # the id of a root key, or a version
    count: int


class Rotations:
    """Writes in the name of the person who rotates."""

    def __init__(self, database: Database, *, actor: str) -> None:
        self._database = database
        self._actor = actor

    async def left(self, root_key: str, after: tuple[str, int], limit: int) -> list[WrappedKey]:
        """Keys that are wrapped with another root key than this, in their order."""
        return [WrappedKey(**row) for row in await self._database.rows(_LEFT, root_key, *after, limit)]

    async def rewrap(self, before: Sequence[WrappedKey], after: Sequence[WrappedKey]) -> int:
        """Put new wraps of the same keys in their place; returns how many were still as they were read."""
        if not after:
            return 0
        moved: int = await self._database.value(
            "SELECT moorage.rewrap_keys($1, $2, $3, $4, $5, $6)",
            *(self._actor, after[0].root_key, [key.owner for key in before], [key.version for key in before]),
            *([key.wrapped for key in before], [key.wrapped for key in after]),
        )
        return moved

    async def owners(self, older_than_days: int) -> list[str]:
        """Tenants whose newest version is that old, or whose last rotation was not finished."""
        return [row["owner"] for row in await self._database.rows(_OWNERS, PLATFORM, older_than_days)]

    async def tenant(self, name: str) -> str | None:
        """The UID of a tenant that has not been removed."""
        found: str | None = await self._database.value(
            "SELECT uid::text FROM moorage.tenant WHERE name = $1 AND removed_at IS NULL", name
        )
        return found

    async def versions(self, owner: str) -> list[int]:
        """The versions of an owner's key, the oldest first."""
        rows = await self._database.rows(
            "SELECT version FROM moorage.owner_key WHERE owner = $1 ORDER BY version", owner
        )
        return [row["version"] for row in rows]

    async def unfinished(self) -> int:
        """How many owners have more than one version."""
        count: int = await self._database.value(
            "SELECT count(*) FROM (SELECT 1 FROM moorage.owner_key GROUP BY owner HAVING count(*) > 1) several"
        )
        return count

    async def add(self, key: WrappedKey) -> bool:
        """Keep a new version; False when somebody else has just added it."""
        added: bool = await self._database.value(
            "SELECT moorage.add_key_version($1, $2, $3, $4, $5)",
            *(self._actor, key.owner, key.version, key.root_key, key.wrapped),
        )
        return added

    async def sealed(self, owner: str, version: int, limit: int) -> list[SealedValue]:
        """Values that are sealed with a version."""
        rows = await self._database.rows("SELECT * FROM moorage.sealed_values($1, $2, $3)", owner, version, limit)
        return [
            SealedValue(
                stored_in=row["stored_in"],
                id=str(row["id"]),
                place=Place(row["place_table"], row["place_row"], row["place_column"]),
                sealed=row["sealed"],
            )
            for row in rows
        ]

    async def reseal(self, owner: str, version: int, before: Sequence[SealedValue], after: Sequence[bytes]) -> int:
        """Put values sealed with a newer version in their place; returns how many were still as they were read."""
        moved: int = await self._database.value(
            "SELECT moorage.reseal($1, $2, $3, $4, $5, $6, $7)",
            *(self._actor, owner, version, [value.stored_in for value in before], [value.id for value in before]),
            *([value.sealed for value in before], list(after)),
        )
        return moved

    async def retire(self, owner: str, version: int) -> bool:
        """Destroy an old version; False while anything is sealed with it."""
        retired: bool = await self._database.value(
            "SELECT moorage.retire_key_version($1, $2, $3)", self._actor, owner, version
        )
        return retired

    async def audit(self, limit: int) -> list[Change]:
        """What was replaced, the newest first."""
        rows = await self._database.rows(
            "SELECT at, actor, step, owner::text, subject, count FROM moorage.key_audit ORDER BY id DESC LIMIT $1",
            limit,
        )
        return [Change(**row) for row in rows]
