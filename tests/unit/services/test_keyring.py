"""What is sealed opens for its owner and its place only, and only with a root key of this installation."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from moorage.model.sealing import PLATFORM, KeysRefused, KeysUnavailable, KeyUnreadable, Place
from moorage.providers.file_root_key import FileRootKey
from moorage.services import keyring as keyrings
from moorage.services.keyring import Keyring, WrongRootKey
from moorage.services.root_keys import RootKeys
from tests.fakes.keys import MemoryKeys, keyring, root_keys

pytestmark = pytest.mark.anyio

TENANT, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
PLACE = Place("attempt", "a row", "wrapped_key")
OLD, NEW = b"o" * 32, b"n" * 32


class Keeper(FileRootKey):
    """A root key whose keeper counts, and may fail."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.opened = 0
        self.failure: Exception | None = None

    async def wrap(self, plain: bytes, context: Mapping[str, str]) -> bytes:
        if self.failure is not None:
            raise self.failure
        return await super().wrap(plain, context)

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        if self.failure is not None:
            raise self.failure
        self.opened += 1
        return await super().unwrap(wrapped, context)


async def test_a_value_opens_for_its_owner_in_every_process_with_the_root_key() -> None:
    rows = MemoryKeys()
    sealed = await keyring(rows).seal(PLACE, TENANT, b"secret")
    assert b"secret" not in sealed
    assert await keyring(rows).open(PLACE, TENANT, sealed) == b"secret"
    assert await keyring(rows).seal(PLACE, TENANT, b"secret") != sealed


async def test_an_owners_key_is_made_with_the_first_value_and_stays() -> None:
    rows = MemoryKeys()
    assert rows.keys == {}
    await keyring(rows).seal(PLACE, TENANT, b"one")
    await keyring(rows).seal(PLACE, TENANT, b"two")
    await keyring(rows).seal(PLACE, OTHER, b"three")
    assert list(rows.keys) == [(TENANT, 1), (OTHER, 1)]


@pytest.mark.parametrize(("owner", "version"), [(OTHER, 1), (TENANT, 2), (PLATFORM, 1)])
async def test_a_wrapped_key_moved_to_another_owner_or_version_does_not_open(owner: str, version: int) -> None:
    rows = MemoryKeys()
    await keyring(rows).seal(PLACE, TENANT, b"secret")
    moved = replace(rows.keys[TENANT, 1], owner=owner, version=version)
    rows.keys[owner, version] = moved
    with pytest.raises(KeyUnreadable):
        await keyring(rows).seal(PLACE, owner, b"anything")


async def test_another_root_key_opens_nothing() -> None:
    rows = MemoryKeys()
    sealed = await keyring(rows).seal(PLACE, TENANT, b"secret")
    with pytest.raises(KeyUnreadable):
        await keyring(rows, NEW).open(PLACE, TENANT, sealed)


async def test_the_newest_root_key_wraps_and_the_others_open() -> None:
    rows = MemoryKeys()
    sealed = await keyring(rows, OLD).seal(PLACE, TENANT, b"secret")
    both = Keyring(root_keys(NEW, OLD), rows)
    assert await both.open(PLACE, TENANT, sealed) == b"secret"
    await both.seal(PLACE, OTHER, b"more")
    assert rows.keys[OTHER, 1].root_key == FileRootKey(NEW).id


async def test_a_version_that_was_retired_opens_nothing_any_more() -> None:
    rows = MemoryKeys()
    sealed = await keyring(rows).seal(PLACE, TENANT, b"secret")
    rows.keys.clear()
    with pytest.raises(KeyUnreadable, match="gone"):
        await keyring(rows).open(PLACE, TENANT, sealed)


async def test_open_keys_are_kept_for_a_bounded_time_and_in_a_bounded_number() -> None:
    keeper, rows, now = Keeper(OLD), MemoryKeys(), [0.0]
    ring = Keyring(RootKeys([keeper]), rows, clock=lambda: now[0], open_max=2)
    sealed = await ring.seal(PLACE, TENANT, b"secret")
    assert keeper.opened == 1
    now[0] = keyrings.OPEN_SECONDS - 1
    await ring.open(PLACE, TENANT, sealed)
    assert keeper.opened == 1
    now[0] = keyrings.OPEN_SECONDS
    await ring.open(PLACE, TENANT, sealed)
    assert keeper.opened == 2
    for number in range(3):
        await ring.seal(PLACE, str(number), b"x")
    await ring.open(PLACE, TENANT, sealed)
    assert keeper.opened == 6, "the least used went"


async def test_a_signature_needs_the_root_key_and_no_row() -> None:
    signed = await keyring().sign("witness", b"body")
    assert await keyring().is_signed("witness", b"body", signed)
    assert not await keyring().is_signed("witness", b"another body", signed)
    assert not await keyring().is_signed("other purpose", b"body", signed)
    assert not await keyring(root=NEW).is_signed("witness", b"body", signed)
    for forged in ("", "x", signed[:-4], signed.replace(signed[30], "*"), signed.partition(" ")[2]):
        assert not await keyring().is_signed("witness", b"body", forged), forged
    assert await Keyring(root_keys(NEW, bytes(32)), MemoryKeys()).is_signed("witness", b"body", signed)


async def test_the_mac_of_a_purpose_is_the_installations() -> None:
    rows = MemoryKeys()
    one, other = await keyring(rows).mac_of("urls"), await keyring(rows).mac_of("urls")
    assert one(b"claim") == other(b"claim")
    assert one(b"claim") != (await keyring(rows).mac_of("other"))(b"claim")
    assert one(b"claim") != (await keyring().mac_of("urls"))(b"claim")


async def test_a_process_does_not_start_with_root_keys_that_lack_one() -> None:
    rows = MemoryKeys()
    await keyring(rows, OLD).require()
    await keyring(rows, OLD).require()
    with pytest.raises(WrongRootKey, match=FileRootKey(OLD).id):
        await keyring(rows, NEW).require()
    await Keyring(root_keys(NEW, OLD), rows).require()


async def test_a_process_does_not_start_when_the_platforms_key_was_damaged() -> None:
    rows = MemoryKeys()
    await keyring(rows).require()
    kept = rows.keys[PLATFORM, 1]
    rows.keys[PLATFORM, 1] = replace(kept, wrapped=kept.wrapped[:-1] + bytes([kept.wrapped[-1] ^ 1]))
    with pytest.raises(WrongRootKey, match="not the one this database was set up with"):
        await keyring(rows).require()


async def test_a_keeper_that_refuses_stops_the_start_and_one_that_is_away_does_not() -> None:
    keeper, rows = Keeper(OLD), MemoryKeys()
    keeper.failure = KeysUnavailable("away")
    with pytest.raises(KeysUnavailable, match="away"):
        await Keyring(RootKeys([keeper]), rows).require()  # the very first start makes a key
    keeper.failure = None
    await Keyring(RootKeys([keeper]), rows).require()
    keeper.failure = KeysUnavailable("away")
    await Keyring(RootKeys([keeper]), rows).require()
    keeper.failure = KeysRefused("denied")
    with pytest.raises(WrongRootKey, match="denied"):
        await Keyring(RootKeys([keeper]), rows).require()
