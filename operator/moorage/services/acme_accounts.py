"""Our account at an ACME authority: a key of the platform's, made once, sealed in the database."""

from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from moorage.model.sealing import PLATFORM, Place
from moorage.providers.acme_ports import AcmeAccount
from moorage.services.keyring import Keyring
from moorage.store.acme_accounts import AcmeAccountRows


class SealedAcmeAccounts:
    """The port AcmeAccounts, for one directory."""

    def __init__(self, directory: str, rows: AcmeAccountRows, keyring: Keyring, epoch: Callable[[], int]) -> None:
        self._directory = directory
        self._rows = rows
        self._keyring = keyring
        self._epoch = epoch
        self._place = Place("acme_account", directory, "sealed_key")

    async def load(self) -> AcmeAccount:
        """As the port says; of two leaders that both make a key, both get the first."""
        row = await self._rows.one(self._directory)
        if row is None:
            sealed = await self._keyring.seal(self._place, PLATFORM, _new_key())
            await self._rows.add(epoch=self._epoch(), directory=self._directory, sealed_key=sealed)
            row = await self._rows.one(self._directory)
            assert row is not None
        return AcmeAccount(key_pem=await self._keyring.open(self._place, PLATFORM, row.sealed_key), uri=row.uri)

    async def note(self, uri: str | None) -> None:
        """As the port says."""
        await self._rows.note(epoch=self._epoch(), directory=self._directory, uri=uri)


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
