"""Wallets, entries and system accounts: every balance is what its movements add up to."""

from moorage.store.invariants.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I-1",
        "a wallet's balance is the sum of its entries",
        """SELECT w.id, w.name FROM money.wallet w LEFT JOIN
           (SELECT wallet_id, sum(amount_micros) AS total FROM money.entry GROUP BY wallet_id) e ON e.wallet_id = w.id
           WHERE w.balance_micros <> coalesce(e.total, 0)""",
    ),
    Invariant(
        "I-2",
        "a wallet's entries are numbered without gaps, and each balance follows from the one before",
        """SELECT wallet_id, wallet_id || '/' || seq FROM (
               SELECT wallet_id, seq, amount_micros, balance_after_micros,
                      lag(seq, 1, 0::bigint) OVER one AS seq_before,
                      lag(balance_after_micros, 1, 0::bigint) OVER one AS balance_before
               FROM money.entry WINDOW one AS (PARTITION BY wallet_id ORDER BY seq)) e
           WHERE seq <> seq_before + 1 OR balance_after_micros <> balance_before + amount_micros""",
    ),
    Invariant(
        "I-3",
        "a wallet's head is its last entry",
        """SELECT w.id, w.name FROM money.wallet w LEFT JOIN LATERAL (
               SELECT seq, balance_after_micros FROM money.entry WHERE wallet_id = w.id ORDER BY seq DESC LIMIT 1) e
               ON true
           WHERE w.seq <> coalesce(e.seq, 0) OR w.balance_micros <> coalesce(e.balance_after_micros, 0)
           UNION ALL
           SELECT DISTINCT e.wallet_id, e.wallet_id::text FROM money.entry e
           WHERE NOT EXISTS (SELECT 1 FROM money.wallet w WHERE w.id = e.wallet_id)""",
    ),
    Invariant(
        "I-16",
        "wallets and system accounts add up to nothing, and every absorbed second is booked",
        """SELECT NULL::bigint, 'wallets' WHERE (SELECT coalesce(sum(balance_micros), 0) FROM money.wallet)
               <> (SELECT coalesce(sum(e.amount_micros), 0) FROM money.entry e JOIN money.account a ON a.id = e.contra)
           UNION ALL
           SELECT l.wallet_id, l.run_id || '/' || l.no FROM money.line l LEFT JOIN LATERAL (
               SELECT sum(s.amount_picos * ((s.debit = -3)::integer - (s.credit = -3)::integer)) AS ours,
                      sum(s.amount_picos * ((s.credit = -4)::integer - (s.debit = -4)::integer)) AS stored
               FROM money.system_entry s WHERE s.run_id = l.run_id AND s.line_no = l.no) b ON true
           JOIN money.run r ON r.id = l.run_id
           WHERE coalesce(b.ours, 0) <> l.rate_picos * l.absorbed_seconds
              OR coalesce(b.stored, 0) <> CASE r.meter WHEN 'Pod' THEN 0
                     ELSE l.rate_picos * (l.absorbed_seconds + l.charged_seconds) END""",
    ),
)
