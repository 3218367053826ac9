"""What a wallet did, for people who want to check it."""

from moorage.store.database import Database


async def wallet_id(database: Database, name: str) -> int | None:
    """The id of the open wallet of this name, or of the one closed last; None when there never was one."""
    sql = "SELECT id FROM money.wallet WHERE name = $1 ORDER BY closed_at IS NULL DESC, closed_at DESC LIMIT 1"
    found: int | None = await database.value(sql, name)
    return found
