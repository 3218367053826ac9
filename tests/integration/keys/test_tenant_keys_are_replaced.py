"""A tenant's key takes another's place in everything that is sealed, killed anywhere, while others work."""

import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from moorage.model.errors import Transient
from moorage.model.sealing import PLATFORM, KeyUnreadable, Place
from moorage.services import envelope
from moorage.services.key_rotation import KeyRotation
from moorage.services.keyring import Keyring
from moorage.services.restore_tests import RestoreTests
from moorage.services.snapshots import data_key_place
from moorage.store.catalogue import Catalogue
from moorage.store.owner_keys import OwnerKeys
from tests.integration.keys.stage import OLD, Killed, Stage

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


class MortalKeyring(Keyring):
    """Asks a test before it seals, which may let others work meanwhile, or end the process."""

    def __init__(self, stage: Stage, before_seal: Callable[[], Awaitable[None]]) -> None:
        super().__init__(stage.roots(OLD), OwnerKeys(stage.database))
        self._before_seal = before_seal

    async def seal(self, place: Place, owner: str, text: bytes) -> bytes:
        """As ever."""
        await self._before_seal()
        return await super().seal(place, owner, text)


def _rotation(stage: Stage, before_seal: Callable[[], Awaitable[None]]) -> KeyRotation:
    return KeyRotation(stage.roots(OLD), MortalKeyring(stage, before_seal), stage.rows(), step_rows=2)


async def _tenant(stage: Stage, snapshots: int = 3) -> str:
    keyring, tenant = stage.keyring(OLD), await stage.tenant()
    for number in range(snapshots):
        attempt = await stage.snapshot(tenant, keyring, kept=number > 0)  # the first one failed before its end
        if number > 0:
            await stage.restore(attempt)
    return tenant


async def test_everything_is_sealed_anew_and_the_old_version_is_gone(stage: Stage) -> None:
    tenant, other = await _tenant(stage), await _tenant(stage)
    done = await stage.rotation(OLD).owner(tenant)
    assert (done.moved, done.unreadable) == (7, [])  # three attempts, two snapshots, two restores
    assert await stage.rows().versions(tenant) == [2]
    assert await stage.rows().versions(other) == [1]
    await stage.all_open(stage.keyring(OLD))
    steps = [(change.step, change.subject, change.count) for change in reversed(await stage.rows().audit(20))]
    assert steps[0] == ("VersionAdded", "2", 1)
    assert steps[-1] == ("VersionRetired", "1", 1)
    assert sum(count for step, _, count in steps if step == "Resealed") == 7


async def test_the_keys_of_certificates_and_of_the_authoritys_account_are_sealed_anew_too(stage: Stage) -> None:
    tenant, domain, directory = await stage.tenant(), str(uuid.uuid4()), "https://authority.example/directory"
    places = {tenant: Place("domain", domain, "sealed_key"), PLATFORM: Place("acme_account", directory, "sealed_key")}
    sealed = {owner: await stage.keyring(OLD).seal(place, owner, owner.encode()) for owner, place in places.items()}
    await stage.admin.execute(
        "INSERT INTO moorage.domain (uid, tenant_uid, namespace, name, hostname, own, agent_name, challenge,"
        " certificate_id, certificate_issuer, certificate_chain, fingerprint, not_before, not_after, sealed_key)"
        " SELECT $1, uid, core_namespace, 'd', 'd.agents.example', false, 'bot', '',"
        " 'c', 'Acme', '', '', '-infinity', 'infinity', $3 FROM moorage.tenant WHERE uid = $2",
        *(domain, tenant, sealed[tenant]),
    )
    await stage.admin.execute(
        "INSERT INTO moorage.acme_account (directory, sealed_key) VALUES ($1, $2)", directory, sealed[PLATFORM]
    )
    for owner, place in places.items():
        done = await stage.rotation(OLD).owner(owner)
        assert (done.moved, done.unreadable) == (1, [])
        assert await stage.rows().versions(owner) == [2]
        anew = await stage.admin.fetchval(f"SELECT sealed_key FROM moorage.{place.table}")
        assert await stage.keyring(OLD).open(place, owner, anew) == owner.encode()


async def test_killed_before_any_seal_and_begun_again_it_ends_the_same_and_all_is_readable_throughout(
    stage: Stage,
) -> None:
    tenant, lives = await _tenant(stage), 0
    while await stage.rows().versions(tenant) != [2]:
        lives += 1
        left = lives

        async def die() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        try:
            await _rotation(stage, die).owner(tenant)
        except Killed:
            assert (await stage.rows().versions(tenant)) == [1, 2]
        await stage.all_open(stage.keyring(OLD))
    assert lives > 3
    await stage.all_open(stage.keyring(OLD))


async def test_snapshots_that_come_and_go_meanwhile_are_sealed_anew_or_stay_destroyed(stage: Stage) -> None:
    tenant = await _tenant(stage, 4)
    doomed = list(stage.secrets)[1:3]
    ring, came = stage.keyring(OLD), 0

    async def others_work() -> None:
        nonlocal came
        came += 1
        if came <= len(doomed):
            await stage.purge(doomed[came - 1])
            await stage.snapshot(tenant, ring)
        await stage.all_open(ring)

    await _rotation(stage, others_work).owner(tenant)
    assert await stage.rows().versions(tenant) == [2]
    await stage.all_open(stage.keyring(OLD))


async def test_an_attempt_sealed_just_before_its_key_was_retired_is_refused_and_begins_again(stage: Stage) -> None:
    tenant, attempt = await _tenant(stage), str(uuid.uuid4())
    sealed = await stage.keyring(OLD).seal(data_key_place(attempt), tenant, os.urandom(32))
    await stage.rotation(OLD).owner(tenant)
    await stage.admin.execute("UPDATE moorage.agent SET attempt_id = NULL")
    with pytest.raises(Transient, match="replaced meanwhile"):
        await stage.begin(tenant, attempt, sealed)
    await stage.snapshot(tenant, stage.keyring(OLD))


async def test_a_snapshot_read_before_its_key_was_replaced_is_not_called_damaged(stage: Stage) -> None:
    tenant = await _tenant(stage)
    catalogue, nothing = Catalogue(stage.database), cast("Any", None)  # neither store nor folder is asked
    (stale, _) = await catalogue.page("00000000-0000-0000-0000-000000000000", 10)
    await stage.rotation(OLD).owner(tenant)
    with pytest.raises(Transient, match="replaced meanwhile"):
        await RestoreTests(catalogue, nothing, stage.keyring(OLD), nothing).test(stale)


async def test_a_version_that_seals_anything_and_the_newest_are_never_retired(stage: Stage) -> None:
    tenant = await _tenant(stage)
    rows = stage.rows()
    assert await rows.retire(tenant, 1) is False, "the only one"
    await rows.add(await stage.keyring(OLD).new_key(tenant, 2))
    assert await rows.retire(tenant, 1) is False, "values are sealed with it"
    assert await rows.retire(tenant, 2) is False, "the newest"
    await stage.all_open(stage.keyring(OLD))


async def test_a_value_that_does_not_open_is_named_keeps_the_old_version_and_stops_nothing_else(stage: Stage) -> None:
    tenant = await _tenant(stage)
    attempt = next(iter(stage.secrets))
    bad = envelope.seal(b"x" * 32, 1, tenant, data_key_place(attempt), b"y" * 32)
    await stage.admin.execute("UPDATE moorage.attempt SET wrapped_key = $2 WHERE id = $1", attempt, bad)
    done = await stage.rotation(OLD).owner(tenant)
    assert (done.moved, done.unreadable) == (6, [f"attempt {attempt}"])
    assert await stage.rows().versions(tenant) == [1, 2]
    await stage.admin.execute("UPDATE moorage.attempt SET wrapped_key = NULL WHERE id = $1", attempt)
    stage.secrets[attempt] = b""
    done = await stage.rotation(OLD).owner(tenant)
    assert (done.moved, done.unreadable) == (0, [])
    assert await stage.rows().versions(tenant) == [2]
    await stage.all_open(stage.keyring(OLD))


async def test_a_retired_version_opens_nothing_even_for_a_process_that_has_it_in_memory(stage: Stage) -> None:
    tenant, keyring, place = await _tenant(stage), stage.keyring(OLD), Place("elsewhere", "row", "column")
    copy = await keyring.seal(place, tenant, b"from an old backup")
    assert await keyring.open(place, tenant, copy) == b"from an old backup"
    await stage.rotation(OLD).owner(tenant)
    with pytest.raises(KeyUnreadable, match="gone"):
        await keyring.open(place, tenant, copy)


async def test_every_table_that_holds_sealed_values_is_known_to_the_rotation(stage: Stage) -> None:
    """A new one needs the version as a foreign key, and its line in `sealed_values` and `reseal`."""
    holding = await stage.admin.fetch(
        "SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'moorage'"
        " AND data_type = 'bytea' AND table_name <> 'owner_key' AND column_name <> 'sha256'"
    )
    guarded = await stage.admin.fetch(
        "SELECT relname::text FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid"
        " WHERE f.confrelid = 'moorage.owner_key'::regclass AND f.contype = 'f'"
    )
    assert {row["table_name"] for row in holding} == {row["relname"] for row in guarded}
