"""Seals: what was booked and sealed is as it was, and the chain has no gap."""

from moorage.store.invariants.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I-18",
        "every seal fits what was booked, the seal before it and the next transaction",
        """SELECT NULL::bigint, 'seal ' || no FROM (
               SELECT no, from_xid, previous, lag(no, 1, 0::bigint) OVER chain AS no_before,
                      lag(to_xid, 1, 0::bigint) OVER chain AS ended_before,
                      lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER chain AS hash_before
               FROM money.seal WINDOW chain AS (ORDER BY no)) s
           WHERE no <> no_before + 1 OR from_xid <> ended_before OR previous <> hash_before
           UNION ALL
           SELECT b.wallet_id, b.key FROM money.seal s CROSS JOIN LATERAL money.broken_seal(s.no) b WHERE s.no > $2""",
    ),
)
