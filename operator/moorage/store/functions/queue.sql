-- The queue of movers: which attempt gets the next place. An attempt waits in `Created` until it has one, and keeps it
-- until its mover has ended or its agent has left it.

-- Who has a place. That its agent is on it belongs to the question: nobody ends an attempt that was left behind.
CREATE FUNCTION moorage.places() RETURNS SETOF moorage.attempt LANGUAGE sql STABLE AS $$
    SELECT t.* FROM moorage.attempt t JOIN moorage.agent a ON a.uid = t.agent_uid AND a.attempt_id = t.id
    WHERE t.state IN ('Created', 'Started') AND t.granted_at IS NOT NULL AND a.state <> 'Deleted'
$$;

-- Who waits for one, with what decides between them: its class, what its tenant has now, and how long ago it had a turn.
CREATE FUNCTION moorage.waiting(OUT attempt uuid, OUT kind text, OUT node text, OUT created_at timestamptz,
                                OUT class integer, OUT tenant_has bigint, OUT tenant_turn bigint)
RETURNS SETOF record LANGUAGE sql STABLE AS $$
    WITH has AS (SELECT p.tenant_uid, count(*) AS places FROM moorage.places() p GROUP BY p.tenant_uid),
    queue AS (
        SELECT t.* FROM moorage.attempt t JOIN moorage.agent a ON a.uid = t.agent_uid AND a.attempt_id = t.id
        WHERE t.state = 'Created' AND t.granted_at IS NULL AND a.state <> 'Deleted'),
    tenants AS (
        SELECT q.tenant_uid, coalesce((SELECT max(o.turn) FROM moorage.attempt o
                                       WHERE o.tenant_uid = q.tenant_uid AND o.turn IS NOT NULL), 0) AS turn
        FROM (SELECT DISTINCT tenant_uid FROM queue) q)
    SELECT q.id, q.kind, q.node, q.created_at, CASE WHEN q.kind = 'Restore' THEN 0 WHEN q.purpose = 'Schedule' THEN 2 ELSE 1 END,
           coalesce(has.places, 0), tenants.turn
    FROM queue q JOIN tenants USING (tenant_uid) LEFT JOIN has USING (tenant_uid)
$$;

-- The attempt whose turn it is, NULL when nobody can be given a place. Restores go first, because somebody waits for
-- them; scheduled snapshots last, because their agents run meanwhile; within a class the tenant that has the least. Every fourth place goes to the snapshot that has waited longest,
-- whoever's it is, so that neither restores nor other tenants can hold it up for ever.
CREATE FUNCTION moorage.next_mover(q moorage.mover_queue) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE
    by_age  constant boolean := (q.turn + 1) % 4 = 0;
    running text[] := ARRAY(SELECT coalesce(p.node, '') FROM moorage.places() p);
    full_up text[];
BEGIN
    IF cardinality(running) >= q.movers_max THEN
        RETURN NULL;
    END IF;
    full_up := ARRAY(SELECT node FROM unnest(running) node WHERE node <> ''
                     GROUP BY node HAVING count(*) >= q.per_node_max);
    RETURN (SELECT w.attempt FROM moorage.waiting() w JOIN moorage.attempt t ON t.id = w.attempt
            WHERE w.node IS NULL OR q.per_node_max > 0 AND w.node <> ALL (full_up)
            ORDER BY CASE WHEN by_age THEN (w.kind = 'Restore')::integer ELSE w.class END,
                     CASE WHEN NOT by_age THEN w.tenant_has END, CASE WHEN NOT by_age THEN w.tenant_turn END,
                     w.created_at, w.attempt
            LIMIT 1);
END $$;

-- Gives every free place to whose turn it is, and wakes its agent. Called at the end of a transaction: who holds the
-- lock waits for nobody, so it takes no row that somebody else is about to end.
CREATE FUNCTION moorage.give_places() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    q     moorage.mover_queue;
    one   uuid;
    given integer := 0;
BEGIN
    PERFORM 1 FROM moorage.mover_queue FOR UPDATE;
    LOOP
        SELECT * INTO q FROM moorage.mover_queue;
        one := moorage.next_mover(q);
        EXIT WHEN one IS NULL;
        PERFORM 1 FROM moorage.attempt t
        WHERE t.id = one AND t.state = 'Created' AND t.granted_at IS NULL FOR UPDATE SKIP LOCKED;
        EXIT WHEN NOT FOUND;  -- whoever ends it moves the queue on
        UPDATE moorage.mover_queue SET turn = turn + 1;
        UPDATE moorage.attempt t SET granted_at = to_timestamp(money.clock()), turn = q.turn + 1 WHERE t.id = one;
        INSERT INTO moorage.outbox (kind, namespace, name, reason)
        SELECT 'Agent', a.namespace, a.name, 'MoverGranted' FROM moorage.agent a WHERE a.attempt_id = one;
        given := given + 1;
    END LOOP;
    IF given > 0 THEN
        PERFORM pg_notify('moorage', '');
    END IF;
    RETURN given;
END $$;

-- The net below the triggers: what nobody was told of is given now. Returns how many places it gave.
CREATE FUNCTION moorage.grant_movers(epoch bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM moorage.require_epoch(epoch);
    RETURN moorage.give_places();
END $$;

-- How many movers may run at once; what runs above a lower limit runs on.
CREATE FUNCTION moorage.set_mover_limits(epoch bigint, movers_max integer, per_node_max integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM moorage.require_epoch(epoch);
    UPDATE moorage.mover_queue q SET
        movers_max = set_mover_limits.movers_max, per_node_max = set_mover_limits.per_node_max;
    PERFORM moorage.give_places();
END $$;

-- How long the queue is, by kind, and how many movers may run now.
CREATE FUNCTION moorage.mover_queue_now(OUT snapshots bigint, OUT restores bigint, OUT running bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
    SELECT count(*) FILTER (WHERE w.kind = 'Snapshot'), count(*) FILTER (WHERE w.kind = 'Restore'),
           (SELECT count(*) FROM moorage.places())
    FROM moorage.waiting() w
$$;
