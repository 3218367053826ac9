"""Reserved money: what a wallet holds is what its leases and holds have left, and usage is what they paid."""

from moorage.store.invariants.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I-4",
        "what a wallet holds is what its open leases and holds have left",
        """SELECT w.id, w.name FROM money.wallet w LEFT JOIN
           (SELECT wallet_id, sum(micros) AS micros FROM (
                SELECT wallet_id, granted_micros - spent_picos / 1000000 AS micros FROM money.lease WHERE state = 'Open'
                UNION ALL
                SELECT wallet_id, amount_micros FROM money.hold WHERE state = 'Open') r
            GROUP BY wallet_id) r ON r.wallet_id = w.id
           WHERE w.held_micros <> coalesce(r.micros, 0)""",
    ),
    Invariant(
        "I-10",
        "the requests of a lease or hold add up to what was paid for them and what was absorbed, and it paid no more"
        " than was set aside",
        """SELECT coalesce(r.wallet_id, u.wallet_id), coalesce(r.id, u.id)::text
           FROM (SELECT id, wallet_id, spent_picos + late_picos + absorbed_picos AS picos, absorbed_picos,
                        spent_picos > granted_micros * 1000000 AS overspent FROM money.lease
                 UNION ALL
                 SELECT id, wallet_id, paid_picos + absorbed_picos, absorbed_picos, paid_picos > amount_micros * 1000000
                 FROM money.hold WHERE gateway IS NOT NULL) r
           FULL JOIN (SELECT coalesce(lease_id, id) AS id, min(wallet_id) AS wallet_id, sum(amount_picos) AS picos
                      FROM money.usage GROUP BY coalesce(lease_id, id)) u ON u.id = r.id
           LEFT JOIN (SELECT reservation_id, sum(amount_picos) AS picos FROM money.system_entry
                      WHERE reservation_id IS NOT NULL GROUP BY reservation_id) s ON s.reservation_id = r.id
           WHERE r.id IS NULL OR r.overspent OR r.picos <> coalesce(u.picos, 0)
              OR r.absorbed_picos <> coalesce(s.picos, 0)""",
    ),
)
