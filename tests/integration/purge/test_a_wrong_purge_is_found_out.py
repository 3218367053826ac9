"""A last copy that is lost, and a purge that should not have been: the checks of the books find both, and say whose."""

import uuid

import pytest

from tests.integration.purge.world import EMPTY_S, House

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


@pytest.mark.parametrize("broken", ["snapshot_id = NULL", "state = 'Restoring', snapshot_id = NULL"])
async def test_an_agent_without_volume_and_snapshot_is_found(house: House, broken: str) -> None:
    (uid,) = await house.starved()
    snapshot = (await house.world.record(uid))["snapshot_id"]
    await house.world.sql.execute(f"UPDATE moorage.agent SET {broken}")
    assert await house.world.broken() == [f"I-24: ('{uid}',)"]
    await house.world.sql.execute("UPDATE moorage.agent SET state = 'Archived', snapshot_id = $1", snapshot)


async def test_a_last_snapshot_without_its_key_is_found(house: House) -> None:
    (uid,) = await house.starved()
    destroy = "UPDATE moorage.snapshot SET wrapped_key = $1, purged_at = to_timestamp($2)"
    await house.world.sql.execute(destroy, None, float(EMPTY_S))
    snapshot = (await house.world.record(uid))["snapshot_id"]
    assert await house.world.broken() == [f"I-24: ('{uid}',)", f"I-25: ('{snapshot}',)"]
    await house.world.sql.execute(destroy, b"key", None)


BROKEN = {
    "a notice was never delivered": "UPDATE moorage.notice SET delivered_at = NULL WHERE stage = 'SevenDays'",
    "a notice came too late": "UPDATE moorage.notice SET delivered_at = now() WHERE stage = 'OneDay'",
    "it happened at another time": "UPDATE moorage.agent SET purged_at = purged_at - interval '1 second'",
}


@pytest.mark.parametrize("name", BROKEN, ids=lambda name: name.replace(" ", "_"))
async def test_a_purge_that_was_not_announced_is_found(house: House, name: str) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    await house.look(uid)
    assert await house.world.broken() == []
    before = await house.world.sql.fetch("SELECT stage, delivered_at FROM moorage.notice")
    purged_at = (await house.world.record(uid))["purged_at"]
    await house.world.sql.execute(BROKEN[name])
    assert await house.world.broken() == [f"I-25: ('{uid}',)"]
    for row in before:
        await house.world.sql.execute("UPDATE moorage.notice SET delivered_at = $2 WHERE stage = $1", *row)
    await house.world.sql.execute("UPDATE moorage.agent SET purged_at = $2 WHERE uid = $1", uuid.UUID(uid), purged_at)


async def test_a_purge_while_the_wallet_can_pay_is_refused_by_the_audit_itself(house: House) -> None:
    insert = (
        "INSERT INTO moorage.purge_audit (at, step, cause, held_micros, balance_micros, second_micros, deadline,"
        " told_at) VALUES (now(), 'Started', 'ZeroBalance', $1, $2, 10, now() - $3 * interval '1 hour',"
        " now() - $4 * interval '1 hour')"
    )
    await house.world.sql.execute(insert, 0, 9, 0.0, 24.0)
    for wrong in ((1, 9, 0.0, 24.0), (0, 10, 0.0, 24.0), (0, 9, -1.0, 24.0), (0, 9, 0.0, 23.0), (0, None, 0.0, 24.0)):
        with pytest.raises(Exception, match="started_for_want_of_credit"):
            await house.world.sql.execute(insert, *wrong)
