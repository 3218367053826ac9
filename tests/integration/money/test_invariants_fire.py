"""Books that are broken by hand are found out: each invariant fires, and names the wallet and the row."""

import pytest

from moorage.store import ledger_verify
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

UNLOCK = "ALTER TABLE money.{0} DISABLE TRIGGER USER"
LOCK = "ALTER TABLE money.{0} ENABLE TRIGGER USER"

# What a person with the owner's rights does, how it is undone, and which invariants must see it.
BREAKS = {
    "a balance was raised": (
        "UPDATE money.wallet SET balance_micros = balance_micros + 1",
        "UPDATE money.wallet SET balance_micros = balance_micros - 1",
        {"I-1": "acme", "I-3": "acme", "I-16": "wallets"},
    ),
    "an entry was changed": (
        "UPDATE money.entry SET amount_micros = amount_micros + 1 WHERE seq = 1",
        "UPDATE money.entry SET amount_micros = amount_micros - 1 WHERE seq = 1",
        {"I-1": "acme", "I-2": "1/1", "I-16": "wallets"},
    ),
    "an entry was renumbered": (
        "UPDATE money.entry SET seq = 9 WHERE seq = 1",
        "UPDATE money.entry SET seq = 1 WHERE seq = 9",
        {"I-2": "1/2", "I-3": "acme"},
    ),
    "an entry names an account that does not exist": (
        "UPDATE money.entry SET contra = -99 WHERE seq = 1",
        "UPDATE money.entry SET contra = -1 WHERE seq = 1",
        {"I-16": "wallets"},
    ),
}


@pytest.mark.parametrize("name", BREAKS, ids=lambda name: name.replace(" ", "_"))
async def test_a_break_is_found_and_named(world: World, name: str) -> None:
    await world.wallet("acme", micros=1_000_000)
    await world.open(await world.agent("a"), START_S)
    await world.proven_at(START_S + 100)
    await world.settle()
    broken, mended, seen = BREAKS[name]
    await world.sql.execute(UNLOCK.format("entry"))
    await world.sql.execute(broken)
    checks = await ledger_verify.verify(world.database)
    found = {check.id: check.examples[0] for check in checks if check.violations}
    assert seen.items() <= found.items()
    assert {wallet for check in checks for wallet in check.wallets} == {1} or name.endswith("does not exist")
    await world.sql.execute(mended)
    await world.sql.execute(LOCK.format("entry"))


async def test_only_the_wallet_that_was_asked_for_is_looked_at(world: World) -> None:
    await world.wallet("acme", micros=1_000_000)
    other = await world.wallet("other", micros=1_000_000)
    await world.sql.execute("UPDATE money.wallet SET balance_micros = balance_micros + 1 WHERE name = 'acme'")
    assert [check.id for check in await ledger_verify.verify(world.database, wallet_id=other) if check.violations] == []
    await world.sql.execute("UPDATE money.wallet SET balance_micros = balance_micros - 1 WHERE name = 'acme'")
