"""Runs, prices and statement lines: every second is charged once, at its price, or absorbed."""

from moorage.store.invariants.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I-5",
        "the lines of a run follow one another without gaps from its start to where it is written up to",
        """SELECT r.wallet_id, r.id::text FROM money.run r LEFT JOIN LATERAL (
               SELECT count(*) AS lines, max(no) AS last_no, bool_and(steps) AS steps,
                      max(hi) FILTER (WHERE newest) AS hi
               FROM (SELECT l.no, l.hi, l.no = max(l.no) OVER () AS newest, l.wallet_id = r.wallet_id
                            AND l.lo = lag(l.hi, 1, r.started) OVER (ORDER BY l.no) AS steps
                     FROM money.line l WHERE l.run_id = r.id) path) p ON true
           WHERE r.lines <> p.lines OR coalesce(p.last_no, 0) <> p.lines OR p.steps IS FALSE
              OR r.lined_to <> coalesce(p.hi, r.started) OR r.ended IS NOT NULL AND r.lined_to <> r.ended
              OR r.ended <> r.cursor
           UNION ALL
           SELECT l.wallet_id, l.run_id::text FROM money.line l
           WHERE NOT EXISTS (SELECT 1 FROM money.run r WHERE r.id = l.run_id)""",
    ),
    Invariant(
        "I-6",
        "the runs of one agent, volume or snapshot do not overlap",
        """SELECT wallet_id, id::text FROM (
               SELECT wallet_id, id, started, lag(coalesce(ended, 9223372036854775807)) OVER (
                   PARTITION BY agent_uid, meter, object
                   ORDER BY started, coalesce(ended, 9223372036854775807), id) AS ended_before
               FROM money.run) r WHERE started < ended_before""",
    ),
    Invariant(
        "I-7",
        "what was charged for seconds and tokens is what the entries say, to the pico-credit",
        """SELECT w.id, w.name FROM money.wallet w
            LEFT JOIN (SELECT wallet_id, sum(amount_picos) AS picos FROM money.line GROUP BY wallet_id) l
                ON l.wallet_id = w.id
            LEFT JOIN (SELECT r.wallet_id, sum(r.rate_picos * (h.hi - r.lined_to - (
                                  SELECT coalesce(sum(upper(p) - lower(p)), 0) FROM unnest(
                                      (r.absorbed + r.overdue + r.waived)
                                      * int8multirange(int8range(r.lined_to, h.hi))) p))) AS picos
                       FROM money.run r JOIN money.wallet w ON w.id = r.wallet_id
                       CROSS JOIN LATERAL (SELECT greatest(
                           r.lined_to, CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END) AS hi) h
                       WHERE r.ended IS NULL GROUP BY r.wallet_id) o ON o.wallet_id = w.id
            LEFT JOIN (SELECT wallet_id, sum(picos) AS picos FROM (
                           -- The fraction of an open lease joins the carry when the lease ends.
                           SELECT wallet_id, late_picos + spent_picos
                                             - CASE state WHEN 'Open' THEN spent_picos % 1000000 ELSE 0 END AS picos
                           FROM money.lease UNION ALL
                           SELECT wallet_id, paid_picos FROM money.hold WHERE gateway IS NOT NULL) tokens
                       GROUP BY wallet_id) m ON m.wallet_id = w.id
            LEFT JOIN (SELECT wallet_id, sum(amount_micros) AS micros FROM money.entry
                       WHERE kind IN ('Usage', 'Correction', 'Model') GROUP BY wallet_id) e ON e.wallet_id = w.id
            WHERE coalesce(l.picos, 0) + coalesce(o.picos, 0) + coalesce(m.picos, 0) <>
                  w.carry_picos - 1000000 * coalesce(e.micros, 0)""",
    ),
    Invariant(
        "I-8",
        "every run and every line has the price that was valid then, and a line is its price times its charged seconds",
        """SELECT r.wallet_id, r.id::text FROM money.run r LEFT JOIN money.rate p ON p.id = r.rate_id
           WHERE p.rate_picos * r.quantity IS DISTINCT FROM r.rate_picos
           UNION ALL
           SELECT r.wallet_id, r.id::text FROM money.run r JOIN money.wallet w ON w.id = r.wallet_id
           JOIN money.rate p ON p.id = r.rate_id
           WHERE r.in_burn AND EXISTS (SELECT 1 FROM money.rate n WHERE n.meter = p.meter AND n.class = p.class
                                       AND n.valid_from > p.valid_from AND n.valid_from < w.as_of)
           UNION ALL
           SELECT l.wallet_id, l.run_id || '/' || l.no FROM money.line l JOIN money.run r ON r.id = l.run_id
           LEFT JOIN money.rate p ON p.id = l.rate_id
           WHERE l.amount_picos <> l.rate_picos * l.charged_seconds
              OR l.charged_seconds + l.absorbed_seconds + l.waived_seconds <> l.hi - l.lo
              OR p.rate_picos * r.quantity IS DISTINCT FROM l.rate_picos
              OR EXISTS (SELECT 1 FROM money.rate n WHERE n.meter = p.meter AND n.class = p.class
                         AND n.valid_from > p.valid_from AND n.valid_from <= least(l.lo, l.hi))""",
    ),
    Invariant(
        "I-9",
        "no run is charged beyond the proof of its node, and what is absorbed lies inside the run",
        """SELECT r.wallet_id, r.id::text FROM money.run r JOIN money.wallet w ON w.id = r.wallet_id
           JOIN money.node n ON n.name = r.node
           WHERE r.in_burn AND n.proven < w.as_of
              OR r.ended IS NULL AND NOT r.in_burn
                 AND r.cursor > greatest(n.proven, r.started, coalesce(upper(r.absorbed), 0),
                                         coalesce(upper(r.overdue), 0))
           UNION ALL
           SELECT r.wallet_id, r.id::text FROM money.run r JOIN money.wallet w ON w.id = r.wallet_id
           WHERE NOT r.absorbed + r.overdue + r.waived <@ int8multirange(int8range(
                     r.started, greatest(r.cursor, r.started, CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END)))
              OR r.absorbed && r.overdue OR r.absorbed && r.waived OR r.overdue && r.waived""",
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
