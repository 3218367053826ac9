"""One account per ACME authority, whoever makes it first; its key is of no use to whoever has only the database."""

import asyncio

import pytest

from moorage.model.errors import LostLeadership
from moorage.model.sealing import KeyUnreadable
from moorage.services.acme_accounts import SealedAcmeAccounts
from moorage.store.acme_accounts import AcmeAccountRows
from tests.fakes.keys import keyring
from tests.integration.domains.registry import Registry

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

DIRECTORY = "https://authority.example/dir"


def _accounts(registry: Registry, directory: str = DIRECTORY, *, epoch: int = 1) -> SealedAcmeAccounts:
    database = registry.world.database
    return SealedAcmeAccounts(directory, AcmeAccountRows(database), keyring(database), lambda: epoch)


async def test_of_many_that_make_it_at_once_all_have_the_same_key(registry: Registry) -> None:
    loaded = await asyncio.gather(*(_accounts(registry).load() for _ in range(8)))
    assert len({account.key_pem for account in loaded}) == 1
    assert {account.uri for account in loaded} == {None}


async def test_each_authority_has_its_own_key_and_its_own_name_for_it(registry: Registry) -> None:
    first, second = _accounts(registry), _accounts(registry, "https://other.example/dir")
    keys = {(await accounts.load()).key_pem for accounts in (first, second)}
    assert len(keys) == 2
    await first.note("https://authority.example/acct/1")
    assert ((await first.load()).uri, (await second.load()).uri) == ("https://authority.example/acct/1", None)
    await first.note(None)
    assert (await first.load()).uri is None
    assert (await first.load()).key_pem in keys


async def test_the_key_opens_in_its_place_only(registry: Registry) -> None:
    account = await _accounts(registry).load()
    row = await registry.world.sql.fetchrow("SELECT * FROM moorage.acme_account")
    assert account.key_pem.split(b"\n")[1] not in row["sealed_key"]
    await registry.world.sql.execute("UPDATE moorage.acme_account SET directory = 'https://evil.example/dir'")
    with pytest.raises(KeyUnreadable):
        await _accounts(registry, "https://evil.example/dir").load()


async def test_only_the_leader_makes_one(registry: Registry) -> None:
    with pytest.raises(LostLeadership):
        await _accounts(registry, epoch=0).load()
    assert await registry.world.sql.fetchval("SELECT count(*) FROM moorage.acme_account") == 0
