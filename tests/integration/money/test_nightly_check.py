"""The nightly check of the books: what it finds is kept, counted and put on hold; nothing is repaired."""

from collections.abc import AsyncIterator

import pytest

from moorage.jobs.prove_books import ProveBooks
from moorage.observability import Metrics
from moorage.services.witness import Witness
from moorage.store.database import VERIFY_ROLE, Database
from moorage.store.lineage import Lineage
from moorage.store.seals import Seals
from tests.fakes import keys
from tests.fakes.objects import MemoryObjects
from tests.integration.money.world import START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

VERIFICATIONS = "SELECT * FROM money.verification ORDER BY id"
A_DAY_PASSES = "UPDATE money.verification SET at = at - interval '25 hours'"


@pytest.fixture
async def books(world: World, database_url: str) -> AsyncIterator[ProveBooks]:
    """The job as the operator wires it."""
    proof = await Database.connect(database_url, size_max=2, role=VERIFY_ROLE)
    witness = Witness(
        lineage=Lineage(world.database), seals=Seals(proof), store=MemoryObjects(), keyring=keys.keyring(world.database)
    )
    yield ProveBooks(proof, witness, Metrics(), lambda: world.epoch)
    await proof.close()


async def test_sound_books_are_noted_once_a_day(world: World, books: ProveBooks) -> None:
    await world.wallet("acme", micros=1_000_000)
    await books.check()
    await books.check()
    (found,) = await world.sql.fetch(VERIFICATIONS)
    assert (found["broken"], found["wallets"], found["since_seal"]) == ([], [], 0)
    assert books._metrics.ledger_violations._value.get() == 0


async def test_a_wallet_that_does_not_add_up_is_put_on_hold_and_left_as_it_is(world: World, books: ProveBooks) -> None:
    await world.wallet("acme", micros=1_000_000)
    await world.wallet("other", micros=1_000_000)
    agent = await world.agent("a")
    await world.open(agent, START_S)
    await world.sql.execute("UPDATE money.wallet SET balance_micros = balance_micros + 7 WHERE name = 'acme'")
    await books.check()
    (found,) = await world.sql.fetch(VERIFICATIONS)
    assert {"I-1", "I-3"} <= set(found["broken"])
    assert (found["wallets"], found["held"]) == ([1], [1])
    assert "I-1 acme" in found["examples"]
    rows = await world.sql.fetch("SELECT name, standing, balance_micros FROM money.wallet ORDER BY id")
    assert [tuple(row) for row in rows] == [("acme", "OnHold", 1_000_007), ("other", "Funded", 1_000_000)]
    assert (await world.record(agent))["state"] == "Draining"
    assert books._metrics.ledger_violations._value.get() >= 2
    await _mend(world)


async def test_the_next_night_places_no_second_hold(world: World, books: ProveBooks) -> None:
    await world.wallet("acme", micros=1_000_000)
    await world.sql.execute("UPDATE money.wallet SET balance_micros = balance_micros + 7 WHERE name = 'acme'")
    await books.check()
    await world.sql.execute("SET session_replication_role = replica")
    await world.sql.execute(A_DAY_PASSES)
    await books.check()
    assert [row["held"] for row in await world.sql.fetch(VERIFICATIONS)] == [[1], []]
    await _mend(world)


async def test_after_a_sound_check_of_everything_the_next_one_takes_its_seals_as_they_are(
    world: World, books: ProveBooks
) -> None:
    await world.wallet("acme", micros=1_000_000)
    await books.seal()
    await books.check()
    await world.sql.execute("SET session_replication_role = replica")
    await world.sql.execute(A_DAY_PASSES)
    await books.check()
    rows = await world.sql.fetch(VERIFICATIONS)
    assert [(row["since_seal"], row["through_seal"]) for row in rows] == [(0, 1), (1, 1)]
    await world.sql.execute("UPDATE money.verification SET at = at - interval '8 days'")
    await books.check()
    assert (await world.sql.fetch(VERIFICATIONS))[-1]["since_seal"] == 0
    await world.sql.execute("SET session_replication_role = DEFAULT")


async def _mend(world: World) -> None:
    await world.sql.execute("UPDATE money.wallet SET balance_micros = balance_micros - 7 WHERE name = 'acme'")
    await world.sql.execute("SET session_replication_role = DEFAULT")
