"""Money from outside, and what may make a balance negative."""

from moorage.store.invariants.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I-11",
        "a payment's entries add up to what it granted less what was reversed and what is disputed",
        """SELECT p.wallet_id, coalesce(e.ref, p.source || '/' || p.obj_id) FROM money.payment p
           FULL JOIN (
               SELECT regexp_replace(key, '/[0-9]+$', '') AS ref, sum(amount_micros) AS micros FROM money.entry
               WHERE kind IN ('TopUp', 'Refund', 'Dispute', 'Reinstatement') GROUP BY ref) e
               ON e.ref = p.source || '/' || p.obj_id
           WHERE coalesce(p.granted_micros - p.reversed_micros - p.disputed_micros, 0) <> coalesce(e.micros, 0)
              OR p.reversed_micros + p.disputed_micros > p.granted_micros""",
    ),
    Invariant(
        "I-12",
        "every finished event led to a payment or waits for a person, and none waits unread",
        """SELECT NULL::bigint, i.source || '/' || i.ext_id FROM money.inbox i
           WHERE CASE WHEN i.done_at IS NULL THEN i.received_at < money.now_s() - 600 AND NOT EXISTS (
                          SELECT 1 FROM money.suspense s
                          WHERE s.source = i.source AND s.obj_id = i.obj_id AND s.resolved_at IS NULL)
                      ELSE NOT EXISTS (
                          SELECT 1 FROM money.payment p WHERE p.source = i.source AND p.obj_id = i.obj_id)
                       AND NOT EXISTS (
                          SELECT 1 FROM money.suspense s WHERE s.source = i.source AND s.obj_id = i.obj_id) END""",
    ),
    Invariant(
        "I-13",
        "only a refund, a dispute or a person's correction made a balance negative",
        """SELECT w.id, w.name FROM money.wallet w WHERE w.balance_micros < 0 AND NOT EXISTS (
               SELECT 1 FROM money.entry e WHERE e.wallet_id = w.id AND e.amount_micros < 0
                  AND e.kind IN ('Refund', 'Dispute', 'Manual') AND e.seq > (
                      SELECT coalesce(max(b.seq), 0) FROM money.entry b
                      WHERE b.wallet_id = w.id AND b.balance_after_micros >= 0))""",
    ),
    Invariant(
        "I-20",
        "no credit paid for more than it brought, and all that was spent is paid by some credit or counted as open",
        """SELECT c.wallet_id, c.wallet_id || '/' || c.credit_seq FROM (
               SELECT wallet_id, credit_seq, sum(amount_micros) AS used FROM money.consumption
               GROUP BY wallet_id, credit_seq) c
           LEFT JOIN money.entry e ON e.wallet_id = c.wallet_id AND e.seq = c.credit_seq
           LEFT JOIN money.credit_grant g ON g.wallet_id = c.wallet_id AND g.entry_seq = c.credit_seq
           WHERE c.used > coalesce(e.amount_micros, 0) - coalesce(g.expired_micros, 0)
           UNION ALL
           SELECT h.wallet_id, h.wallet_id::text FROM money.consumption_head h
           LEFT JOIN (SELECT wallet_id, sum(amount_micros) AS used FROM money.consumption GROUP BY wallet_id) c
               ON c.wallet_id = h.wallet_id
           WHERE h.pending_micros + coalesce(c.used, 0) <> -(
               SELECT coalesce(sum(e.amount_micros), 0) FROM money.entry e
               WHERE e.wallet_id = h.wallet_id AND e.seq <= h.upto_seq
                 AND e.kind IN ('Usage', 'Correction', 'Model', 'Domain'))""",
    ),
)
