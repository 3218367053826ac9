"""The root key's fingerprint: a wrong key is noticed before it seals or opens anything."""

from collections.abc import Callable

from moorage.model.errors import MoorageError
from moorage.store.database import Database


class WrongRootKey(MoorageError):
    """The key in use is not the one this database's secrets were sealed with."""


async def check_root_key(
    database: Database, *, new_check: Callable[[], bytes], accepts: Callable[[bytes], bool]
) -> None:
    """Remember the first key's check value; refuse every other key from then on."""
    await database.run(
        "INSERT INTO moorage.root_key (check_value) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM moorage.root_key)"
        " ON CONFLICT DO NOTHING",
        new_check(),
    )
    if not accepts(await database.value("SELECT check_value FROM moorage.root_key")):
        raise WrongRootKey(
            "MOORAGE_ROOT_KEY_FILE does not hold the key this database was set up with; put the right key back"
        )
