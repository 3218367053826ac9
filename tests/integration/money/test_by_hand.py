"""What people do to wallets: corrections need two of them, and a wallet ends only when nothing hangs on it."""

import pytest

from moorage.model.errors import Permanent
from moorage.model.payments import Outcome, Trouble
from moorage.model.wallet import Standing
from moorage.store.ledger import LedgerRefusal
from moorage.store.wallets import Wallets
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


async def _ask(world: World, micros: int, *, key: str = "k", name: str = "acme") -> int:
    asked = await Wallets(world.database).request_correction(
        wallet_name=name, amount_micros=micros, key=key, reason="a price was wrong", actor="ann"
    )
    return asked.correction_id


async def test_a_correction_is_booked_when_a_second_person_agrees_and_only_once(world: World) -> None:
    await world.wallet(micros=10)
    asked = [await _ask(world, 5) for _ in "ab"]
    assert (asked[0], await world.moves()) == (asked[1], [("Grant", 10)])
    repeated = [(await Wallets(world.database).approve_correction(asked[0], actor="ben")).repeated for _ in "ab"]
    assert (repeated, await world.moves()) == ([False, True], [("Grant", 10), ("Manual", 5)])
    audit = await world.sql.fetch("SELECT actor, action FROM money.audit ORDER BY id")
    assert [tuple(row) for row in audit][-2:] == [("ann", "RequestCorrection"), ("ben", "ApproveCorrection")]


async def test_nobody_approves_their_own_correction(world: World) -> None:
    await world.wallet(micros=10)
    with pytest.raises(LedgerRefusal, match="cannot approve it"):
        await Wallets(world.database).approve_correction(await _ask(world, 5), actor="ann")
    assert await world.moves() == [("Grant", 10)]


async def test_a_correction_may_leave_a_debt(world: World) -> None:
    await world.wallet(micros=10)
    done = await Wallets(world.database).approve_correction(await _ask(world, -15), actor="ben")
    assert (done.balance_micros, done.standing) == (-5, Standing.EXHAUSTED)


async def test_a_correction_can_bring_agents_back(world: World) -> None:
    await world.wallet()
    agent = await world.agent("a")
    await world.sql.execute("UPDATE moorage.agent SET state = 'Draining', veto = 'ZeroBalance'")
    await Wallets(world.database).approve_correction(await _ask(world, 5_000_000), actor="ben")
    assert (await world.record(agent))["veto"] is None


@pytest.mark.parametrize("micros", [0, 9_000_000_000_001, -9_000_000_000_001])
async def test_a_correction_of_nothing_or_too_much_is_refused(world: World, micros: int) -> None:
    await world.wallet(micros=10)
    with pytest.raises(LedgerRefusal):
        await _ask(world, micros)


async def test_a_key_of_another_correction_and_unknown_things_are_refused(world: World) -> None:
    await world.wallet(micros=10)
    await _ask(world, 5)
    with pytest.raises(LedgerRefusal, match="another correction"):
        await _ask(world, 6)
    with pytest.raises(LedgerRefusal, match="no such correction"):
        await Wallets(world.database).approve_correction(4711, actor="ben")
    with pytest.raises(Permanent):
        await _ask(world, 5, name="nobody")


async def test_a_grant_cannot_take_a_key_of_the_ledger(world: World) -> None:
    await world.wallet()
    with pytest.raises(LedgerRefusal, match="belongs to the ledger"):
        await world.grant(5, key="Stripe/pi_1/1")


async def test_an_empty_wallet_closes_and_its_name_is_free(world: World) -> None:
    wallet = await world.wallet()
    await Wallets(world.database).close("acme", reason="left", actor="ann")
    assert await world.wallet() != wallet
    with pytest.raises(Permanent):
        await Wallets(world.database).close("nobody", reason="left", actor="ann")


async def test_a_wallet_that_something_hangs_on_stays_open(world: World) -> None:
    wallet, wallets = await world.wallet(micros=1_000_000), Wallets(world.database)
    with pytest.raises(LedgerRefusal, match="not empty"):
        await wallets.close("acme", reason="left", actor="ann")
    pod = await world.open(await world.agent("a"), START_S)
    with pytest.raises(LedgerRefusal, match="still running"):
        await wallets.close("acme", reason="left", actor="ann")
    await world.close(pod, START_S)
    await world.ledger.place_hold(wallet, cause="Manual", ref="r", actor="ann")
    with pytest.raises(LedgerRefusal, match="on hold"):
        await wallets.close("acme", reason="left", actor="ann")


async def test_a_refund_for_a_closed_wallet_waits_for_a_person(world: World) -> None:
    wallet, wallets = await world.wallet(), Wallets(world.database)
    await world.pay(wallet)
    await wallets.approve_correction(await _ask(world, -10_000_000), actor="ben")
    await wallets.close("acme", reason="left", actor="ann")
    assert (await world.pay(wallet, version=2)).outcome is Outcome.UNCHANGED
    late = await world.pay(wallet, version=3, refunded_ext=1_000)
    assert (late.outcome, late.reason) == (Outcome.SUSPENDED, Trouble.WALLET_CLOSED)
    assert (await world.pay(wallet, "pi_2")).reason is Trouble.WALLET_CLOSED


async def test_a_merge_moves_credit_tenants_and_agents_and_later_refunds_follow(world: World) -> None:
    old, wallets = await world.wallet("phone"), Wallets(world.database)
    new = await world.wallet("siwe", micros=1_000_000)
    await world.pay(old)
    agent = await world.agent("a", wallet="phone", state="Suspended")
    merged = await wallets.merge("phone", "siwe", reason="one person", actor="ann")
    assert (merged.moved_micros, merged.balance_micros) == (10_000_000, 11_000_000)
    assert (await world.record(agent))["wallet_id"] == new
    await world.pay(old, version=2, refunded_ext=400)
    assert (await world.see("siwe")).balance_micros == 7_000_000
    assert await world.sql.fetchval("SELECT sum(amount_micros) FROM money.entry WHERE contra = -14") == 0


async def test_agents_of_an_empty_wallet_come_back_with_the_credit_of_the_other(world: World) -> None:
    await world.wallet("phone")
    await world.wallet("siwe", micros=1_000_000)
    agent = await world.agent("a", wallet="phone", state="Draining")
    await world.sql.execute("UPDATE moorage.agent SET veto = 'ZeroBalance'")
    await Wallets(world.database).merge("phone", "siwe", reason="one person", actor="ann")
    assert (await world.record(agent))["veto"] is None


async def test_what_cannot_become_one_stays_two(world: World) -> None:
    wallets = Wallets(world.database)
    await world.wallet("phone", micros=1_000_000)
    await world.wallet("siwe")
    with pytest.raises(LedgerRefusal, match="itself"):
        await wallets.merge("phone", "phone", reason="r", actor="ann")
    pod = await world.open(await world.agent("a", wallet="phone"), START_S)
    with pytest.raises(LedgerRefusal, match="still running"):
        await wallets.merge("phone", "siwe", reason="r", actor="ann")
    await world.close(pod, START_S)
    await wallets.approve_correction(await _ask(world, -2_000_000, name="phone"), actor="ben")
    with pytest.raises(LedgerRefusal, match="cannot become one"):
        await wallets.merge("phone", "siwe", reason="r", actor="ann")
