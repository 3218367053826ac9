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
)
