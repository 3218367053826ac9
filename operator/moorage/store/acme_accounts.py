"""Our accounts at ACME authorities, one per directory, with their sealed keys."""

from dataclasses import dataclass

from moorage.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account as it is kept."""

    sealed_key: bytes
    uri: str | None


class AcmeAccountRows:
    """The table `acme_account`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def one(self, directory: str) -> AccountRow | None:
        """The account at an authority; None when there is none."""
        row = await self._database.row(
            "SELECT sealed_key, uri FROM moorage.acme_account WHERE directory = $1", directory
        )
        return None if row is None else AccountRow(**row)

    async def add(self, *, epoch: int, directory: str, sealed_key: bytes) -> None:
        """Keep a new key; the first of several stays."""
        await self._database.run(
            "INSERT INTO moorage.acme_account (directory, sealed_key) SELECT $2, $3 FROM moorage.require_epoch($1)"
            " ON CONFLICT DO NOTHING",
            *(epoch, directory, sealed_key),
        )

    async def note(self, *, epoch: int, directory: str, uri: str | None) -> None:
        """What the authority calls it; None: it no longer knows it."""
        await self._database.run(
            "UPDATE moorage.acme_account SET uri = $3 FROM moorage.require_epoch($1) WHERE directory = $2",
            *(epoch, directory, uri),
        )
