-- Purge of an agent whose wallet stayed empty: asked once more, under the wallet's lock, and then at once without return.
-- The key goes first; without it, what is left in any store or backup is noise.

-- What one second of all that a wallet pays for costs, rounded up, whether it runs now or not. Credit below that is what
-- every zero leaves over; above it, it is somebody's money.
CREATE FUNCTION money.second_micros(w money.wallet) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ceil((
        (SELECT coalesce(sum(r.rate_picos), 0) FROM moorage.agent a
         CROSS JOIN LATERAL money.rate_at('Pod', a.size, money.now_s()) r
         WHERE a.wallet_id = w.id AND a.state <> 'Deleted')
        + (SELECT coalesce(sum(r.rate_picos), 0) FROM money.run r
           WHERE r.wallet_id = w.id AND r.ended IS NULL AND r.meter <> 'Pod')) / 1000000);
END $$;

-- Whether a wallet is at zero and has nothing left that anybody could want to spend.
CREATE FUNCTION money.is_empty(w money.wallet) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN w.cut_at IS NOT NULL AND NOT w.on_hold AND w.held_micros = 0
        AND (w.balance_micros < 1 OR w.balance_micros < money.second_micros(w));
END $$;

CREATE FUNCTION money.wallet_is_empty(wallet bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    RETURN (SELECT money.is_empty(w) FROM money.wallet w WHERE w.id = wallet);
END $$;

-- Whether money may be on its way to a wallet: an event nobody has read yet, a payment that is not booked, or one whose
-- owner nobody knows, which may be anybody's. What a person has dismissed brings nothing, and a payment that stays
-- pending without news for 30 days was given up.
CREATE FUNCTION money.payment_may_come(wallet bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT 1 FROM money.inbox i LEFT JOIN money.payment p ON p.source = i.source AND p.obj_id = i.obj_id
        WHERE i.done_at IS NULL AND coalesce(p.wallet_id, wallet) = wallet)
    OR EXISTS (
        SELECT 1 FROM money.suspense s LEFT JOIN money.payment p ON p.source = s.source AND p.obj_id = s.obj_id
        WHERE s.resolved_at IS NULL
          AND coalesce(p.wallet_id, (s.snapshot ->> 'wallet_id')::bigint, wallet) = wallet)
    OR EXISTS (
        SELECT 1 FROM money.payment p
        LEFT JOIN money.payer y ON y.source = p.source AND y.payer = p.payer
        WHERE p.state = 'Pending' AND coalesce(p.wallet_id, y.wallet_id) = wallet
          AND p.changed_at > money.now_s() - 2592000
          AND NOT EXISTS (SELECT 1 FROM money.suspense d
                          WHERE d.source = p.source AND d.obj_id = p.obj_id AND d.resolution = 'Dismissed'));
END $$;

-- Credit came, or the wallet is not empty for another reason: the grace of its agents is over, and a tombstone is lifted.
-- The grace begins anew when the wallet is empty again. The caller holds the wallet.
CREATE FUNCTION moorage.spare_agents(w money.wallet) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM moorage.agent a WHERE a.wallet_id = w.id AND a.purge_at IS NOT NULL ORDER BY a.uid FOR NO KEY UPDATE;
    WITH spared AS (
        UPDATE moorage.agent a SET
            grace_since = NULL, purge_at = NULL, purge_after = NULL, fence = a.fence + 1,
            state = CASE a.state WHEN 'PurgePending' THEN moorage.state_before_purge(a) ELSE a.state END,
            state_since = CASE a.state WHEN 'PurgePending' THEN moorage.moment() ELSE a.state_since END
        WHERE a.wallet_id = w.id AND a.purge_at IS NOT NULL
        RETURNING a.namespace, a.name, a.fence)
    INSERT INTO moorage.outbox (kind, namespace, name, reason, fence)
    SELECT 'Agent', namespace, name, 'Spared', fence FROM spared;
END $$;

CREATE FUNCTION moorage.state_before_purge(a moorage.agent) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN a.volume_uid IS NULL THEN 'Archived' ELSE 'Suspended' END;
END $$;

-- Why this agent must not be purged now; NULL when all says that it may. Wallet and agent are locked.
CREATE FUNCTION moorage.purge_hindrance(w money.wallet, a moorage.agent, t timestamptz) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE
        WHEN a.state IS DISTINCT FROM 'PurgePending' OR a.wallet_id <> w.id THEN 'Crossed'
        WHEN (a.purge_at <= t AND a.purge_after <= t) IS NOT TRUE THEN 'TooEarly'
        WHEN w.on_hold THEN 'WalletOnHold'
        WHEN money.veto_of(w, a) IS DISTINCT FROM 'ZeroBalance' OR NOT money.is_empty(w) THEN 'WalletCanPay'
        WHEN (moorage.told_at(a.uid, a.purge_at) <= t - interval '24 hours') IS NOT TRUE THEN 'NoticeMissing'
        WHEN money.payment_may_come(w.id) THEN 'PaymentMayCome'
        WHEN EXISTS (SELECT 1 FROM moorage.snapshot s
                     WHERE s.agent_uid = a.uid AND moorage.used_by_another(s.id, a.uid)) THEN 'SnapshotInUse'
    END;
END $$;

-- The point of no return, in one transaction: all its keys are destroyed and the agent is Purged, or nothing happens and
-- the answer says why. What then lies in the object store, and a volume, are removed afterwards, as often as it takes.
CREATE FUNCTION moorage.purge_agent(epoch bigint, agent uuid, seen_fence bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w    money.wallet;
    a    moorage.agent;
    t    timestamptz;
    keys uuid[];
    why  text;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    w := money.lock_wallet((SELECT x.wallet_id FROM moorage.agent x WHERE x.uid = agent));
    PERFORM 1 FROM moorage.agent x WHERE x.uid = agent FOR NO KEY UPDATE;
    SELECT * INTO a FROM moorage.agent x WHERE x.uid = agent AND x.fence = seen_fence;
    PERFORM 1 FROM moorage.snapshot s WHERE s.agent_uid = agent AND s.purged_at IS NULL ORDER BY s.id FOR UPDATE;
    t := moorage.moment();
    keys := ARRAY(SELECT s.id FROM moorage.snapshot s WHERE s.agent_uid = agent AND s.purged_at IS NULL ORDER BY s.id);
    why := coalesce(moorage.purge_hindrance(w, a, t), moorage.pass_gate(cardinality(keys)));
    IF why IS NOT NULL THEN
        RETURN why;
    END IF;
    INSERT INTO moorage.purge_audit (at, step, cause, agent_uid, tenant_uid, balance_micros, held_micros, second_micros,
                                     deadline, told_at)
    VALUES (t, 'Started', 'ZeroBalance', a.uid, a.tenant_uid, w.balance_micros, w.held_micros, money.second_micros(w),
            a.purge_at, moorage.told_at(a.uid, a.purge_at));
    UPDATE moorage.agent x SET
        state = 'Purged', state_since = t, fence = x.fence + 1, purged_at = t, grace_since = NULL, purge_at = NULL,
        purge_after = NULL, attempt_id = NULL, snapshot_id = NULL, restore_id = NULL, failures = 0, retry_at = NULL, archive_at = NULL
    WHERE x.uid = a.uid;
    PERFORM moorage.destroy_keys(keys, 'ZeroBalance', t);
    UPDATE moorage.attempt x SET wrapped_key = NULL WHERE x.agent_uid = a.uid;  -- also of what was never finished
    INSERT INTO moorage.outbox (kind, namespace, name, reason, fence)
    VALUES ('Agent', a.namespace, a.name, 'Purged', a.fence + 1);
    PERFORM pg_notify('moorage', '');
    RETURN 'Started';
END $$;

-- Writes down that a volume of a purged agent was asked away; again changes nothing.
CREATE FUNCTION moorage.note_volume(epoch bigint, agent uuid, volume uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM moorage.require_epoch(epoch);
    INSERT INTO moorage.purge_audit (at, step, cause, agent_uid, tenant_uid, volume_uid)
    SELECT moorage.moment(), 'VolumeRemoved', 'ZeroBalance', a.uid, a.tenant_uid, volume
    FROM moorage.agent a WHERE a.uid = agent AND a.state = 'Purged' ON CONFLICT DO NOTHING;
END $$;
