"""The root key's check value: kept with the secrets it guards, so that a wrong key is noticed before it does harm."""

from moorage.store.database import Database


async def remember(database: Database, check_value: bytes) -> bytes:
    """Keep the first key's check value for good; returns the one that is kept."""
    await database.run(
        "INSERT INTO moorage.root_key (check_value) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM moorage.root_key)"
        " ON CONFLICT DO NOTHING",
        check_value,
    )
    found = await kept(database)
    assert found is not None
    return found


async def kept(database: Database) -> bytes | None:
    """The check value that is kept; None before an operator has ever started."""
    found: bytes | None = await database.value("SELECT check_value FROM moorage.root_key")
    return found
