"""Whether the books are right: every invariant of the ledger, on one consistent view of it."""

from moorage.model.ledger import Check
from moorage.store import invariants
from moorage.store.database import Database

EXAMPLES_MAX = 10


async def verify(database: Database) -> list[Check]:
    """Run every query on one snapshot of the database; takes no locks."""
    checks = []
    async with database.transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await connection.execute("SET LOCAL statement_timeout = '30min'")
        for invariant in invariants.ALL:
            sql = f"SELECT key, count(*) OVER () AS total FROM ({invariant.sql}) broken (key) LIMIT {EXAMPLES_MAX}"  # noqa: S608  # constants of this package
            rows = await connection.fetch(sql, timeout=1800)
            checks.append(
                Check(
                    id=invariant.id,
                    sentence=invariant.sentence,
                    violations=rows[0]["total"] if rows else 0,
                    examples=tuple(row["key"] for row in rows),
                )
            )
    return checks
