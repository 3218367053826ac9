"""Domains and their claims: one row per Domain, one per name; written only under fence and epoch."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from moorage.model.domain_record import AgentFacts, DomainRecord, DomainState, Paid, Standing
from moorage.model.domain_seen import ProofAnswer
from moorage.model.names import TenantUid
from moorage.model.record import AgentState
from moorage.store.certificates import facts_of
from moorage.store.database import Database

_ENSURE = """
INSERT INTO moorage.domain (uid, tenant_uid, namespace, name, hostname, own, agent_name, challenge)
SELECT $2::uuid, t.uid, $3::text, $4::text, $5::text, $6::boolean, $7::text,
       'moorage-proof=' || encode(sha256(convert_to(t.uid::text || ' ' || $5, 'UTF8')), 'hex')
FROM moorage.require_epoch($1), moorage.tenant t
WHERE t.core_namespace = $3 AND t.removed_at IS NULL
ON CONFLICT (uid) DO UPDATE SET agent_name = excluded.agent_name
RETURNING uid
"""

_SELECT = """
SELECT d.*, d.uid::text AS uid_text, d.tenant_uid::text AS tenant, moorage.claim_standing(d.uid) AS standing,
       moorage.release_after(d.uid) AS release_after, to_timestamp(money.clock()) AS now, a.uid::text AS agent_uid,
       a.state AS agent_state
FROM moorage.domain d
LEFT JOIN moorage.agent a ON a.namespace = d.namespace AND a.name = d.agent_name AND a.state <> 'Deleted'
WHERE d.uid = $1 AND d.deleted_at IS NULL
"""

# A name that was given up is proven anew. Nothing is set up outside for a name that is not held and proven, whatever
# was decided from an older look.
_SAVE = """
UPDATE moorage.domain SET
    state = $4, state_since = CASE WHEN state = $4 THEN state_since ELSE to_timestamp(money.clock()) END,
    fence = fence + CASE WHEN state = $4 THEN 0 ELSE 1 END,
    proven_at = CASE WHEN $4 = 'Released' THEN NULL ELSE proven_at END,
    looked_at = CASE WHEN $4 = 'Released' THEN NULL ELSE looked_at END,
    missing_since = CASE WHEN $4 = 'Released' THEN NULL ELSE missing_since END
FROM moorage.require_epoch($1)
WHERE uid = $2 AND fence = $3 AND deleted_at IS NULL AND ($4 <> 'Active' OR state = 'Active' OR EXISTS (
    SELECT FROM moorage.claim c WHERE c.domain_uid = $2 AND c.proven_at IS NOT NULL))
RETURNING uid
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDomain:
    """What is known of a Domain that is looked at."""

    uid: str
    namespace: str
    name: str
    hostname: str  # canonical
    own: bool
    agent_name: str


class Domains:
    """The tables `domain` and `claim`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ensure(self, *, epoch: int, new: NewDomain) -> bool:
        """Make the record of a Domain, or note which agent it leads to now; False: not in a tenant's namespace."""
        found = await self._database.row(
            _ENSURE, epoch, new.uid, new.namespace, new.name, new.hostname, new.own, new.agent_name
        )
        return found is not None

    async def load(self, uid: str) -> DomainRecord | None:
        """The record with its standing, its agent and the database's clock."""
        row = await self._database.row(_SELECT, uid)
        return None if row is None else _record(row)

    async def save(self, *, epoch: int, before: DomainRecord, after: DomainRecord) -> bool:
        """Write a decided state; False when something crossed it, and the caller must look again."""
        found = await self._database.row(_SAVE, epoch, before.uid, before.fence, after.state.value)
        return found is not None

    async def claim(self, *, epoch: int, uid: str, names_max: int) -> Standing:
        """Claim the name; of many that ask at once, one holds it."""
        standing: str = await self._database.value("SELECT moorage.claim_hostname($1, $2, $3)", epoch, uid, names_max)
        return Standing(standing)

    async def release(self, *, epoch: int, uid: str, quarantine: timedelta) -> None:
        """Give the name up; others may not have it for this long."""
        await self._database.run("SELECT moorage.release_hostname($1, $2, $3)", epoch, uid, quarantine)

    async def note_proof(self, *, epoch: int, uid: str, answer: ProofAnswer) -> None:
        """Write down what the resolvers said, for the claim as well; nothing when it was nothing definite."""
        if answer is not ProofAnswer.UNKNOWN:
            await self._database.run("SELECT moorage.note_proof($1, $2, $3)", epoch, uid, answer is ProofAnswer.SHOWN)

    async def finish(self, *, epoch: int, uid: str) -> None:
        """Nothing is left of it outside, and its name is given up: its row becomes history."""
        held = await self._database.value("SELECT EXISTS (SELECT FROM moorage.claim WHERE domain_uid = $1)", uid)
        assert not held, "a name that is held by what is gone would never be free again"
        await self._database.run(
            "UPDATE moorage.domain SET deleted_at = to_timestamp(money.clock()) FROM moorage.require_epoch($1)"
            " WHERE uid = $2 AND deleted_at IS NULL",
            *(epoch, uid),
        )

    async def living(self) -> list[tuple[str, str]]:
        """(uid, namespace) of all that are not deleted, for the sweep after a missed deletion."""
        rows = await self._database.rows(
            "SELECT uid::text AS uid, namespace FROM moorage.domain WHERE deleted_at IS NULL"
        )
        return [(row["uid"], row["namespace"]) for row in rows]


def _record(row: Any) -> DomainRecord:  # Any: asyncpg.Record, whose columns are those of _SELECT
    return DomainRecord(
        uid=row["uid_text"],
        tenant_uid=TenantUid(row["tenant"]),
        **{
            name: row[name]
            for name in ("namespace", "name", "agent_name", "hostname", "own", "state_since", "fence", "now")
        },
        **{name: row[name] for name in ("challenge", "proven_at", "looked_at", "missing_since", "record_id")},
        state=DomainState(row["state"]),
        standing=Standing(row["standing"]),
        provider_hostname_id=row["provider_hostname_id"],
        certificate=None if row["certificate_id"] is None else facts_of(row),
        paid=Paid(until=row["paid_until"], unpaid_since=row["unpaid_since"], release_at=row["release_after"]),
        agent=None
        if row["agent_uid"] is None
        else AgentFacts(uid=row["agent_uid"], state=AgentState(row["agent_state"])),
    )
