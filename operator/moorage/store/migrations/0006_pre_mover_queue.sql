-- The queue of movers: how many may run at once, and what moves the queue on.

CREATE TABLE moorage.mover_queue (
    one            boolean PRIMARY KEY DEFAULT true CHECK (one),
    movers_max     integer NOT NULL DEFAULT 10 CHECK (movers_max >= 0),
    per_node_max   integer NOT NULL DEFAULT 2 CHECK (per_node_max >= 0),
    turn           bigint NOT NULL DEFAULT 0  -- places given so far
);
INSERT INTO moorage.mover_queue DEFAULT VALUES;

CREATE INDEX attempt_waiting ON moorage.attempt (id) WHERE state = 'Created' AND granted_at IS NULL;
CREATE INDEX attempt_placed ON moorage.attempt (id) WHERE state IN ('Created', 'Started') AND granted_at IS NOT NULL;
CREATE INDEX attempt_turn ON moorage.attempt (tenant_uid, turn DESC) WHERE turn IS NOT NULL;

-- Places are given in the very transaction that makes somebody wait or frees a place, whoever's it is. At its end, so
-- that it sees all of it and holds the queue's lock for a moment only.
CREATE FUNCTION moorage.move_queue() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM moorage.give_places();
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER moves_queue AFTER UPDATE OF state ON moorage.attempt
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (OLD.state IN ('Created', 'Started') AND NEW.state NOT IN ('Created', 'Started'))
EXECUTE FUNCTION moorage.move_queue();

CREATE CONSTRAINT TRIGGER moves_queue AFTER UPDATE OF attempt_id, state ON moorage.agent
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (OLD.attempt_id IS DISTINCT FROM NEW.attempt_id
      OR NEW.state = 'Deleted' AND OLD.state <> 'Deleted' AND NEW.attempt_id IS NOT NULL)
EXECUTE FUNCTION moorage.move_queue();

GRANT SELECT ON moorage.mover_queue TO moorage_app;
