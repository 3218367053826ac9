"""Keyrings for tests: real sealing, and an installation's keys in memory where there is no database."""

from collections.abc import Mapping
from typing import Any

from moorage.model.sealing import WrappedKey
from moorage.providers.file_root_key import FileRootKey
from moorage.services.keyring import Keyring
from moorage.services.root_keys import RootKeys
from moorage.store.database import Database
from moorage.store.owner_keys import OwnerKeys

ROOT = bytes(32)


class MemoryKeys(OwnerKeys):
    """The table of wrapped keys."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, int], WrappedKey] = {}

    async def newest(self, owner: str) -> WrappedKey | None:
        """The highest version."""
        versions = [version for kept, version in self.keys if kept == owner]
        return self.keys[owner, max(versions)] if versions else None

    async def one(self, owner: str, version: int) -> WrappedKey | None:
        """One version."""
        return self.keys.get((owner, version))

    async def add(self, key: WrappedKey) -> bool:
        """The first stays."""
        return self.keys.setdefault((key.owner, key.version), key) is key

    async def roots(self) -> dict[str, int]:
        """Keys by root key."""
        roots = [key.root_key for key in self.keys.values()]
        return {root: roots.count(root) for root in roots}


class AwayRootKey(FileRootKey):
    """A root key whose keeper does not answer while `failure` is set."""

    failure: Exception | None = None
    asked = 0

    async def wrap(self, plain: bytes, context: Mapping[str, str]) -> bytes:
        """As ever, or not."""
        self._answer()
        return await super().wrap(plain, context)

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """As ever, or not."""
        self._answer()
        return await super().unwrap(wrapped, context)

    def _answer(self) -> None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure


def root_keys(*roots: bytes) -> RootKeys:
    """Root keys as from a file, the newest first."""
    return RootKeys([FileRootKey(root) for root in roots or (ROOT,)])


def keyring(kept: Database | OwnerKeys | None = None, root: bytes = ROOT, **more: Any) -> Keyring:
    """A keyring under one root key, over a database or over memory."""
    rows = OwnerKeys(kept) if isinstance(kept, Database) else kept
    return Keyring(root_keys(root), MemoryKeys() if rows is None else rows, **more)
