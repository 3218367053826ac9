"""A root key takes another's place under everything, killed anywhere, while others work; nothing is unreadable ever."""

import contextlib

import pytest

from moorage.model.sealing import PLATFORM
from moorage.providers.file_root_key import FileRootKey
from moorage.services.keyring import WrongRootKey
from tests.integration.keys.stage import NEW, OLD, Killed, Stage

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

OLD_ID, NEW_ID = FileRootKey(OLD).id, FileRootKey(NEW).id


async def _house(stage: Stage, tenants: int) -> list[str]:
    before = stage.keyring(OLD)
    await before.require()
    made = [await stage.tenant() for _ in range(tenants)]
    for tenant in made:
        await stage.snapshot(tenant, before)
    return made


async def test_afterwards_only_the_new_root_key_opens_and_everything_is_readable(stage: Stage) -> None:
    await _house(stage, 5)
    done = await stage.rotation(NEW, OLD).root()
    assert (done.moved, done.unreadable) == (6, [])  # the platform's too
    assert await stage.roots_in_use() == {NEW_ID}
    await stage.all_open(stage.keyring(NEW))
    await stage.keyring(NEW).require()
    with pytest.raises(WrongRootKey):
        await stage.keyring(OLD).require()
    assert (await stage.rotation(NEW, OLD).root()).moved == 0


async def test_killed_before_any_wrap_and_begun_again_it_ends_the_same_and_both_are_readable_throughout(
    stage: Stage,
) -> None:
    await _house(stage, 5)
    lives = 0
    while await stage.roots_in_use() != {NEW_ID}:
        lives += 1
        left = lives  # each life gets one wrap further than the one before

        async def die() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        with contextlib.suppress(Killed):
            await stage.rotation(NEW, OLD, before_wrap=die).root()
        await stage.all_open(stage.keyring(NEW, OLD))
        await stage.all_open(stage.keyring(OLD, NEW))  # a process that was not restarted since
    assert lives > 3
    counts = [change.count for change in await stage.rows().audit(100)]
    assert sum(counts) == 6, "every key was replaced once, whoever was killed"
    await stage.all_open(stage.keyring(NEW))


async def test_tenants_and_snapshots_that_come_meanwhile_are_found_too(stage: Stage) -> None:
    tenants = await _house(stage, 3)
    late = stage.keyring(OLD, NEW)  # an operator that does not know yet that the new one wraps
    came = 0

    async def others_work() -> None:
        nonlocal came
        if came < 3:
            came += 1
            await stage.snapshot(await stage.tenant(), late)
            await stage.snapshot(tenants[0], late)
            await stage.all_open(late)

    await stage.rotation(NEW, OLD, before_wrap=others_work).root()
    await stage.rotation(NEW, OLD).root()
    assert await stage.roots_in_use() == {NEW_ID}
    await stage.all_open(stage.keyring(NEW))


async def test_two_people_at_once_replace_every_key_once(stage: Stage) -> None:
    await _house(stage, 4)
    second = 0

    async def another_rotation() -> None:
        nonlocal second
        second += 1
        if second == 3:
            await stage.rotation(NEW, OLD).root()

    await stage.rotation(NEW, OLD, before_wrap=another_rotation).root()
    assert sum(change.count for change in await stage.rows().audit(100)) == 5
    await stage.all_open(stage.keyring(NEW))


async def test_a_key_that_does_not_open_is_named_and_left_and_the_others_are_moved(stage: Stage) -> None:
    tenants = await _house(stage, 3)
    damage = "UPDATE moorage.owner_key SET wrapped_key = set_byte(wrapped_key, 20, get_byte(wrapped_key, 20) # 1)"
    await stage.admin.execute(f"{damage} WHERE owner = $1", tenants[1])
    done = await stage.rotation(NEW, OLD).root()
    assert done.moved == 3
    assert [tenants[1] in one for one in done.unreadable] == [True]
    assert await stage.roots_in_use() == {OLD_ID, NEW_ID}
    with pytest.raises(WrongRootKey, match=OLD_ID):
        await stage.keyring(NEW).require()


async def test_the_audit_says_who_when_and_how_many_and_nobody_edits_it(stage: Stage) -> None:
    await _house(stage, 3)
    await stage.rotation(NEW, OLD, step_rows=100).root()
    (change,) = await stage.rows().audit(10)
    assert (change.actor, change.step, change.subject, change.count) == ("cli:ada", "Rewrapped", NEW_ID, 4)
    for statement in ("UPDATE moorage.key_audit SET count = 1", "DELETE FROM moorage.key_audit"):
        with pytest.raises(Exception, match="append-only"):
            await stage.admin.execute(statement)


async def test_a_purged_key_stays_purged(stage: Stage) -> None:
    (tenant,) = await _house(stage, 1)
    gone = await stage.snapshot(tenant, stage.keyring(OLD))
    await stage.purge(gone)
    await stage.rotation(NEW, OLD).root()
    await stage.all_open(stage.keyring(NEW))


async def test_the_application_can_neither_change_nor_delete_a_wrapped_key_by_itself(stage: Stage) -> None:
    await _house(stage, 1)
    for statement in ("UPDATE moorage.owner_key SET version = 2", "DELETE FROM moorage.owner_key"):
        with pytest.raises(Exception, match="permission denied"):
            await stage.database.run(statement)
    assert await stage.admin.fetchval("SELECT count(*) FROM moorage.owner_key WHERE owner = $1", PLATFORM) == 1
