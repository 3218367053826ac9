-- Notices before a purge: written down when they are due, sent by the operator, and sent again until they are accepted.

-- The three notices, by how long before the deadline they are due.
CREATE FUNCTION moorage.stages() RETURNS TABLE (stage text, ahead interval) LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN QUERY VALUES ('SevenDays', interval '7 days'), ('ThreeDays', interval '3 days'), ('OneDay', interval '1 day');
END $$;

-- When the last notice before a deadline was delivered; NULL while one of them is not.
CREATE FUNCTION moorage.told_at(agent uuid, of_deadline timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    RETURN (SELECT max(n.delivered_at) FROM moorage.notice n WHERE n.agent_uid = agent AND n.deadline = of_deadline
            HAVING count(n.delivered_at) = (SELECT count(*) FROM moorage.stages()));
END $$;

-- Writes down what is due, and takes up to `notices_max` that nobody has accepted yet; whoever dies before the answer
-- gives them back after a minute, and each failure doubles the pause, up to an hour.
CREATE FUNCTION moorage.take_notices(epoch bigint, notices_max integer)
RETURNS TABLE (agent_uid uuid, namespace text, agent text, wallet text, deadline timestamptz, stage text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
#variable_conflict use_column
DECLARE
    t timestamptz := moorage.moment();
BEGIN
    PERFORM moorage.require_epoch(epoch);
    INSERT INTO moorage.notice (agent_uid, deadline, stage, due_at, recorded_at, retry_at)
    SELECT a.uid, a.purge_at, s.stage, a.purge_at - s.ahead, t, t FROM moorage.agent a CROSS JOIN moorage.stages() s
    WHERE a.purge_at IS NOT NULL AND a.purge_at - s.ahead <= t
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    WITH due AS (
        SELECT n.agent_uid, n.deadline, n.stage FROM moorage.notice n
        JOIN moorage.agent a ON a.uid = n.agent_uid AND a.purge_at = n.deadline
        WHERE n.delivered_at IS NULL AND n.retry_at <= t ORDER BY n.retry_at, n.due_at LIMIT notices_max
        FOR NO KEY UPDATE OF n SKIP LOCKED),
    taken AS (
        UPDATE moorage.notice n SET
            tries = n.tries + 1, retry_at = t + least(60, 2 ^ least(n.tries, 6)) * interval '1 minute'
        FROM due d WHERE (n.agent_uid, n.deadline, n.stage) = (d.agent_uid, d.deadline, d.stage)
        RETURNING n.agent_uid, n.deadline, n.stage, n.due_at)
    SELECT k.agent_uid, a.namespace, a.name, w.name, k.deadline, k.stage
    FROM taken k JOIN moorage.agent a ON a.uid = k.agent_uid JOIN money.wallet w ON w.id = a.wallet_id
    ORDER BY k.due_at;
END $$;

-- What came of a notice: accepted, or not, for a reason of ours. What was accepted once stays accepted.
CREATE FUNCTION moorage.note_delivery(
    epoch bigint, agent uuid, of_deadline timestamptz, of_stage text, code text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM moorage.require_epoch(epoch);
    UPDATE moorage.notice n SET
        delivered_at = CASE WHEN code IS NULL THEN moorage.moment() END, failure = code
    WHERE n.agent_uid = agent AND n.deadline = of_deadline AND n.stage = of_stage AND n.delivered_at IS NULL;
END $$;
