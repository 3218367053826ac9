-- The money's objection to an agent: one word in its row, in the transaction that finds the reason. Inner functions.

-- What of the money keeps an agent down; the reason that lasts longest is the one that is named.
CREATE FUNCTION money.veto_of(w money.wallet, a moorage.agent) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN w.on_hold THEN 'BillingOnHold' WHEN w.cut_at IS NOT NULL THEN 'ZeroBalance'
                WHEN w.reached_until IS NOT NULL OR a.reached_until IS NOT NULL THEN 'BudgetReached' END;
END $$;

-- Brings the vetoes of the wallet's agents up to date: a new one stops an agent, the end of one calls off a stop that
-- is not recorded yet. An agent that is down already learns of a veto when it asks to come back. Returns how many may
-- run again.
CREATE FUNCTION money.veto_agents(w money.wallet) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    resumed integer;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM moorage.agent a WHERE a.wallet_id = w.id AND a.state NOT IN ('Deleted', 'Purged')
                   AND a.veto IS DISTINCT FROM money.veto_of(w, a)) THEN
        RETURN 0;
    END IF;
    PERFORM 1 FROM moorage.agent a WHERE a.wallet_id = w.id AND a.state NOT IN ('Deleted', 'Purged')
    ORDER BY a.uid FOR NO KEY UPDATE;
    WITH seen AS (
        SELECT a.uid, money.veto_of(w, a) AS wanted, a.state = 'Running' AS runs,
               a.state = 'Draining' AND NOT a.stop_recorded AND NOT a.user_paused AS called_off
        FROM moorage.agent a
        WHERE a.wallet_id = w.id AND a.state NOT IN ('Deleted', 'Purged') AND a.veto IS DISTINCT FROM money.veto_of(w, a)
          AND (a.veto IS NOT NULL OR a.state NOT IN ('Suspended', 'Archived'))),
    touched AS (
        UPDATE moorage.agent a SET
            veto = wanted,
            fence = a.fence + 1,
            state = CASE WHEN wanted IS NULL AND called_off THEN 'Running'
                         WHEN wanted IS NOT NULL AND runs THEN 'Draining'
                         WHEN a.state = 'PurgePending' THEN moorage.state_before_purge(a) ELSE a.state END,
            grace_since = NULL, purge_at = NULL, purge_after = NULL,  -- whatever the reason is now, it is another one
            state_since = CASE WHEN wanted IS NULL AND called_off OR wanted IS NOT NULL AND runs
                               THEN to_timestamp(money.clock()) ELSE a.state_since END,
            stop_recorded = CASE WHEN wanted IS NOT NULL AND runs THEN false ELSE a.stop_recorded END
        FROM seen WHERE a.uid = seen.uid
        RETURNING a.namespace, a.name, a.fence, a.veto, a.user_paused),
    told AS (
        INSERT INTO moorage.outbox (kind, namespace, name, reason, fence)
        SELECT 'Agent', namespace, name, coalesce(veto, 'Funded'), fence FROM touched)
    SELECT count(*) FILTER (WHERE veto IS NULL AND NOT user_paused) INTO resumed FROM touched;
    RETURN resumed;
END $$;
