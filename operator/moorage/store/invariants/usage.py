"""Runs, prices and statement lines: every second is charged once, at its price, or absorbed."""

from moorage.store.invariants.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I-5",
        "every closed run has one statement line from its start to its end, no open run has one",
        """SELECT r.wallet_id, r.id::text FROM money.run r LEFT JOIN money.line l ON l.run_id = r.id
           WHERE CASE WHEN r.ended IS NULL THEN l.run_id IS NOT NULL
                      ELSE l.run_id IS NULL OR l.lo <> r.started OR l.hi <> r.ended OR r.cursor <> r.ended
                           OR l.wallet_id <> r.wallet_id OR l.rate_picos <> r.rate_picos END""",
    ),
    Invariant(
        "I-6",
        "the runs of one agent do not overlap",
        """SELECT wallet_id, id::text FROM (
               SELECT wallet_id, id, started, lag(coalesce(ended, 9223372036854775807)) OVER (
                   PARTITION BY agent_uid ORDER BY started, coalesce(ended, 9223372036854775807), id) AS ended_before
               FROM money.run) r WHERE started < ended_before""",
    ),
    Invariant(
        "I-7",
        "what was charged for seconds and tokens is what the entries say, to the pico-credit",
        """SELECT w.id, w.name FROM money.wallet w
            LEFT JOIN (SELECT wallet_id, sum(amount_picos) AS picos FROM money.line GROUP BY wallet_id) l
                ON l.wallet_id = w.id
            LEFT JOIN (SELECT r.wallet_id, sum(r.rate_picos * (h.hi - r.started - h.absorbed)) AS picos
                       FROM money.run r JOIN money.wallet w ON w.id = r.wallet_id
                       CROSS JOIN LATERAL (
                           SELECT CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END AS hi,
                                  (SELECT coalesce(sum(upper(p) - lower(p)), 0)
                                   FROM unnest(r.absorbed) p) AS absorbed) h
                       WHERE r.ended IS NULL GROUP BY r.wallet_id) o ON o.wallet_id = w.id
            LEFT JOIN (SELECT wallet_id, sum(picos) AS picos FROM (
                           -- The fraction of an open lease joins the carry when the lease ends.
                           SELECT wallet_id, late_picos + spent_picos
                                             - CASE state WHEN 'Open' THEN spent_picos % 1000000 ELSE 0 END AS picos
                           FROM money.lease UNION ALL SELECT wallet_id, paid_picos FROM money.hold) tokens
                       GROUP BY wallet_id) m ON m.wallet_id = w.id
            LEFT JOIN (SELECT wallet_id, sum(amount_micros) AS micros FROM money.entry
                       WHERE kind IN ('Usage', 'Correction', 'Model') GROUP BY wallet_id) e ON e.wallet_id = w.id
            WHERE coalesce(l.picos, 0) + coalesce(o.picos, 0) + coalesce(m.picos, 0) <>
                  w.carry_picos - 1000000 * coalesce(e.micros, 0)""",
    ),
    Invariant(
        "I-8",
        "every run has the price that was published for it, and every line is its price times its charged seconds",
        """SELECT r.wallet_id, r.id::text FROM money.run r LEFT JOIN money.rate p ON p.id = r.rate_id
           WHERE p.rate_picos IS DISTINCT FROM r.rate_picos
           UNION ALL
           SELECT wallet_id, run_id::text FROM money.line WHERE amount_picos <> rate_picos * charged_seconds
               OR charged_seconds + absorbed_seconds <> hi - lo""",
    ),
    Invariant(
        "I-9",
        "no run is charged beyond the proof of its node, and what is absorbed lies inside the run",
        """SELECT r.wallet_id, r.id::text FROM money.run r JOIN money.wallet w ON w.id = r.wallet_id
           JOIN money.node n ON n.name = r.node
           WHERE r.in_burn AND n.proven < w.as_of
              OR r.ended IS NULL AND NOT r.in_burn
                 AND r.cursor > greatest(n.proven, r.started, coalesce(upper(r.absorbed), 0))
              OR NOT r.absorbed <@ int8multirange(int8range(r.started, greatest(r.cursor, r.started,
                                                  CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END)))""",
    ),
    Invariant(
        "I-22",
        "a wallet's burn is the sum of its runs in burn, and it counts the others",
        """SELECT w.id, w.name FROM money.wallet w LEFT JOIN
           (SELECT wallet_id, sum(rate_picos) FILTER (WHERE in_burn) AS burn, count(*) FILTER (WHERE NOT in_burn) AS out
            FROM money.run WHERE ended IS NULL GROUP BY wallet_id) r ON r.wallet_id = w.id
           WHERE w.burn_picos <> coalesce(r.burn, 0) OR w.waiting <> coalesce(r.out, 0)""",
    ),
)
