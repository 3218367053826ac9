-- Which history of the database is ours. A server restored from a backup has lost a tail of it: nothing is charged and no
-- agent changes its state until a person has looked. Credit that comes in is booked meanwhile.

-- The timeline this server writes, from its memory; a restore or a promotion begins a new one.
CREATE FUNCTION money.timeline() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN ('x' || lpad(substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), 16, '0'))::bit(64)::bigint;
END $$;

-- Why this history is not trusted; NULL when it is.
CREATE FUNCTION money.doubt() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    last money.lineage;
BEGIN
    SELECT * INTO last FROM money.lineage l ORDER BY l.id DESC LIMIT 1;
    RETURN CASE WHEN NOT last.trusted THEN last.reason
                WHEN last.system_identifier <> (SELECT system_identifier FROM pg_control_system())
                    THEN 'this is another server than the one that was trusted'
                WHEN last.timeline <> money.timeline() THEN 'the server was restored or promoted' END;
END $$;

-- What there is to say about this history to a witness outside: its server, how far it is, when a person last decided
-- to trust it (the first row is nobody's decision), and what time it is; times are microseconds since 1970.
CREATE FUNCTION money.lineage_now(
    OUT system_identifier bigint, OUT timeline bigint, OUT written_bytes bigint, OUT trusted_at bigint, OUT at bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    SELECT s.system_identifier INTO lineage_now.system_identifier FROM pg_control_system() s;
    timeline := money.timeline();
    -- What is flushed survives a crash; a transaction id that was only handed out would not.
    written_bytes := (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint;
    trusted_at := (SELECT coalesce(max(extract(epoch FROM l.at) * 1000000), 0) FROM money.lineage l
                   WHERE l.trusted AND l.id > (SELECT min(first.id) FROM money.lineage first));
    lineage_now.at := extract(epoch FROM clock_timestamp()) * 1000000;
END $$;

CREATE FUNCTION money.note_lineage(trusted boolean, reason text, actor text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO money.lineage (system_identifier, timeline, trusted, reason, actor)
    SELECT s.system_identifier, money.timeline(), trusted, reason, actor FROM pg_control_system() s;
END $$;

-- The witness knows of more than this history has. Every epoch is over at once; repeating it changes nothing.
CREATE FUNCTION money.doubt_lineage(reason text, actor text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7400001, 1);
    IF money.doubt() IS NULL THEN
        PERFORM money.note_lineage(false, reason, actor);
        UPDATE moorage.leader SET epoch = epoch + 1, expires_at = '-infinity';
    END IF;
END $$;

-- A person says that this is our history from now on. False when nobody doubted it.
CREATE FUNCTION money.trust_lineage(reason text, actor text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7400001, 1);
    IF money.doubt() IS NULL THEN
        RETURN false;
    END IF;
    -- A copy made from a dump counts transactions from the start: its new rows would hide behind old seals.
    IF pg_snapshot_xmax(pg_current_snapshot())::text::bigint < (SELECT max(s.to_xid) FROM money.seal s) THEN
        RAISE EXCEPTION 'this server counts its transactions from before the last seal; restore a base backup, not a dump'
            USING ERRCODE = 'MO051';
    END IF;
    PERFORM money.note_lineage(true, reason, actor);
    PERFORM moorage.push_deadlines();
    RETURN true;
END $$;

-- The next epoch, or NULL while somebody else leads; nobody leads a history in doubt. An epoch belongs to the timeline
-- it was taken on, so that a server restored under a leader's feet takes no write of it.
CREATE FUNCTION moorage.take_lead(wanted_holder text, lease_seconds double precision) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    taken bigint;
    why   text;
BEGIN
    PERFORM pg_advisory_xact_lock(7400001, 1);  -- waits for every transaction that still writes under the old epoch
    why := money.doubt();
    IF why IS NOT NULL THEN
        RAISE EXCEPTION '%', why USING ERRCODE = 'MO050';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM money.lineage) THEN
        PERFORM money.note_lineage(true, 'the first leader of this database', wanted_holder);
    END IF;
    UPDATE moorage.leader SET epoch = epoch + 1, holder = wanted_holder, timeline = money.timeline(),
                              expires_at = clock_timestamp() + make_interval(secs => lease_seconds)
    WHERE expires_at < clock_timestamp() OR holder = wanted_holder
    RETURNING epoch INTO taken;
    RETURN taken;
END $$;
