"""The root key's check value: kept with the secrets it guards, so that a wrong key is noticed before it does harm."""

from moorage.store.database import Database


async def remember(database: Database, check_value: bytes) -> bytes:
    """Keep the first key's check value for good; returns the one that is kept."""
    await database.run(
        "INSERT INTO moorage.root_key (check_value) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM moorage.root_key)"
        " ON CONFLICT DO NOTHING",
        check_value,
    )
    kept: bytes = await database.value("SELECT check_value FROM moorage.root_key")
    return kept
