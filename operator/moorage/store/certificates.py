"""Certificates of host names: kept with their sealed keys, tried again at their time, revoked when given up."""

from dataclasses import dataclass
from typing import Any

from moorage.model.domain import Issuer
from moorage.model.domain_record import Certificate
from moorage.model.reasons import Reason
from moorage.store.database import Database

# Written before the issuer is asked: an operator that dies again and again does not ask again and again.
_BEGIN = """
INSERT INTO moorage.certificate_attempt AS t (domain_uid, failures, retry_at)
SELECT $2::uuid, 1, to_timestamp(money.clock() + $3) FROM moorage.require_epoch($1)
ON CONFLICT (domain_uid) DO UPDATE SET
    failures = t.failures + 1, reason = NULL,
    retry_at = to_timestamp(money.clock() + least($4, $3 * 2 ^ least(t.failures, 30)))
WHERE t.retry_at <= to_timestamp(money.clock())
RETURNING failures
"""
_WAITING = """
SELECT reason, extract(epoch FROM retry_at)::double precision - money.clock() AS seconds
FROM moorage.certificate_attempt WHERE domain_uid = $1
"""
_FAIL = """
UPDATE moorage.certificate_attempt SET reason = $3,
    retry_at = to_timestamp(money.clock() + greatest($6, least($5, $4 * 2 ^ least(failures - 1, 30))))
FROM moorage.require_epoch($1) WHERE domain_uid = $2
RETURNING extract(epoch FROM retry_at)::double precision - money.clock()
"""
# What was noted before is taken back, all but the time: the next one is as patient as this one would have been.
_NOT_MADE = """
UPDATE moorage.certificate_attempt SET failures = failures - 1, reason = $3,
    retry_at = to_timestamp(money.clock() + $4)
FROM moorage.require_epoch($1) WHERE domain_uid = $2
"""
# Only what is still held gets a certificate: one that comes after its Domain was given up goes back to its issuer.
_KEEP = """
WITH kept AS (
    UPDATE moorage.domain SET certificate_id = $3, certificate_issuer = $4, certificate_chain = $5, fingerprint = $6,
        not_before = $7, not_after = $8, sealed_key = $9
    FROM moorage.require_epoch($1) WHERE uid = $2 AND state = 'Active' AND deleted_at IS NULL RETURNING uid),
done AS (DELETE FROM moorage.certificate_attempt WHERE domain_uid = (SELECT uid FROM kept))
SELECT uid FROM kept
"""
_QUEUE = """
INSERT INTO moorage.certificate_revocation (issuer, certificate_id, chain, not_after, retry_at)
SELECT $2, $3, $4, $5, to_timestamp(money.clock()) FROM moorage.require_epoch($1)
ON CONFLICT DO NOTHING
"""
_GIVE_UP = """
WITH had AS (
    SELECT uid, certificate_issuer, certificate_id, certificate_chain, not_after
    FROM moorage.domain, moorage.require_epoch($1) WHERE uid = $2 FOR UPDATE OF domain),
queued AS (
    INSERT INTO moorage.certificate_revocation (issuer, certificate_id, chain, not_after, retry_at)
    SELECT certificate_issuer, certificate_id, certificate_chain, not_after, to_timestamp(money.clock()) FROM had
    WHERE certificate_id IS NOT NULL AND not_after > to_timestamp(money.clock())
    ON CONFLICT DO NOTHING),
done AS (DELETE FROM moorage.certificate_attempt WHERE domain_uid = (SELECT uid FROM had))
UPDATE moorage.domain SET certificate_id = NULL, certificate_issuer = NULL, certificate_chain = NULL,
    fingerprint = NULL, not_before = NULL, not_after = NULL, sealed_key = NULL
WHERE uid = (SELECT uid FROM had)
"""
_DUE = """
SELECT issuer, certificate_id, chain FROM moorage.certificate_revocation
WHERE retry_at <= to_timestamp(money.clock()) ORDER BY retry_at LIMIT $1
"""
_PUT_OFF = """
UPDATE moorage.certificate_revocation SET failures = failures + 1,
    retry_at = to_timestamp(money.clock() + least($5, $4 * 2 ^ least(failures, 30)))
FROM moorage.require_epoch($1) WHERE issuer = $2 AND certificate_id = $3
"""
_OVER = """
DELETE FROM moorage.certificate_revocation USING moorage.require_epoch($1)
WHERE not_after <= to_timestamp(money.clock()) OR failures >= $2
RETURNING issuer, certificate_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCertificate:
    """A certificate with its sealed key, as it is kept."""

    facts: Certificate
    chain_pem: str
    sealed_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A certificate that its issuer has yet to take back."""

    issuer: Issuer
    certificate_id: str
    chain_pem: str


class CertificateRows:
    """The certificates in `domain`, and the tables `certificate_attempt` and `certificate_revocation`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, *, epoch: int, uid: str, first_seconds: float, max_seconds: float) -> bool:
        """Note an attempt before it is made; False: the last one is still to be waited out."""
        return await self._database.row(_BEGIN, epoch, uid, first_seconds, max_seconds) is not None

    async def waiting(self, uid: str) -> tuple[float, Reason | None]:
        """How long until the next attempt may begin (seconds), and how the last one ended."""
        row = await self._database.row(_WAITING, uid)
        if row is None:
            return 0.0, None
        return max(0.0, row["seconds"]), Reason(row["reason"]) if row["reason"] else None

    async def fail(
        self, *, epoch: int, uid: str, reason: Reason, first_seconds: float, max_seconds: float, least_seconds: float
    ) -> float:
        """Note how an attempt ended; returns how long the next one waits, longer each time and never less than asked.

        0 when the Domain was given up meanwhile.
        """
        seconds: float | None = await self._database.value(
            _FAIL, epoch, uid, reason.value, first_seconds, max_seconds, least_seconds
        )
        return seconds or 0.0

    async def not_made(self, *, epoch: int, uid: str, wait_seconds: float) -> float:
        """Take back the attempt that `begin` noted: nobody was asked, and it may begin again so much later."""
        await self._database.run(_NOT_MADE, epoch, uid, Reason.PROVIDER_UNREACHABLE.value, wait_seconds)
        return wait_seconds

    async def keep(self, *, epoch: int, uid: str, kept: KeptCertificate) -> bool:
        """Keep a certificate in the place of the last one; False: the Domain was given up, and nothing is kept."""
        facts = kept.facts
        found = await self._database.row(
            _KEEP, epoch, uid, facts.id, facts.issuer.value, kept.chain_pem, facts.fingerprint, facts.not_before,
            facts.not_after, kept.sealed_key,
        )  # fmt: skip
        return found is not None

    async def queue_revocation(self, *, epoch: int, certificate: Certificate, chain_pem: str) -> None:
        """Have a certificate revoked that was never kept."""
        await self._database.run(
            _QUEUE, epoch, certificate.issuer.value, certificate.id, chain_pem, certificate.not_after
        )

    async def give_up(self, *, epoch: int, uid: str) -> None:
        """Forget a Domain's certificate with its key, and have it revoked; a second time changes nothing."""
        await self._database.run(_GIVE_UP, epoch, uid)

    async def one(self, uid: str) -> KeptCertificate | None:
        """The certificate of a Domain with its sealed key."""
        row = await self._database.row(
            "SELECT * FROM moorage.domain WHERE uid = $1 AND certificate_id IS NOT NULL AND deleted_at IS NULL", uid
        )
        if row is None:
            return None
        return KeptCertificate(facts=facts_of(row), chain_pem=row["certificate_chain"], sealed_key=row["sealed_key"])

    async def first_expiry(self) -> float:
        """When the first of the certificates that serve ends, in Unix time; 0 when there is none."""
        found: float | None = await self._database.value(
            "SELECT extract(epoch FROM min(not_after))::double precision FROM moorage.domain"
            " WHERE state = 'Active' AND deleted_at IS NULL"
        )
        return found or 0.0

    async def revocations(self, limit: int) -> list[Revocation]:
        """Certificates that are to be revoked now."""
        rows = await self._database.rows(_DUE, limit)
        return [
            Revocation(issuer=Issuer(row["issuer"]), certificate_id=row["certificate_id"], chain_pem=row["chain"])
            for row in rows
        ]

    async def revoked(self, *, epoch: int, one: Revocation) -> None:
        """Its issuer has taken it back."""
        await self._database.run(
            "DELETE FROM moorage.certificate_revocation USING moorage.require_epoch($1)"
            " WHERE issuer = $2 AND certificate_id = $3",
            *(epoch, one.issuer.value, one.certificate_id),
        )

    async def put_off(self, *, epoch: int, one: Revocation, first_seconds: float, max_seconds: float) -> None:
        """It was not taken back; later again."""
        await self._database.run(_PUT_OFF, epoch, one.issuer.value, one.certificate_id, first_seconds, max_seconds)

    async def forget_over(self, *, epoch: int, failures_max: int) -> list[str]:
        """Drop what has run out by itself and what was refused too often; returns their ids."""
        rows = await self._database.rows(_OVER, epoch, failures_max)
        return [row["certificate_id"] for row in rows]


def facts_of(row: Any) -> Certificate:  # Any: asyncpg.Record of the table `domain`
    """What a row says of its certificate; it must have one."""
    return Certificate(
        id=row["certificate_id"],
        issuer=Issuer(row["certificate_issuer"]),
        fingerprint=row["fingerprint"],
        not_before=row["not_before"],
        not_after=row["not_after"],
    )
