"""Tenants: which core namespace belongs to whom, and who pays for it."""

from dataclasses import dataclass

from moorage.model.names import TenantUid, WalletId
from moorage.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One tenant that has not been removed."""

    uid: TenantUid
    name: str
    core_namespace: str
    wallet_id: WalletId
    wallet_name: str
    agents_total: int
    agents_running: int
    agents_suspended: int


_SELECT = """
SELECT t.uid::text AS uid, t.name, t.core_namespace, t.wallet_id, w.name AS wallet_name,
       count(a.uid) AS agents_total,
       count(a.uid) FILTER (WHERE a.state = 'Running') AS agents_running,
       count(a.uid) FILTER (WHERE a.state IN ('Suspended', 'Archived', 'PurgePending', 'Purged')) AS agents_suspended
FROM moorage.tenant t
JOIN money.wallet w ON w.id = t.wallet_id
LEFT JOIN moorage.agent a ON a.tenant_uid = t.uid AND a.state <> 'Deleted'
"""


class Tenants:
    """The tenant table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ensure(
        self, *, epoch: int, uid: str, name: str, core_namespace: str, wallet_name: str, sandboxed: bool
    ) -> bool:
        """Make the tenant exist, as isolated as it is to be, and pay from the named wallet; False when the ledger has
        no such wallet."""
        async with self._database.transaction() as connection:
            await connection.execute("SELECT moorage.require_epoch($1)", epoch)
            wallet_id = await connection.fetchval(
                "SELECT id FROM money.wallet WHERE name = $1 AND closed_at IS NULL", wallet_name
            )
            if wallet_id is None:
                return False
            known = await connection.fetchval("SELECT wallet_id FROM moorage.tenant WHERE uid = $1", uid)
            if known is None:
                await connection.execute(
                    "INSERT INTO moorage.tenant (uid, name, core_namespace, wallet_id, sandboxed)"
                    " VALUES ($1, $2, $3, $4, $5)",
                    *(uid, name, core_namespace, wallet_id, sandboxed),
                )
            await connection.execute(
                "UPDATE moorage.tenant SET sandboxed = $2 WHERE uid = $1 AND sandboxed <> $2", uid, sandboxed
            )
            return True

    async def by_uid(self, uid: str) -> Tenant | None:
        """The tenant of a Namespace object, with its number of agents."""
        row = await self._database.row(
            _SELECT + "WHERE t.uid = $1 AND t.removed_at IS NULL GROUP BY t.uid, w.name", uid
        )
        return None if row is None else Tenant(**row)

    async def of_wallet(self, wallet_name: str) -> int:
        """How many tenants pay from a wallet."""
        count: int = await self._database.value(
            "SELECT count(*) FROM moorage.tenant t JOIN money.wallet w ON w.id = t.wallet_id"
            " WHERE w.name = $1 AND t.removed_at IS NULL",
            wallet_name,
        )
        return count

    async def remove(self, *, epoch: int, uid: str) -> None:
        """Mark a tenant as removed; its row and history stay for snapshots and books."""
        async with self._database.transaction() as connection:
            await connection.execute("SELECT moorage.require_epoch($1)", epoch)
            await connection.execute(
                "UPDATE moorage.tenant SET removed_at = clock_timestamp() WHERE uid = $1 AND removed_at IS NULL", uid
            )
