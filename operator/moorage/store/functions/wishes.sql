-- What people may ask for an agent's data from outside of its object: another snapshot, or other data. Each is written
-- into the agent's row, whose fence it raises, and the operator is woken in the same transaction.

-- The agent of this name, locked; NULL when there is none.
CREATE FUNCTION moorage.lock_agent(of_namespace text, of_name text) RETURNS moorage.agent LANGUAGE plpgsql AS $$
DECLARE
    a moorage.agent;
BEGIN
    SELECT * INTO a FROM moorage.agent x
    WHERE x.namespace = of_namespace AND x.name = of_name AND x.state <> 'Deleted' FOR NO KEY UPDATE;
    RETURN a;
END $$;

CREATE FUNCTION moorage.wake_agent(a moorage.agent, why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO moorage.outbox (kind, namespace, name, reason) VALUES ('Agent', a.namespace, a.name, why);
    PERFORM pg_notify('moorage', '');
END $$;

-- Asks for a snapshot. Says NoAgent, Purged, NoData, AtRest (the last snapshot is all it has), or Asked.
CREATE FUNCTION moorage.ask_for_snapshot(of_namespace text, of_name text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    a moorage.agent := moorage.lock_agent(of_namespace, of_name);
BEGIN
    CASE
        WHEN a.uid IS NULL THEN RETURN 'NoAgent';
        WHEN a.state = 'Purged' THEN RETURN 'Purged';
        WHEN a.volume_uid IS NULL AND a.snapshot_id IS NULL THEN RETURN 'NoData';
        WHEN a.state NOT IN ('Running', 'Draining', 'Snapshotting', 'Verifying') THEN RETURN 'AtRest';
        ELSE
            UPDATE moorage.agent x SET wish = 'Demand', fence = x.fence + 1 WHERE x.uid = a.uid;
            PERFORM moorage.wake_agent(a, 'SnapshotAsked');
            RETURN 'Asked';
    END CASE;
END $$;

-- Chooses the data that an agent comes back with, in place of what it has, which is kept as a snapshot first. Says
-- NoAgent, Purged, NoStorage, NoSnapshot (also for one of another tenant), or Chosen.
CREATE FUNCTION moorage.choose_data(of_namespace text, of_name text, of_snapshot uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    a moorage.agent := moorage.lock_agent(of_namespace, of_name);
BEGIN
    IF a.uid IS NULL THEN
        RETURN 'NoAgent';
    ELSIF a.state = 'Purged' THEN
        RETURN 'Purged';
    ELSIF NOT a.has_storage THEN
        RETURN 'NoStorage';
    END IF;
    PERFORM 1 FROM moorage.snapshot s
    WHERE s.id = of_snapshot AND s.tenant_uid = a.tenant_uid AND s.wrapped_key IS NOT NULL
      AND (s.keep_until IS NULL OR s.keep_until > clock_timestamp()) FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN 'NoSnapshot';
    END IF;
    UPDATE moorage.agent x SET restore_id = of_snapshot, fence = x.fence + 1 WHERE x.uid = a.uid;
    PERFORM moorage.wake_agent(a, 'DataChosen');
    RETURN 'Chosen';
END $$;
