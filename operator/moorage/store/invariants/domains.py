"""Host names: each has one holder, who has proven it, and each month is paid once, by what the books say."""

from moorage.store.invariants.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I-26",
        "every paid month of a host name has its entry and its hold, and months of one tenant's name do not overlap",
        """SELECT coalesce(m.wallet_id, e.wallet_id), coalesce(e.key, 'Domain/' || m.id)
           FROM (SELECT * FROM money.domain_month WHERE amount_micros > 0) m
           FULL JOIN (SELECT * FROM money.entry WHERE kind = 'Domain') e ON e.key = 'Domain/' || m.id
           WHERE (e.wallet_id = m.wallet_id AND -e.amount_micros = m.amount_micros) IS NOT TRUE
           UNION ALL
           SELECT coalesce(m.wallet_id, h.wallet_id), coalesce('Domain/' || m.id, h.id::text)
           FROM (SELECT * FROM money.domain_month WHERE hold_id IS NOT NULL) m
           FULL JOIN (SELECT * FROM money.hold WHERE domain_uid IS NOT NULL AND state = 'Settled') h ON h.id = m.hold_id
           WHERE (h.wallet_id = m.wallet_id AND h.paid_picos = m.amount_micros * 1000000) IS NOT TRUE
           UNION ALL
           SELECT wallet_id, 'Domain/' || id FROM (
               SELECT wallet_id, id, begins_at, lag(ends_at) OVER (
                   PARTITION BY tenant_uid, hostname ORDER BY begins_at) AS ended_before
               FROM money.domain_month) m WHERE begins_at < ended_before""",
    ),
    Invariant(
        "I-27",
        "what exists for a host name is its holder's, whose claim is proven, and nobody holds one after its end",
        """SELECT t.wallet_id, d.hostname FROM moorage.domain d JOIN moorage.tenant t ON t.uid = d.tenant_uid
           WHERE d.deleted_at IS NULL AND d.state = 'Active' AND NOT EXISTS (
               SELECT FROM moorage.claim c WHERE c.domain_uid = d.uid AND c.proven_at IS NOT NULL)
           UNION
           SELECT t.wallet_id, c.hostname FROM moorage.claim c JOIN moorage.tenant t ON t.uid = c.tenant_uid
               LEFT JOIN moorage.domain d ON d.uid = c.domain_uid AND d.deleted_at IS NULL
           WHERE c.domain_uid IS NOT NULL AND ((d.hostname, d.tenant_uid) IS DISTINCT FROM (c.hostname, c.tenant_uid)
               OR d.own AND (d.proven_at IS NULL) <> (c.proven_at IS NULL))""",
    ),
)
