-- The inbox: events are kept before they are understood, and taken by the object they are about.

-- One insert, so that a provider is answered at once. False when the event was kept before.
CREATE FUNCTION money.keep_event(source text, ext_id text, obj_id text, payload jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    t bigint := money.now_s();
BEGIN
    INSERT INTO money.inbox (source, ext_id, obj_id, payload, received_at, retry_at)
    VALUES (keep_event.source, keep_event.ext_id, keep_event.obj_id, keep_event.payload, t, t) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- Takes up to `objects_max` objects with all their due events for a minute: whoever dies meanwhile gives them back.
-- `version` is older than anything that is read from the provider afterwards.
CREATE FUNCTION money.take_events(sources text[], objects_max integer)
RETURNS TABLE (source text, obj_id text, events text[], attempts integer, version bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
#variable_conflict use_column
DECLARE
    t bigint := money.now_s();
    v bigint := floor(money.clock() * 1000000)::bigint;
BEGIN
    RETURN QUERY
    WITH objects AS (
        SELECT DISTINCT d.source, d.obj_id FROM (
            SELECT i.source, i.obj_id FROM money.inbox i WHERE i.done_at IS NULL AND i.retry_at <= t AND i.source = ANY (sources)
            ORDER BY i.retry_at LIMIT objects_max * 10) d
        LIMIT objects_max),
    due AS (
        SELECT i.source, i.ext_id FROM money.inbox i JOIN objects o ON o.source = i.source AND o.obj_id = i.obj_id
        WHERE i.done_at IS NULL AND i.retry_at <= t FOR UPDATE OF i SKIP LOCKED),
    taken AS (
        UPDATE money.inbox i SET attempts = i.attempts + 1, retry_at = t + 60
        FROM due d WHERE i.source = d.source AND i.ext_id = d.ext_id
        RETURNING i.source, i.obj_id, i.ext_id, i.attempts)
    SELECT k.source, k.obj_id, array_agg(k.ext_id ORDER BY k.ext_id), max(k.attempts), v
    FROM taken k GROUP BY k.source, k.obj_id ORDER BY k.source, k.obj_id;
END $$;

-- Events of an object that could not be read: they come back later, and after some time a person hears of them.
CREATE FUNCTION money.put_back(of_source text, object text, events text[], code text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    tries integer;
BEGIN
    UPDATE money.inbox i SET last_error = code, retry_at = money.now_s() + least(600, 2 ^ least(i.attempts, 10))::bigint
    WHERE i.source = of_source AND i.ext_id = ANY (events) AND i.done_at IS NULL;
    SELECT max(i.attempts) INTO tries FROM money.inbox i WHERE i.source = of_source AND i.ext_id = ANY (events);
    IF tries >= 6 THEN
        PERFORM money.suspend(of_source, object, 'Unreadable', NULL);
    END IF;
END $$;

CREATE FUNCTION money.finish_events(of_source text, events text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE money.inbox i SET done_at = money.now_s(), last_error = NULL
    WHERE i.source = of_source AND i.ext_id = ANY (events) AND i.done_at IS NULL;
END $$;
