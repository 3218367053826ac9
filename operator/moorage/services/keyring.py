"""Seals what is secret in the database: a root key wraps each owner's key, an owner's key seals values.

A root key is outside of the database and may be outside of this process; an owner is a tenant or the platform. An
owner's key is made when there is first something to seal, and destroying it makes all that it sealed unreadable.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable

from moorage.model.errors import MoorageError
from moorage.model.sealing import (
    PLATFORM,
    KeysRefused,
    KeysUnavailable,
    KeyUnreadable,
    Place,
    WrappedKey,
    signing_context,
    wrapping_context,
)
from moorage.services import envelope
from moorage.services.root_keys import RootKeys
from moorage.store.owner_keys import OwnerKeys

log = logging.getLogger(__name__)

OPEN_MAX = 1000
OPEN_SECONDS = 300.0  # for as long work goes on without whoever keeps the root key, and after a withdrawal of it


class WrongRootKey(MoorageError):
    """The root keys of this process do not open this installation's keys; nothing may start with them."""


class Keyring:
    """Seals and opens for owners; keeps their open keys in memory, a bounded number for a bounded time."""

    def __init__(
        self, roots: RootKeys, rows: OwnerKeys, *, clock: Callable[[], float] = time.monotonic, open_max: int = OPEN_MAX
    ) -> None:
        self._roots = roots
        self._rows = rows
        self._clock = clock
        self._open_max = open_max
        self._open: OrderedDict[tuple[str, int], tuple[bytes, float]] = OrderedDict()

    async def require(self) -> None:
        """Refuse to start with the wrong root keys; raises WrongRootKey with a sentence.

        One that just does not answer is no reason not to start: agents are metered and stopped without it.
        """
        missing = (await self._rows.roots()).keys() - self._roots.known
        if missing:
            raise WrongRootKey(
                f"keys are wrapped with {', '.join(sorted(missing))}, which is not set up here;"
                " put it back, or see `moorage keys rotate-root`"
            )
        set_up = await self._rows.newest(PLATFORM) is not None
        try:
            await self._roots.probe()
            await self._key(await self._newest(PLATFORM))
        except KeyUnreadable as error:
            raise WrongRootKey("the root key is not the one this database was set up with") from error
        except KeysRefused as error:
            raise WrongRootKey(str(error)) from error
        except KeysUnavailable as error:
            if not set_up:
                raise
            log.warning("the root key cannot be reached; snapshots wait for it", extra={"why": str(error)})

    async def seal(self, place: Place, owner: str, text: bytes) -> bytes:
        """Seal for an owner and a place. Raises KeysUnavailable."""
        newest = await self._newest(owner)
        return envelope.seal(await self._sealing_key(newest), newest.version, owner, place, text)

    async def open(self, place: Place, owner: str, sealed: bytes) -> bytes:
        """Open what was sealed for this owner and place. Raises KeyUnreadable and KeysUnavailable."""
        version = envelope.version_of(sealed)
        kept = await self._rows.one(owner, version)
        if kept is None:
            raise KeyUnreadable("the key of a sealed value is gone")
        return envelope.unseal(await self._sealing_key(kept), owner, place, sealed)

    async def mac_of(self, purpose: str) -> Callable[[bytes], str]:
        """A function that makes HMAC-SHA-256 in hexadecimal, the same in every process of this installation."""
        key = _derived(await self._key(await self._newest(PLATFORM)), f"mac {purpose}")
        return lambda body: hmac.new(key, body, "sha256").hexdigest()

    async def sign(self, purpose: str, body: bytes) -> str:
        """A signature that needs the root key and nothing of the database, to be made and to be checked."""
        newest = self._roots.newest
        wrapped = await newest.wrap(hashlib.sha256(body).digest(), signing_context(purpose))
        return f"{newest.id} {base64.b64encode(wrapped).decode()}"

    async def is_signed(self, purpose: str, body: bytes, signature: str) -> bool:
        """Whether one of our root keys signed exactly this. Raises KeysUnavailable when nobody can say."""
        root, _, wrapped = signature.partition(" ")
        try:
            digest = await self._roots.unwrap(root, base64.b64decode(wrapped, validate=True), signing_context(purpose))
        except (KeyUnreadable, binascii.Error):
            return False
        return hmac.compare_digest(digest, hashlib.sha256(body).digest())

    async def new_key(self, owner: str, version: int) -> WrappedKey:
        """A fresh key, wrapped with the newest root key; nobody has it before it is in the database."""
        newest = self._roots.newest
        wrapped = await newest.wrap(os.urandom(envelope.KEY_BYTES), wrapping_context(owner, version))
        return WrappedKey(owner=owner, version=version, root_key=newest.id, wrapped=wrapped)

    async def _newest(self, owner: str) -> WrappedKey:
        kept = await self._rows.newest(owner)
        if kept is None:
            await self._rows.add(await self.new_key(owner, 1))  # the first of several to come is kept
            kept = await self._rows.newest(owner)
            assert kept is not None
        return kept

    async def _sealing_key(self, kept: WrappedKey) -> bytes:
        return _derived(await self._key(kept), "seal")

    async def _key(self, kept: WrappedKey) -> bytes:
        name, now = (kept.owner, kept.version), self._clock()
        known = self._open.get(name)
        if known is not None and now < known[1]:
            self._open.move_to_end(name)
            return known[0]
        context = wrapping_context(kept.owner, kept.version)
        key = await self._roots.unwrap(kept.root_key, kept.wrapped, context)
        self._open[name] = (key, now + OPEN_SECONDS)
        self._open.move_to_end(name)
        while len(self._open) > self._open_max:
            self._open.popitem(last=False)
        return key


def _derived(key: bytes, use: str) -> bytes:
    """A key of its own for each use of an owner's key."""
    return hmac.digest(key, f"moorage {use}".encode(), "sha256")
