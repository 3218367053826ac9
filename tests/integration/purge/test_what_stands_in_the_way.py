"""Whatever speaks against a purge is asked in the very transaction that starts it, and then nothing is touched."""

import uuid
from collections.abc import Awaitable, Callable

import pytest

from moorage.model.payments import Source
from moorage.model.purges import Outcome
from moorage.store.ledger import Ledger
from tests.integration.purge.world import DAY_S, END_S, TOMBSTONE_S, House

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


async def _hold(house: House) -> None:
    await Ledger(house.world.database).place_hold(1, cause="Manual", ref="drill", actor="test")


async def _unread_event(house: House) -> None:
    await house.world.payments.keep_event(source=Source.STRIPE, ext_id="evt_1", obj_id="pi_1", payload=b"{}")


async def _payment_of_nobody(house: House) -> None:
    await house.world.pay(None, "pi_nobody", payer="stranger")


async def _pending_payment(house: House) -> None:
    await house.world.pay(1, "pi_2", paid_ext=0)


async def _lost_notice(house: House) -> None:
    await house.world.sql.execute("UPDATE moorage.notice SET delivered_at = NULL WHERE stage = 'OneDay'")


async def _fresh_notice(house: House) -> None:
    await house.world.sql.execute(
        "UPDATE moorage.notice SET delivered_at = to_timestamp($1) WHERE stage = 'OneDay'", float(END_S)
    )


async def _slow_clock(house: House) -> None:
    await house.world.at(END_S + TOMBSTONE_S - 1)


async def _doubt(house: House) -> None:
    await house.world.sql.execute("SELECT money.note_lineage(false, 'drill', 'test')")


async def _switch(house: House) -> None:
    assert await house.rows.stop(reason="drill", actor="test")


async def _clone(house: House) -> None:
    other = await house.world.agent("clone")
    await house.world.sql.execute(
        "UPDATE moorage.agent SET state = 'Restoring', snapshot_id = (SELECT id FROM moorage.snapshot) WHERE uid = $1",
        uuid.UUID(other),
    )


HINDRANCES: dict[str, tuple[Callable[[House], Awaitable[None]], Outcome]] = {
    "the wallet is on hold": (_hold, Outcome.CROSSED),
    "an event that nobody has read": (_unread_event, Outcome.PAYMENT_MAY_COME),
    "a payment whose owner nobody knows": (_payment_of_nobody, Outcome.PAYMENT_MAY_COME),
    "a payment of the wallet that is not booked yet": (_pending_payment, Outcome.PAYMENT_MAY_COME),
    "a notice was not delivered": (_lost_notice, Outcome.NOTICE_MISSING),
    "a notice was delivered less than a day ago": (_fresh_notice, Outcome.NOTICE_MISSING),
    "the tombstone is younger than 15 minutes": (_slow_clock, Outcome.TOO_EARLY),
    "the database was restored": (_doubt, Outcome.HISTORY_IN_DOUBT),
    "a person has stopped purges": (_switch, Outcome.STOPPED),
    "another agent is made from the snapshot": (_clone, Outcome.SNAPSHOT_IN_USE),
}


@pytest.mark.parametrize("name", HINDRANCES, ids=lambda name: name.replace(" ", "_"))
async def test_nothing_is_purged_when(house: House, name: str) -> None:
    happens, outcome = HINDRANCES[name]
    (uid,) = await house.starved()
    await house.entombed(uid)
    fence = (await house.record(uid)).fence
    await happens(house)
    assert await house.rows.purge_agent(epoch=1, uid=uid, fence=fence) is outcome
    assert await house.keys(uid) == [True]
    assert await house.state(uid) != "Purged"
    assert not {"Started", "KeyDestroyed"} & set(await house.steps())


async def test_a_wallet_on_hold_lifts_the_tombstone_and_its_end_begins_the_grace_anew(house: House) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    await _hold(house)
    assert await house.state(uid) == "Archived"
    await house.look(uid)
    assert (await house.record(uid)).grace.ends_at is None
    await Ledger(house.world.database).lift_hold(1, cause="Manual", ref="drill", actor="test")
    await house.look(uid)
    grace = (await house.record(uid)).grace
    assert grace.ends_at is not None
    assert grace.ends_at.timestamp() == END_S + TOMBSTONE_S + 30 * DAY_S


async def test_notices_that_are_refused_are_sent_again_and_put_the_purge_off_by_a_day(house: House) -> None:
    (uid,) = await house.starved()
    await house.look(uid)
    house.notices.down = True
    await house.world.at(END_S)
    for _ in range(3):
        await house.tell()  # the pause between two tries is kept
    assert house.metrics.purge_notices_failed._value.get() == 3  # the client offers no reader
    await house.look(uid)
    assert await house.state(uid) == "Archived"
    house.notices.down = False
    await house.world.at(END_S + 3600)
    await house.tell()
    assert len(house.notices.accepted) == 3
    await house.world.at(END_S + 3600 + DAY_S - 1)
    await house.look(uid)
    assert await house.state(uid) == "Archived"
    await house.world.at(END_S + 3600 + DAY_S)
    await house.look(uid)
    assert await house.state(uid) == "PurgePending"


async def test_a_notice_that_was_sent_by_a_process_that_died_is_sent_again(house: House) -> None:
    (uid,) = await house.starved()
    await house.look(uid)
    await house.world.at(END_S - 7 * DAY_S)
    (taken,) = await house.rows.take_notices(epoch=1, limit=10)  # and then the process is gone
    assert await house.rows.take_notices(epoch=1, limit=10) == []
    await house.world.at(END_S - 7 * DAY_S + 60)
    await house.tell()
    assert house.notices.accepted == [taken]
    assert (await house.record(uid)).grace.told_at is None, "two of three are still to come"


async def test_a_payment_that_is_booked_to_another_wallet_holds_up_nobody(house: House) -> None:
    (uid,) = await house.starved()
    other = await house.world.wallet("other")
    await house.entombed(uid)
    await house.world.pay(other, "pi_9", paid_ext=0)
    await house.world.payments.keep_event(source=Source.STRIPE, ext_id="evt_9", obj_id="pi_9", payload=b"{}")
    assert await house.look(uid) is Outcome.STARTED


async def test_a_payment_that_a_person_has_dismissed_holds_up_nobody(house: House) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    await house.world.pay(None, "pi_nobody", payer="stranger")
    assert await house.look(uid) is Outcome.PAYMENT_MAY_COME
    await house.world.payments.dismiss(source=Source.STRIPE, obj_id="pi_nobody", note="spam", actor="ada")
    assert await house.look(uid) is Outcome.STARTED


async def test_a_payment_that_was_given_up_holds_up_its_wallet_for_30_days(house: House) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    await _pending_payment(house)
    await house.world.at(END_S + TOMBSTONE_S + 30 * DAY_S - 1)
    assert await house.look(uid) is Outcome.PAYMENT_MAY_COME
    await house.world.at(END_S + TOMBSTONE_S + 30 * DAY_S)
    assert await house.look(uid) is Outcome.STARTED


async def test_an_agent_that_waits_to_be_filled_has_a_grace_of_its_own_and_then_holds_up_nobody(house: House) -> None:
    (uid,) = await house.starved()
    await house.entombed(uid)
    clone = await house.world.agent("clone", state="Archived")
    await house.world.sql.execute(
        "UPDATE moorage.agent SET has_storage = true, restore_id = (SELECT id FROM moorage.snapshot) WHERE uid = $1",
        uuid.UUID(clone),
    )
    assert await house.look(uid) is Outcome.SNAPSHOT_IN_USE
    await house.look(clone)
    ends_at = (await house.record(clone)).grace.ends_at
    assert ends_at is not None
    end_s = int(ends_at.timestamp())
    for late_s in (-7 * DAY_S, -3 * DAY_S, -DAY_S, 0, TOMBSTONE_S):
        await house.world.at(end_s + late_s)
        await house.tell()
        asked = await house.look(clone)
    assert asked is Outcome.STARTED
    assert await house.keys(uid) == [True], "what is not its own is not destroyed with it"
    assert await house.look(uid) is Outcome.STARTED
    assert await house.keys(uid) == [False]
