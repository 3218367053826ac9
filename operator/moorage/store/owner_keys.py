"""The keys of tenants and of the platform, wrapped; whoever has only the database has none of them."""

from moorage.model.sealing import WrappedKey
from moorage.store.database import Database

_SELECT = "SELECT owner::text, version, root_key, wrapped_key AS wrapped FROM moorage.owner_key"


class OwnerKeys:
    """The table `owner_key`, as it is used; `store.rotations` changes it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, owner: str) -> WrappedKey | None:
        """The version that seals; None while nothing was ever sealed for this owner."""
        row = await self._database.row(f"{_SELECT} WHERE owner = $1 ORDER BY version DESC LIMIT 1", owner)
        return None if row is None else WrappedKey(**row)

    async def one(self, owner: str, version: int) -> WrappedKey | None:
        """One version; None when there is none, or it was retired."""
        row = await self._database.row(f"{_SELECT} WHERE owner = $1 AND version = $2", owner, version)
        return None if row is None else WrappedKey(**row)

    async def add(self, key: WrappedKey) -> bool:
        """Keep a new version; False, and nothing written, when somebody else has just made it."""
        made = await self._database.value(
            "INSERT INTO moorage.owner_key (owner, version, root_key, wrapped_key) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT DO NOTHING RETURNING true",
            *(key.owner, key.version, key.root_key, key.wrapped),
        )
        return made is True

    async def roots(self) -> dict[str, int]:
        """How many keys each root key wraps, by its id."""
        rows = await self._database.rows("SELECT root_key, count(*) AS keys FROM moorage.owner_key GROUP BY root_key")
        return {row["root_key"]: row["keys"] for row in rows}
