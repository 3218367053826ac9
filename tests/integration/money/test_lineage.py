"""A database that went back in time is led by nobody until a person trusts it."""

import contextlib
import json
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dev.postgres import Postgres
from moorage.model.errors import HistoryInDoubt, LostLeadership
from moorage.services.witness import WITNESS_KEY, Witness
from moorage.store import ledger_verify
from moorage.store.database import VERIFY_ROLE, Database
from moorage.store.leader import Leadership
from moorage.store.ledger import Ledger
from moorage.store.lineage import Lineage, NotTrusted
from moorage.store.migrate import migrate
from moorage.store.seals import Seals
from tests import base_backup
from tests.fakes import keys
from tests.fakes.objects import MemoryObjects
from tests.integration.money.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


@pytest.fixture
async def proof(database_url: str) -> AsyncIterator[Database]:
    """With the rights of the checks."""
    database = await Database.connect(database_url, size_max=2, role=VERIFY_ROLE)
    yield database
    await database.close()


def _witness(database: Database, proof: Database, store: MemoryObjects, root_key: bytes = b"k" * 32) -> Witness:
    keyring = keys.keyring(database, root_key)
    return Witness(lineage=Lineage(database), seals=Seals(proof), store=store, keyring=keyring)


async def test_the_witness_exports_every_seal_once_and_signs_it(world: World, proof: Database) -> None:
    store = MemoryObjects()
    witness = _witness(world.database, proof, store)
    await world.wallet("acme", micros=1)
    (made,) = await Seals(proof).seal()
    await witness.tell()
    await witness.tell()
    assert sorted(store.objects) == ["ledger/seals/000000000001.json", WITNESS_KEY]
    exported = json.loads(store.objects["ledger/seals/000000000001.json"])
    assert (exported["hash"], exported["entries"]) == (made.hash, 1)
    signature = exported.pop("signature")
    body = json.dumps(exported, sort_keys=True, separators=(",", ":")).encode()
    assert await keys.keyring(root=b"k" * 32).is_signed("witness", body, signature)


async def test_a_database_behind_its_witness_is_doubted_until_somebody_trusts_it(world: World, proof: Database) -> None:
    store, leadership = MemoryObjects(), Leadership(world.database, "one")
    await world.sql.execute("UPDATE moorage.leader SET expires_at = '-infinity'")
    world.epoch = await leadership.take() or 0
    witness = _witness(world.database, proof, store)
    await witness.tell()
    said = json.loads(store.objects[WITNESS_KEY])
    await _say(store, said | {"written_bytes": str(int(said["written_bytes"]) + 10**9)})
    with pytest.raises(HistoryInDoubt):
        await witness.look()
    with pytest.raises(LostLeadership):
        await world.ledger.settle_due(epoch=world.epoch)
    with pytest.raises(HistoryInDoubt):
        await leadership.take()
    assert await Lineage(proof).trust(reason="drill", actor="somebody") is True
    assert await Lineage(proof).trust(reason="drill", actor="somebody") is False
    await witness.tell()  # the witness learns that a person decided
    world.epoch = await leadership.take() or 0
    await world.ledger.settle_due(epoch=world.epoch)


async def test_another_seal_than_the_exported_one_is_a_doubt(world: World, proof: Database) -> None:
    store = MemoryObjects()
    witness = _witness(world.database, proof, store)
    await world.wallet("acme", micros=1)
    await Seals(proof).seal()
    await witness.tell()
    await _say(store, json.loads(store.objects[WITNESS_KEY]) | {"hash": "0" * 64})
    with pytest.raises(HistoryInDoubt):
        await witness.look()


async def test_a_new_and_empty_database_does_not_pass_for_the_one_that_is_lost(world: World, proof: Database) -> None:
    store, leadership = MemoryObjects(), Leadership(world.database, "one")
    await world.sql.execute("UPDATE moorage.leader SET expires_at = '-infinity'")
    await _witness(world.database, proof, store).tell()
    await _say(store, json.loads(store.objects[WITNESS_KEY]) | {"system_identifier": "1", "written_bytes": "1"})
    assert await leadership.take() is not None  # the first leader of this database, after the witness spoke
    with pytest.raises(HistoryInDoubt):
        await _witness(world.database, proof, store).look()


async def test_a_forged_witness_stops_nothing_and_is_written_anew(world: World, proof: Database) -> None:
    store = MemoryObjects()
    await _witness(world.database, proof, store, root_key=b"x" * 32).tell()
    said = json.loads(store.objects[WITNESS_KEY])
    store.objects[WITNESS_KEY] = json.dumps(said | {"written_bytes": str(10**18)}).encode()
    await _witness(world.database, proof, store).tell()
    assert json.loads(store.objects[WITNESS_KEY])["written_bytes"] != str(10**18)


async def test_a_store_that_does_not_answer_is_no_reason_to_stop(world: World, proof: Database) -> None:
    store = MemoryObjects()
    store.down = True
    await _witness(world.database, proof, store).look()


async def test_a_copy_whose_transactions_count_from_the_start_is_never_trusted(world: World, proof: Database) -> None:
    await world.wallet("acme", micros=1)
    await Seals(proof).seal()
    await Lineage(world.database).doubt(reason="drill", actor="test")
    await world.sql.execute("SET session_replication_role = replica")
    await world.sql.execute("UPDATE money.seal SET to_xid = to_xid + 1000000000")
    with pytest.raises(NotTrusted):
        await Lineage(proof).trust(reason="drill", actor="test")
    await world.sql.execute("UPDATE money.seal SET to_xid = to_xid - 1000000000")
    await world.sql.execute("SET session_replication_role = DEFAULT")


@pytest.fixture
def drill() -> Iterator[Path]:
    """A folder that the server's unprivileged user can enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="moorage-drill-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


async def test_a_restore_loses_exactly_the_tail_and_charges_nothing_until_it_is_trusted(drill: Path) -> None:
    """Base backup, write-ahead log archive, recovery to a named point; the provider knows what was paid."""
    server = Postgres(drill / "first", durable=False)
    archive = drill / "archive"
    paid: dict[str, int] = {}  # the provider's double: it never forgets a payment
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        base_backup.start_archiving(server, archive)
        await migrate(server.url())
        async with _opened(server.url()) as (first, _):
            epoch = await Leadership(first, "operator").take()
            assert epoch is not None
            await Ledger(first).ensure_wallet(epoch=epoch, name="acme", cr_uid=str(uuid.uuid4()), low_micros=0)
            await _pay(first, paid, range(5))
            await base_backup.take(server, drill / "second")
            await _pay(first, paid, range(5, 12))
            base_backup.mark(server)
            await _pay(first, paid, range(12, 15))
            await base_backup.archived(server, archive)
        restored = base_backup.recovering(drill / "second", archive)
        stack.callback(restored.stop)
        await base_backup.recovered(restored)
        async with _opened(restored.url()) as (second, proof):
            assert [check.id for check in await ledger_verify.verify(proof) if check.violations] == []
            have = {row["key"]: row["amount_micros"] for row in await second.rows("SELECT * FROM money.entry")}
            assert paid.items() - have.items() == {(f"payment-{n}", n + 1) for n in range(12, 15)}
            assert have.items() <= paid.items()
            with pytest.raises(LostLeadership):  # the leader of before, reconnected
                await Ledger(second).settle_due(epoch=epoch)
            with pytest.raises(HistoryInDoubt):
                await Leadership(second, "operator").take()
            await _pay(second, paid, range(15))  # the provider is asked for everything since the backup
            assert await second.value("SELECT balance_micros FROM money.wallet") == sum(paid.values())
            assert await Lineage(proof).trust(reason="drill", actor="somebody")
            assert await Leadership(second, "operator").take() == epoch + 1
            assert [check.id for check in await ledger_verify.verify(proof) if check.violations] == []


async def _pay(database: Database, paid: dict[str, int], numbers: range) -> None:
    for number in numbers:
        paid[f"payment-{number}"] = number + 1
        await Ledger(database).grant(
            wallet_name="acme", amount_micros=number + 1, key=f"payment-{number}", reason="paid", actor="provider"
        )


@contextlib.asynccontextmanager
async def _opened(url: str) -> AsyncIterator[tuple[Database, Database]]:
    application, proof = await Database.connect(url), await Database.connect(url, role=VERIFY_ROLE)
    try:
        yield application, proof
    finally:
        await application.close()
        await proof.close()


async def _say(store: MemoryObjects, said: dict[str, object]) -> None:
    """What the witness would have said, with its own signature."""
    said.pop("signature")
    body = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    signed = said | {"signature": await keys.keyring(root=b"k" * 32).sign("witness", body)}
    store.objects[WITNESS_KEY] = json.dumps(signed).encode()
