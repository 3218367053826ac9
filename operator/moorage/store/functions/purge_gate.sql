-- The gate of every purge: a switch for people, and a brake for clocks that jump and for our own mistakes.

CREATE FUNCTION moorage.moment() RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    RETURN to_timestamp(money.clock());
END $$;

-- How many data keys may be destroyed in an hour: of all living snapshots 2 %, but at least 50.
CREATE FUNCTION moorage.purge_limit() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN greatest(50, (SELECT count(*) FROM moorage.snapshot s WHERE s.purged_at IS NULL) / 50);
END $$;

-- How many were destroyed in the last hour and since a person released the brake. Old snapshots that new ones replaced
-- do not count as far as new ones came in: an hourly schedule is no accident. After a clock went back, what lies ahead
-- of it counts too.
CREATE FUNCTION moorage.purged_lately() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    since     timestamptz := moorage.moment() - interval '1 hour';
    destroyed record;
BEGIN
    SELECT count(*) AS keys, count(*) FILTER (WHERE p.cause = 'NotKept') AS replaced INTO destroyed
    FROM moorage.purge_audit p
    WHERE p.step = 'KeyDestroyed' AND p.at > since AND p.id > (SELECT g.released_to FROM moorage.purge_gate g);
    RETURN destroyed.keys - least(destroyed.replaced, (
        SELECT count(*) FROM moorage.snapshot s WHERE s.verified_at > since - interval '1 hour' AND s.purged_at IS NULL));
END $$;

-- Why nothing at all may be purged now; NULL when `keys` more may be destroyed. The gate stays locked until the end of
-- the transaction, so that purges are counted one after another. It is the last lock that a purge takes.
CREATE FUNCTION moorage.pass_gate(keys bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    g moorage.purge_gate;
    t timestamptz := moorage.moment();
BEGIN
    PERFORM 1 FROM moorage.purge_gate FOR NO KEY UPDATE;
    SELECT * INTO g FROM moorage.purge_gate;
    IF money.doubt() IS NOT NULL THEN
        RETURN 'HistoryInDoubt';
    ELSIF g.stopped_at IS NOT NULL THEN
        RETURN 'Stopped';
    ELSIF g.engaged_at IS NULL
        -- One agent alone is never too many.
        AND moorage.purged_lately() + keys <= greatest(moorage.purge_limit(), keys) THEN
        RETURN NULL;
    ELSIF g.engaged_at IS NULL THEN
        UPDATE moorage.purge_gate SET engaged_at = t;
        INSERT INTO moorage.purge_audit (at, step) VALUES (t, 'BrakeEngaged');
    END IF;
    RETURN 'BrakeEngaged';
END $$;

-- A person stops every purge. False when they were stopped already.
CREATE FUNCTION moorage.stop_purges(why text, who text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    UPDATE moorage.purge_gate SET stopped_at = moorage.moment() WHERE stopped_at IS NULL;
    IF FOUND THEN
        INSERT INTO moorage.purge_audit (at, step, actor, reason) VALUES (moorage.moment(), 'Stopped', who, why);
    END IF;
    RETURN FOUND;
END $$;

-- A person allows purges again. False when nobody had stopped them.
CREATE FUNCTION moorage.allow_purges(why text, who text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    UPDATE moorage.purge_gate SET stopped_at = NULL WHERE stopped_at IS NOT NULL;
    IF FOUND THEN
        INSERT INTO moorage.purge_audit (at, step, actor, reason) VALUES (moorage.moment(), 'Allowed', who, why);
    END IF;
    RETURN FOUND;
END $$;

-- A person has looked why so much was due, and lets as much again go. False when the brake was not engaged.
CREATE FUNCTION moorage.release_purges(why text, who text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM 1 FROM moorage.purge_gate FOR NO KEY UPDATE;  -- whoever purges just now is counted before
    UPDATE moorage.purge_gate SET
        engaged_at = NULL, released_to = (SELECT coalesce(max(p.id), 0) FROM moorage.purge_audit p)
    WHERE engaged_at IS NOT NULL;
    IF FOUND THEN
        INSERT INTO moorage.purge_audit (at, step, actor, reason) VALUES (moorage.moment(), 'BrakeReleased', who, why);
    END IF;
    RETURN FOUND;
END $$;

-- What the gate says at this moment.
CREATE FUNCTION moorage.purge_now(
    OUT now timestamptz, OUT stopped_at timestamptz, OUT engaged_at timestamptz, OUT doubt text, OUT per_hour bigint,
    OUT lately bigint, OUT living bigint, OUT entombed bigint, OUT objects_left bigint
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    SELECT g.stopped_at, g.engaged_at INTO purge_now.stopped_at, purge_now.engaged_at FROM moorage.purge_gate g;
    purge_now.now := moorage.moment();
    doubt := money.doubt();
    per_hour := moorage.purge_limit();
    lately := moorage.purged_lately();
    living := (SELECT count(*) FROM moorage.snapshot s WHERE s.purged_at IS NULL);
    entombed := (SELECT count(*) FROM moorage.snapshot s WHERE s.purged_at IS NULL AND s.purge_after IS NOT NULL);
    objects_left := (SELECT count(*) FROM moorage.snapshot s
                     WHERE s.purged_at IS NOT NULL AND s.object_removed_at IS NULL);
END $$;
