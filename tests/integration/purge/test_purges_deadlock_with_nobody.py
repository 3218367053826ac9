"""Purges among top-ups, holds, charges and restores in many sessions: everybody takes locks in one order."""

import asyncio
import os
import random
import uuid

import pytest

from dev.postgres import Postgres
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from moorage.store.purges import PurgeRows
from tests.integration.purge.world import DAY_S, END_S, TOMBSTONE_S, House

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

SESSIONS, STEPS, WALLETS = 6, 60, 2
SEED = os.environ.get("MOORAGE_TEST_SEED", "20261122")
# Puts an agent back under its tombstone, as if its wallet had been empty all the time.
STARVE = """
UPDATE moorage.agent SET veto = 'ZeroBalance', state = 'PurgePending', fence = fence + 1, purged_at = NULL,
    grace_since = to_timestamp($2 - 2592000), purge_at = to_timestamp($2), purge_after = to_timestamp($2 + 900)
WHERE uid = $1 AND state IN ('Archived', 'PurgePending')
"""


async def test_any_mix_of_purges_with_what_moves_money_is_free_of_deadlocks(
    house: House, postgres: Postgres, database_url: str
) -> None:
    print(f"seed {SEED}")  # noqa: T201  # pytest shows it with a failure
    contested = [uid for number in range(WALLETS) for uid in await house.starved(f"w{number}", agents=4)]
    # Into the last wallet nobody pays: whoever is the first to ask for one of its agents purges it.
    everybody = contested + await house.starved(f"w{WALLETS}", agents=4)
    old = [await house.snapshot(uid, keep_until_s=END_S) for uid in everybody for _ in range(3)]
    await _starve(house, everybody)
    await house.world.at(END_S - DAY_S)
    await house.tell()
    await house.world.at(END_S)
    await house.rows.entomb_snapshots(epoch=1, limit=1_000)
    await house.world.at(END_S + TOMBSTONE_S)
    said_before = len(postgres.log.read_text())
    databases = [await Database.connect(database_url, size_max=2) for _ in range(SESSIONS)]
    try:
        await asyncio.gather(
            *(_live(database, number, everybody, old) for number, database in enumerate(databases)),
            _starve(house, contested * 10),
        )
    finally:
        for database in databases:
            await database.close()
    assert "deadlock detected" not in postgres.log.read_text()[said_before:]
    causes = {done.cause for done in await house.rows.audit(1_000) if done.step == "Started"}
    assert causes == {"ZeroBalance", "NotKept"}, "something was never purged: this mix proves nothing"


async def _starve(house: House, uids: list[str]) -> None:
    for uid in uids:
        await house.world.sql.execute(STARVE, uuid.UUID(uid), float(END_S))


async def _live(database: Database, number: int, uids: list[str], old: list[str]) -> None:
    """One session's script; any error but a refusal is the test's."""
    rng = random.Random(f"{SEED}/{number}")  # chooses steps, hides nothing
    ledger, rows = Ledger(database), PurgeRows(database)
    for _ in range(STEPS):
        wallet = rng.randrange(WALLETS) + 1
        match rng.randrange(8):
            case 0:
                await ledger.grant(
                    wallet_name=f"w{wallet - 1}", amount_micros=rng.choice((1, 1, 1, 100)), key=str(uuid.uuid4()),
                    reason="test", actor="test",
                )  # fmt: skip
            case 1:
                await ledger.place_hold(wallet, cause="Manual", ref="drill", actor="test")
            case 2:
                await ledger.lift_hold(wallet, cause="Manual", ref="drill", actor="test")
            case 3:
                await ledger.settle_due(epoch=1)
            case 4:
                for notice in await rows.take_notices(epoch=1, limit=5):
                    await rows.note_delivery(epoch=1, notice=notice, failure=None)
            case 5:
                await rows.purge_snapshot(epoch=1, snapshot_id=rng.choice(old))
            case _:
                uid = rng.choice(uids)
                fence = await database.value("SELECT fence FROM moorage.agent WHERE uid = $1", uid)
                await rows.purge_agent(epoch=1, uid=uid, fence=fence)
