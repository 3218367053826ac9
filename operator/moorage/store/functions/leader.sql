-- Leadership: whoever writes for the operator proves that its epoch is the newest.

-- Writers hold this lock shared until they commit, a takeover holds it alone: after a takeover has
-- returned, no transaction of an older epoch can still commit. An advisory lock costs no WAL, unlike
-- a share lock on the row.
CREATE FUNCTION moorage.require_epoch(wanted bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7400001, 1);
    PERFORM 1 FROM moorage.leader WHERE epoch = wanted AND (timeline IS NULL OR timeline = money.timeline());
    IF NOT FOUND THEN
        RAISE EXCEPTION 'leader epoch % is over', wanted USING ERRCODE = 'MO001';
    END IF;
END $$;
