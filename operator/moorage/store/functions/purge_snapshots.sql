-- Snapshots that nobody needs any more: a tombstone first, then the same gate, and the key goes before the object.

-- Whether somebody else counts on a snapshot: another agent's row, or an attempt that is under way.
CREATE FUNCTION moorage.used_by_another(snapshot uuid, owner uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM moorage.agent a
                   WHERE snapshot IN (a.snapshot_id, a.restore_id) AND a.uid <> owner
                     AND a.state NOT IN ('Deleted', 'Purged'))
        OR EXISTS (SELECT 1 FROM moorage.attempt t JOIN moorage.agent a ON a.attempt_id = t.id
                   WHERE t.snapshot_id = snapshot AND a.uid <> owner AND t.state <> 'Failed');
END $$;

-- False when a snapshot is purged. Otherwise it stays while the caller writes down that it counts on it: whoever removes
-- it waits for this lock, and then looks.
CREATE FUNCTION moorage.hold_snapshot(snapshot uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM 1 FROM moorage.snapshot s WHERE s.id = snapshot AND s.purged_at IS NULL FOR KEY SHARE;
    RETURN FOUND;
END $$;

-- Why a snapshot must not be removed now; NULL when its time is over and nobody counts on it.
CREATE FUNCTION moorage.snapshot_hindrance(s moorage.snapshot, t timestamptz) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE
        WHEN s.id IS NULL OR s.purged_at IS NOT NULL THEN 'Crossed'
        WHEN (s.keep_until <= t) IS NOT TRUE THEN 'Kept'
        WHEN EXISTS (SELECT 1 FROM moorage.agent a LEFT JOIN moorage.attempt u ON u.id = a.attempt_id
                     WHERE a.uid = s.agent_uid AND a.state <> 'Deleted'
                       AND s.id IN (a.snapshot_id, a.restore_id, u.snapshot_id))
             OR moorage.used_by_another(s.id, s.agent_uid) THEN 'SnapshotInUse'
        WHEN EXISTS (SELECT 1 FROM moorage.agent a JOIN money.wallet w ON w.id = a.wallet_id
                     WHERE a.uid = s.agent_uid AND w.on_hold) THEN 'WalletOnHold'
    END;
END $$;

-- Puts a tombstone on up to `snapshots_max` snapshots whose time is over; returns how many.
CREATE FUNCTION moorage.entomb_snapshots(epoch bigint, snapshots_max integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    t        timestamptz := moorage.moment();
    entombed integer;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    UPDATE moorage.snapshot x SET purge_after = t + interval '15 minutes'
    WHERE x.id IN (SELECT s.id FROM moorage.snapshot s
                   WHERE s.purged_at IS NULL AND s.keep_until <= t AND s.purge_after IS NULL
                     AND moorage.snapshot_hindrance(s, t) IS NULL
                   ORDER BY s.keep_until LIMIT snapshots_max FOR NO KEY UPDATE SKIP LOCKED);
    GET DIAGNOSTICS entombed = ROW_COUNT;
    RETURN entombed;
END $$;

-- Destroys the key of one snapshot under its tombstone, or says why not; what is needed again loses its tombstone.
CREATE FUNCTION moorage.purge_snapshot(epoch bigint, snapshot uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    s     moorage.snapshot;
    t     timestamptz;
    cause text;
    why   text;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    -- Whoever begins to count on a snapshot refers to its row, and waits here or is seen.
    PERFORM 1 FROM moorage.snapshot x WHERE x.id = snapshot FOR UPDATE;
    SELECT * INTO s FROM moorage.snapshot x WHERE x.id = snapshot;
    t := moorage.moment();
    why := moorage.snapshot_hindrance(s, t);
    IF why IN ('Kept', 'SnapshotInUse', 'WalletOnHold') THEN
        UPDATE moorage.snapshot x SET purge_after = NULL WHERE x.id = s.id AND x.purge_after IS NOT NULL;
    ELSIF why IS NULL AND (s.purge_after <= t) IS NOT TRUE THEN
        why := 'TooEarly';
    END IF;
    why := coalesce(why, moorage.pass_gate(1));
    IF why IS NOT NULL THEN
        RETURN why;
    END IF;
    cause := CASE WHEN EXISTS (SELECT 1 FROM moorage.agent a WHERE a.uid = s.agent_uid AND a.state <> 'Deleted')
             THEN 'NotKept' ELSE 'AgentDeleted' END;
    INSERT INTO moorage.purge_audit (at, step, cause, agent_uid, tenant_uid, snapshot_id)
    VALUES (t, 'Started', cause, s.agent_uid, s.tenant_uid, s.id);
    PERFORM moorage.destroy_keys(ARRAY[s.id], cause, t);
    RETURN 'Started';
END $$;

-- Destroys the data keys of snapshots, also the copies that attempts carry.
CREATE FUNCTION moorage.destroy_keys(keys uuid[], why text, t timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE moorage.attempt x SET wrapped_key = NULL WHERE x.snapshot_id = ANY (keys);
    UPDATE moorage.snapshot x SET
        wrapped_key = NULL, purged_at = t, purge_after = NULL, keep_until = least(coalesce(x.keep_until, t), t)
    WHERE x.id = ANY (keys);
    INSERT INTO moorage.purge_audit (at, step, cause, agent_uid, tenant_uid, snapshot_id)
    SELECT t, 'KeyDestroyed', why, s.agent_uid, s.tenant_uid, s.id FROM moorage.snapshot s WHERE s.id = ANY (keys);
END $$;

-- What came of asking the store to remove an object whose key is destroyed; again changes nothing.
CREATE FUNCTION moorage.note_object(epoch bigint, snapshot uuid, removed boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    t timestamptz := moorage.moment();
BEGIN
    PERFORM moorage.require_epoch(epoch);
    UPDATE moorage.snapshot x SET object_tried_at = t, object_removed_at = CASE WHEN removed THEN t END
    WHERE x.id = snapshot AND x.purged_at IS NOT NULL AND x.object_removed_at IS NULL;
    IF FOUND THEN
        INSERT INTO moorage.purge_audit (at, step, agent_uid, tenant_uid, snapshot_id)
        SELECT t, CASE WHEN removed THEN 'ObjectRemoved' ELSE 'ObjectRefused' END, s.agent_uid, s.tenant_uid, s.id
        FROM moorage.snapshot s WHERE s.id = snapshot ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- A restored database may find long due what was not due before its loss: nothing of it goes within a week.
CREATE FUNCTION moorage.push_deadlines() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t timestamptz := moorage.moment();
BEGIN
    UPDATE moorage.agent a SET
        purge_at = greatest(a.purge_at, t) + interval '7 days', purge_after = NULL, fence = a.fence + 1,
        state = CASE a.state WHEN 'PurgePending' THEN moorage.state_before_purge(a) ELSE a.state END
    WHERE a.purge_at IS NOT NULL;
    UPDATE moorage.snapshot s SET keep_until = greatest(s.keep_until, t) + interval '7 days', purge_after = NULL
    WHERE s.keep_until IS NOT NULL AND s.purged_at IS NULL;
END $$;
