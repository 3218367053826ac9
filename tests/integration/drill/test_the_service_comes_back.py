"""The drill of docs/operations.md: the database is lost and restored to a moment before, the object store is as it was.

Real servers, archive, object store, movers and commands. What came after that moment is lost and told; nothing is
charged twice, nothing is purged, and what was safe at that moment is there.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from dev.postgres import Postgres
from moorage.cli import main
from moorage.model.errors import HistoryInDoubt, LostLeadership
from moorage.services import store_census
from moorage.services.key_rotation import KeyRotation
from moorage.services.keyring import WrongRootKey
from moorage.store.catalogue import Catalogue
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from moorage.store.migrate import migrate
from moorage.store.purges import PurgeRows
from moorage.store.rotations import Rotations
from tests import base_backup
from tests.fakes import keys
from tests.integration.drill import house as houses
from tests.integration.drill.house import RATE_PICOS, Platform
from tests.integration.snapshots.world import ROOT, ROOT_KEY, Found, open_world
from tests.store_server import VersityGateway

pytestmark = [pytest.mark.postgres, pytest.mark.store, pytest.mark.anyio]

NEW_ROOT_KEY = b"n" * 32
PAID_BEFORE, PAID_AFTER = 2_000_000, 1_000_000


async def test_a_platform_restored_from_its_backups_goes_on_where_it_was(
    servers: Path, object_store: VersityGateway, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "operator"), str(ROOT)]))  # for the verifier
    first, paid = Postgres(servers / "first", durable=False), dict[str, int]()
    with contextlib.ExitStack() as stack:
        stack.callback(first.stop)
        base_backup.start_archiving(first, servers / "archive")
        found = await _founded(first.url())
        async with _opened(first.url(), object_store, scratch, found, ROOT_KEY) as before:
            await _lives(before, paid)
            await base_backup.take(first, servers / "second")
            states = await before.states()
            base_backup.mark(first)
            lost = await _lives_on(before, paid)
            await base_backup.archived(first, servers / "archive")
        first.crash()

        second = base_backup.recovering(servers / "second", servers / "archive")
        stack.callback(second.stop)
        await base_backup.recovered(second)
        await _the_root_key_of_the_backup_is_needed(second.url())
        async with _opened(second.url(), object_store, scratch, found, NEW_ROOT_KEY, ROOT_KEY) as after:
            assert await after.states() == states, "as of the backup"
            assert await after.balance() == PAID_BEFORE - 600
            await _nobody_leads_charges_or_purges(after, old_epoch=before.world.epoch)
            await _a_person_trusts_it(after, paid, second.url())
            await _nothing_is_charged_twice_and_the_payments_are_back(after, paid)
            await _nothing_is_purged(after)
            await _what_was_safe_is_there_and_what_is_lost_is_told(after, lost)


async def _founded(url: str) -> Found:
    await migrate(url)
    database, admin = await Database.connect(url), await asyncpg.connect(url)
    tenant, bot = await houses.populate(admin, Ledger(database), epoch=0)
    await admin.close()
    await database.close()
    return Found(tenant, bot, "drill")


@contextlib.asynccontextmanager
async def _opened(
    url: str, gateway: VersityGateway, scratch: Path, found: Found, *roots: bytes
) -> AsyncIterator[Platform]:
    async with open_world(url, gateway, scratch, found=found, roots=roots) as world:
        proof = await houses.proof_of(url)
        try:
            yield Platform(world, proof)
        finally:
            await proof.close()


async def _lives(house: Platform, paid: dict[str, int]) -> None:
    """Two snapshots, of which the first is due to go; a payment, sixty seconds charged, and a witness."""
    await house.world.keyring.require()
    await house.lead()
    await house.pay(paid, "payment-1", PAID_BEFORE)
    await house.run()
    await house.charge(seconds=60)
    assert await house.balance() == PAID_BEFORE - 600
    diary = house.world.volume("day") / "diary.txt"
    for day in ("day 0", "day 1"):
        diary.write_text(day)
        assert (await house.world.snapshot(diary.parent)).failure is None
    await house.world.admin.execute(
        "UPDATE moorage.snapshot s SET keep_until = now() - interval '1 day'"
        " FROM moorage.agent a WHERE a.uid = s.agent_uid AND a.snapshot_id <> s.id"
    )
    await PurgeRows(house.world.database).entomb_snapshots(epoch=house.world.epoch, limit=10)
    await house.world.admin.execute("UPDATE moorage.snapshot SET purge_after = now() WHERE purge_after IS NOT NULL")
    await house.witness.tell()


async def _lives_on(house: Platform, paid: dict[str, int]) -> str:
    """What the backup will not have: charges, a payment, a snapshot, a state, and another root key."""
    await house.charge(seconds=100)
    assert await house.balance() == PAID_BEFORE - 1000
    await house.pay(paid, "payment-2", PAID_AFTER)
    diary = house.world.scratch / "day" / "diary.txt"
    diary.write_text("day 2")
    lost = await house.world.snapshot(diary.parent)
    await house.world.admin.execute("UPDATE moorage.agent SET state = 'Suspended' WHERE name = 'bot'")
    roots = keys.root_keys(NEW_ROOT_KEY, ROOT_KEY)
    await KeyRotation(roots, house.world.keyring, Rotations(house.world.database, actor="cli:ada")).root()
    await house.witness.tell()
    return lost.object_key


async def _the_root_key_of_the_backup_is_needed(url: str) -> None:
    database = await Database.connect(url)
    try:
        with pytest.raises(WrongRootKey, match="put it back"):
            await keys.keyring(database, NEW_ROOT_KEY).require()
    finally:
        await database.close()


async def _nobody_leads_charges_or_purges(house: Platform, *, old_epoch: int) -> None:
    await house.world.keyring.require()
    house.world.epoch = old_epoch
    with pytest.raises(LostLeadership):
        await house.ledger.settle_all(epoch=old_epoch)
    with pytest.raises(LostLeadership):
        await house.purges.remove_snapshots(epoch=old_epoch)
    with pytest.raises(HistoryInDoubt):
        await house.witness.look()
    with pytest.raises(HistoryInDoubt):
        await house.lead()


async def _a_person_trusts_it(house: Platform, paid: dict[str, int], url: str) -> None:
    for key, micros in list(paid.items()):  # the provider is asked for everything since the backup
        await house.pay(paid, key, micros)
    assert (await _command(url, "verify")).exit_code == 0
    done = await _command(url, "trust-restore", "--reason", "the drill: everything after the named point is lost")
    assert (done.exit_code, done.output) == (0, "Trusted; the operator goes on by itself.\n")
    assert await house.lead() > 0
    await house.witness.look()
    await house.witness.tell()


async def _nothing_is_charged_twice_and_the_payments_are_back(house: Platform, paid: dict[str, int]) -> None:
    started_s = await house.world.admin.fetchval("SELECT min(started) FROM money.run")
    house.started_s = started_s
    await house.charge(seconds=100)  # sixty of them are in the backup
    await house.charge(seconds=100)
    assert await house.balance() == sum(paid.values()) - 100 * RATE_PICOS // 1_000_000
    assert await house.world.admin.fetchval("SELECT count(*) FROM money.run") == 1


async def _nothing_is_purged(house: Platform) -> None:
    assert await house.purges.remove_snapshots(epoch=house.world.epoch) == 0
    rows = await house.world.admin.fetch("SELECT wrapped_key, keep_until, purge_after FROM moorage.snapshot")
    assert [row["wrapped_key"] is not None for row in rows] == [True, True]
    assert [row["purge_after"] for row in rows] == [None, None], "every tombstone is lifted"
    assert len(house.world.gateway.objects(house.world.bucket)) >= 3


async def _what_was_safe_is_there_and_what_is_lost_is_told(house: Platform, lost: str) -> None:
    back = house.world.volume("back")
    assert (await house.world.restore(back)).failure is None
    assert (back / "diary.txt").read_text() == "day 1"
    census = await store_census.take(Catalogue(house.world.database), house.world.store)
    assert (census.living, census.lacking) == (2, [])
    assert census.unknown == [lost], "found, told, and deleted by nobody"


async def _command(url: str, *arguments: str) -> Result:
    settings = {"MOORAGE_DATABASE_URL": url}
    return await asyncio.to_thread(lambda: CliRunner().invoke(main, ["ledger", *arguments], env=settings))
