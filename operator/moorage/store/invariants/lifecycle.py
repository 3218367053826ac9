"""Standing, timers and agents follow from the money."""

from moorage.store.invariants.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I-14",
        "a wallet's standing is what its balance, runway and holds say, and a stopped one is charged to its cut and no"
        " further",
        # A low wallet may also be low by what is not proven yet, or because it is not a tenth above its marks. Whose
        # timer is due may have to learn of a new price or policy first.
        """SELECT w.id, w.name FROM money.wallet w CROSS JOIN money.policy p
           WHERE CASE WHEN w.on_hold THEN w.standing <> 'OnHold'
                      WHEN w.cut_at IS NOT NULL THEN w.standing <> 'Exhausted'
                      WHEN w.low_micros = 0 THEN w.standing <> 'Funded'
                      WHEN w.standing = 'Low'
                      THEN w.zero_at IS NULL AND w.balance_micros >= w.low_micros + (w.low_micros + 9) / 10
                      ELSE w.balance_micros < w.low_micros
                           OR w.zero_at - w.as_of <= p.low_runway_seconds AND w.due_at > money.now_s() END
              OR (w.cut_at IS NULL AND w.balance_micros <= 0) OR w.as_of > w.cut_at""",
    ),
    Invariant(
        "I-15",
        "no burning wallet is without a timer, none is later than what it waits for, and the wallet's copy is true",
        """SELECT w.id, w.name FROM money.wallet w LEFT JOIN money.timer t ON t.wallet_id = w.id
               CROSS JOIN money.policy p
           WHERE w.due_at IS DISTINCT FROM t.due_at
              OR (w.cut_at IS NULL AND w.burn_picos > 0
                  AND (t.due_at IS NULL
                       OR (t.due_at > money.zero_at(w.id) AND money.zero_at(w.id) > money.now_s()
                           OR w.standing = 'Funded' AND w.low_micros > 0 AND t.due_at > money.now_s()
                              AND (t.due_at > w.zero_at - p.low_runway_seconds
                                   OR w.waiting = 0 AND t.due_at - w.as_of - 1 > (
                                       (w.balance_micros - w.low_micros + 1) * 1000000 - w.carry_picos - 1)
                                       / w.burn_picos))
                           -- A price to come moves both; the timer of zero follows when the price becomes valid.
                           AND NOT EXISTS (
                               SELECT 1 FROM money.run r JOIN money.rate p ON p.id = r.rate_id JOIN money.rate n
                                   ON n.meter = p.meter AND n.class = p.class AND n.valid_from > p.valid_from
                               WHERE r.wallet_id = w.id AND r.ended IS NULL)))""",
    ),
    Invariant(
        "I-19",
        "an agent's pod has an open run exactly when the agent names it",
        """SELECT a.wallet_id, a.uid::text FROM moorage.agent a
           WHERE a.pod_uid IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM money.run r WHERE r.pod_uid = a.pod_uid AND r.ended IS NULL)
           UNION ALL
           SELECT r.wallet_id, r.agent_uid::text FROM money.run r LEFT JOIN moorage.agent a ON a.uid = r.agent_uid
           WHERE r.ended IS NULL AND r.meter = 'Pod' AND a.pod_uid IS DISTINCT FROM r.pod_uid""",
    ),
    Invariant(
        "I-24",
        "an agent that gave its volume up has a verified snapshot with its key, until it is purged",
        """SELECT a.wallet_id, a.uid::text FROM moorage.agent a
           WHERE a.has_storage AND a.state IN ('Archived', 'Restoring', 'PurgePending') AND a.volume_uid IS NULL
             AND NOT EXISTS (SELECT 1 FROM moorage.snapshot s
                             WHERE s.id IN (a.snapshot_id, a.restore_id) AND s.purged_at IS NULL)""",
    ),
    Invariant(
        "I-25",
        "what is purged has its line in the audit, and an agent only one that says: empty, announced, and over",
        """SELECT a.wallet_id, a.uid::text FROM moorage.agent a
           WHERE a.purged_at IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM moorage.purge_audit p
               WHERE p.agent_uid = a.uid AND p.step = 'Started' AND p.cause = 'ZeroBalance' AND p.at = a.purged_at
                 AND p.held_micros = 0 AND p.balance_micros < greatest(1, p.second_micros) AND p.deadline <= p.at
                 AND 3 = (SELECT count(*) FROM moorage.notice n
                          WHERE n.about_uid = a.uid AND n.deadline = p.deadline
                            AND n.delivered_at <= p.at - interval '24 hours'))
           UNION ALL
           SELECT a.wallet_id, s.id::text FROM moorage.snapshot s LEFT JOIN moorage.agent a ON a.uid = s.agent_uid
           WHERE s.purged_at IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM moorage.purge_audit p WHERE p.snapshot_id = s.id AND p.step = 'KeyDestroyed')""",
    ),
    Invariant(
        "I-23",
        "nothing is charged for an agent whose budget or limit is reached, and the wallet is looked at when it ends",
        """SELECT w.id, a.uid::text FROM moorage.agent a JOIN money.wallet w ON w.id = a.wallet_id
           WHERE a.state <> 'Deleted' AND (a.reached_until IS NOT NULL OR w.reached_until IS NOT NULL)
             AND (EXISTS (SELECT 1 FROM money.run r WHERE r.agent_uid = a.uid AND r.meter = 'Pod' AND r.in_burn)
                  OR w.cut_at IS NULL
                     AND coalesce(w.due_at, 9223372036854775807) > least(a.reached_until, w.reached_until))""",
    ),
)
