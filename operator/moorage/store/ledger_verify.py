"""The ledger's invariants, each a query that must return no rows."""

from dataclasses import dataclass

from moorage.model.ledger import Check
from moorage.store.database import Database

EXAMPLES_MAX = 10


@dataclass(frozen=True, slots=True)
class Invariant:
    """`sql` selects one text column: the key of every row that breaks the sentence."""

    id: str
    sentence: str
    sql: str


INVARIANTS = (
    Invariant(
        "I-1",
        "a wallet's balance is the sum of its entries",
        """SELECT w.id::text FROM money.wallet w LEFT JOIN
           (SELECT wallet_id, sum(amount_micros) AS total FROM money.entry GROUP BY wallet_id) e ON e.wallet_id = w.id
           WHERE w.balance_micros <> coalesce(e.total, 0)""",
    ),
    Invariant(
        "I-2",
        "a wallet's entries are numbered without gaps, and each balance follows from the one before",
        """SELECT wallet_id || '/' || seq FROM (
               SELECT wallet_id, seq, amount_micros, balance_after_micros,
                      lag(seq, 1, 0::bigint) OVER one AS seq_before,
                      lag(balance_after_micros, 1, 0::bigint) OVER one AS balance_before
               FROM money.entry WINDOW one AS (PARTITION BY wallet_id ORDER BY seq)) e
           WHERE seq <> seq_before + 1 OR balance_after_micros <> balance_before + amount_micros""",
    ),
    Invariant(
        "I-3",
        "a wallet's head is its last entry",
        """SELECT w.id::text FROM money.wallet w LEFT JOIN LATERAL (
               SELECT seq, balance_after_micros FROM money.entry WHERE wallet_id = w.id ORDER BY seq DESC LIMIT 1) e
               ON true
           WHERE w.seq <> coalesce(e.seq, 0) OR w.balance_micros <> coalesce(e.balance_after_micros, 0)
           UNION ALL
           SELECT DISTINCT e.wallet_id::text FROM money.entry e
           WHERE NOT EXISTS (SELECT 1 FROM money.wallet w WHERE w.id = e.wallet_id)""",
    ),
    Invariant("I-4", "nothing is held", "SELECT id::text FROM money.wallet WHERE held_micros <> 0"),
    Invariant(
        "I-5",
        "every closed run has one statement line from its start to its end, no open run has one",
        """SELECT r.id::text FROM money.run r LEFT JOIN money.line l ON l.run_id = r.id
           WHERE CASE WHEN r.ended IS NULL THEN l.run_id IS NOT NULL
                      ELSE l.run_id IS NULL OR l.lo <> r.started OR l.hi <> r.ended OR r.cursor <> r.ended
                           OR l.wallet_id <> r.wallet_id OR l.rate_picos <> r.rate_picos END""",
    ),
    Invariant(
        "I-6",
        "the runs of one agent do not overlap",
        """SELECT id::text FROM (
               SELECT id, started, lag(coalesce(ended, 9223372036854775807)) OVER (
                   PARTITION BY agent_uid ORDER BY started, coalesce(ended, 9223372036854775807), id) AS ended_before
               FROM money.run) r WHERE started < ended_before""",
    ),
    Invariant(
        "I-7",
        "what was charged for seconds is what the entries say, to the pico-credit",
        """SELECT w.id::text FROM money.wallet w
            LEFT JOIN (SELECT wallet_id, sum(amount_picos) AS picos FROM money.line GROUP BY wallet_id) l
                ON l.wallet_id = w.id
            LEFT JOIN (SELECT r.wallet_id, sum(r.rate_picos * (h.hi - r.started - h.absorbed)) AS picos
                       FROM money.run r JOIN money.wallet w ON w.id = r.wallet_id
                       CROSS JOIN LATERAL (
                           SELECT CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END AS hi,
                                  (SELECT coalesce(sum(upper(p) - lower(p)), 0)
                                   FROM unnest(r.absorbed) p) AS absorbed) h
                       WHERE r.ended IS NULL GROUP BY r.wallet_id) o ON o.wallet_id = w.id
            LEFT JOIN (SELECT wallet_id, sum(amount_micros) AS micros FROM money.entry
                       WHERE kind IN ('Usage', 'Correction') GROUP BY wallet_id) e ON e.wallet_id = w.id
            WHERE coalesce(l.picos, 0) + coalesce(o.picos, 0) <> w.carry_picos - 1000000 * coalesce(e.micros, 0)""",
    ),
    Invariant(
        "I-8",
        "every run has the price that was published for it, and every line is its price times its charged seconds",
        """SELECT r.id::text FROM money.run r LEFT JOIN money.rate p ON p.id = r.rate_id
           WHERE p.rate_picos IS DISTINCT FROM r.rate_picos
           UNION ALL
           SELECT run_id::text FROM money.line WHERE amount_picos <> rate_picos * charged_seconds
               OR charged_seconds + absorbed_seconds <> hi - lo""",
    ),
    Invariant(
        "I-9",
        "no run is charged beyond the proof of its node, and what is absorbed lies inside the run",
        """SELECT r.id::text FROM money.run r JOIN money.wallet w ON w.id = r.wallet_id
           JOIN money.node n ON n.name = r.node
           WHERE r.in_burn AND n.proven < w.as_of
              OR r.ended IS NULL AND NOT r.in_burn
                 AND r.cursor > greatest(n.proven, r.started, coalesce(upper(r.absorbed), 0))
              OR NOT r.absorbed <@ int8multirange(int8range(r.started, greatest(r.cursor, r.started,
                                                  CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END)))""",
    ),
    Invariant(
        "I-13",
        "no balance is negative: nothing but a refund could do that, and there are none yet",
        "SELECT id::text FROM money.wallet WHERE balance_micros < 0",
    ),
    Invariant(
        "I-14",
        "a wallet's standing is what its balance says, and an exhausted wallet is charged to its cut and no further",
        """SELECT id::text FROM money.wallet
           WHERE standing <> CASE WHEN cut_at IS NOT NULL THEN 'Exhausted'
                                  WHEN balance_micros < low_micros THEN 'Low' ELSE 'Funded' END
              OR (cut_at IS NULL AND balance_micros <= held_micros) OR as_of > cut_at""",
    ),
    Invariant(
        "I-15",
        "no burning wallet is without a timer, none is later than a zero to come, and the wallet's copy of it is true",
        """SELECT w.id::text FROM money.wallet w LEFT JOIN money.timer t ON t.wallet_id = w.id
           WHERE w.due_at IS DISTINCT FROM t.due_at
              OR (w.cut_at IS NULL AND w.burn_picos > 0
                  AND (t.due_at IS NULL OR t.due_at > money.zero_at(w.id) AND money.zero_at(w.id) > money.now_s()))""",
    ),
    Invariant(
        "I-16",
        "wallets and system accounts add up to nothing, and every absorbed second is booked",
        """SELECT 'wallets' WHERE (SELECT coalesce(sum(balance_micros), 0) FROM money.wallet)
               <> (SELECT coalesce(sum(e.amount_micros), 0) FROM money.entry e JOIN money.account a ON a.id = e.contra)
           UNION ALL
           SELECT l.run_id::text FROM money.line l LEFT JOIN money.system_entry s ON s.run_id = l.run_id
           WHERE coalesce(s.amount_picos, 0) <> l.rate_picos * l.absorbed_seconds""",
    ),
    Invariant(
        "I-19",
        "an agent's pod has an open run exactly when the agent names it",
        """SELECT a.uid::text FROM moorage.agent a
           WHERE a.pod_uid IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM money.run r WHERE r.pod_uid = a.pod_uid AND r.ended IS NULL)
           UNION ALL
           SELECT r.agent_uid::text FROM money.run r LEFT JOIN moorage.agent a ON a.uid = r.agent_uid
           WHERE r.ended IS NULL AND a.pod_uid IS DISTINCT FROM r.pod_uid""",
    ),
    Invariant(
        "I-22",
        "a wallet's burn is the sum of its runs in burn, and it counts the others",
        """SELECT w.id::text FROM money.wallet w LEFT JOIN
           (SELECT wallet_id, sum(rate_picos) FILTER (WHERE in_burn) AS burn, count(*) FILTER (WHERE NOT in_burn) AS out
            FROM money.run WHERE ended IS NULL GROUP BY wallet_id) r ON r.wallet_id = w.id
           WHERE w.burn_picos <> coalesce(r.burn, 0) OR w.waiting <> coalesce(r.out, 0)""",
    ),
)


async def verify(database: Database) -> list[Check]:
    """Run every query on one snapshot of the database; takes no locks."""
    checks = []
    async with database.transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await connection.execute("SET LOCAL statement_timeout = '30min'")
        for invariant in INVARIANTS:
            sql = f"SELECT key, count(*) OVER () AS total FROM ({invariant.sql}) broken (key) LIMIT {EXAMPLES_MAX}"  # noqa: S608  # constants of this file
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
