"""Replaces keys while everything goes on: in small steps, each whole by itself, so that it may be killed anywhere.

What is left to do is asked of the database each time; beginning again is going on. Old and new can both be read until
the last value is moved, and nothing is replaced before the new has been opened.
"""

import logging
from dataclasses import dataclass, field

from moorage.model.errors import Transient
from moorage.model.sealing import KeyUnreadable, SealedValue, WrappedKey, wrapping_context
from moorage.services import envelope
from moorage.services.keyring import Keyring
from moorage.services.root_keys import RootKeys
from moorage.store.rotations import Rotations

STEP_ROWS = 100
FIRST = ("00000000-0000-0000-0000-000000000000", 0)
LOOKS_MAX = 20  # at values that others change at the same time

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Rotated:
    """What came of a rotation."""

    moved: int = 0
    unreadable: list[str] = field(default_factory=list)  # names of what does not open and was left as it is


class KeyRotation:
    """One person's work on keys."""

    def __init__(self, roots: RootKeys, keyring: Keyring, rows: Rotations, *, step_rows: int = STEP_ROWS) -> None:
        self._roots = roots
        self._keyring = keyring
        self._rows = rows
        self._step_rows = step_rows

    async def root(self) -> Rotated:
        """Wrap every owner's key with the newest root key. Raises KeysUnavailable; what is done stays done."""
        await self._roots.probe()
        done, after = Rotated(), FIRST
        while left := await self._rows.left(self._roots.newest.id, after, self._step_rows):
            before: list[WrappedKey] = []
            anew: list[WrappedKey] = []
            for key in left:
                try:
                    anew.append(await self._rewrapped(key))
                    before.append(key)
                except KeyUnreadable:
                    log.exception("a key does not open", extra={"owner": key.owner, "root_key": key.root_key})
                    done.unreadable.append(f"version {key.version} of {key.owner} under {key.root_key}")
            done.moved += await self._rows.rewrap(before, anew)
            after = (left[-1].owner, left[-1].version)
        return done

    async def owner(self, owner: str) -> Rotated:
        """Give an owner a new key and seal everything with it; one that was begun before is brought to its end.

        Raises Transient when others keep changing what is to be sealed: call again.
        """
        versions = await self._rows.versions(owner)
        if len(versions) == 1:
            await self._rows.add(await self._keyring.new_key(owner, versions[0] + 1))
            versions = await self._rows.versions(owner)
        done = Rotated()
        for old in versions[:-1]:
            await self._reseal(owner, old, versions[-1], done)
            if not done.unreadable and not await self._rows.retire(owner, old):
                raise Transient("something was sealed with the old key meanwhile; run this once more")
        return done

    async def _rewrapped(self, key: WrappedKey) -> WrappedKey:
        context, newest = wrapping_context(key.owner, key.version), self._roots.newest
        plain = await self._roots.unwrap(key.root_key, key.wrapped, context)
        wrapped = await newest.wrap(plain, context)
        if await newest.unwrap(wrapped, context) != plain:
            raise AssertionError("a root key does not open what it has wrapped")
        return WrappedKey(owner=key.owner, version=key.version, root_key=newest.id, wrapped=wrapped)

    async def _reseal(self, owner: str, old: int, newest: int, done: Rotated) -> None:
        for _ in range(LOOKS_MAX):
            while values := await self._rows.sealed(owner, old, self._step_rows + len(done.unreadable)):
                moved = await self._step(owner, newest, values, done)
                if moved == 0:
                    break
                done.moved += moved
            if len(values) <= len(done.unreadable):
                return

    async def _step(self, owner: str, newest: int, values: list[SealedValue], done: Rotated) -> int:
        before: list[SealedValue] = []
        anew: list[bytes] = []
        for value in values:
            try:
                text = await self._keyring.open(value.place, owner, value.sealed)
            except KeyUnreadable:
                name = f"{value.stored_in} {value.id}"
                if name not in done.unreadable:
                    log.exception("a sealed value does not open", extra={"owner": owner, "value": name})
                    done.unreadable.append(name)
                continue
            sealed = await self._keyring.seal(value.place, owner, text)
            if envelope.version_of(sealed) < newest:
                raise AssertionError("a value was sealed with an old version")
            if await self._keyring.open(value.place, owner, sealed) != text:
                raise AssertionError("a value does not open after it was sealed")
            before.append(value)
            anew.append(sealed)
        return await self._rows.reseal(owner, newest, before, anew) if before else 0
