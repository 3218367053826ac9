"""Every invariant is checked with the rights of the role that checks the books, which are fewer than the tests' own."""

import pytest

from moorage.store import ledger_verify
from moorage.store.database import VERIFY_ROLE, Database

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_no_invariant_asks_for_more_than_the_verifier_may_read(database_url: str) -> None:
    database = await Database.connect(database_url, size_max=2, role=VERIFY_ROLE)
    try:
        checks = await ledger_verify.verify(database)
    finally:
        await database.close()
    assert len(checks) > 20
    assert [check.id for check in checks if check.violations] == []
