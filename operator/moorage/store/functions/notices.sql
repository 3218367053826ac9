-- Notices before something is lost: written down when they are due, sent by the operator, and sent again until they are
-- accepted.

-- The three notices before a purge, by how long before the deadline they are due.
CREATE FUNCTION moorage.stages() RETURNS TABLE (stage text, ahead interval) LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN QUERY VALUES ('SevenDays', interval '7 days'), ('ThreeDays', interval '3 days'), ('OneDay', interval '1 day');
END $$;

-- When the last notice before a deadline was delivered; NULL while one of them is not.
CREATE FUNCTION moorage.told_at(agent uuid, of_deadline timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    RETURN (SELECT max(n.delivered_at) FROM moorage.notice n WHERE n.about_uid = agent AND n.deadline = of_deadline
            HAVING count(n.delivered_at) = (SELECT count(*) FROM moorage.stages()));
END $$;

-- Writes a notice down once; taken with the others, it is sent until it is accepted.
CREATE FUNCTION moorage.tell_owner(about uuid, of_deadline timestamptz, of_stage text, t timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO moorage.notice (about_uid, deadline, stage, due_at, recorded_at, retry_at)
    VALUES (about, of_deadline, of_stage, t, t, t) ON CONFLICT DO NOTHING;
END $$;

-- What notices are about and who pays for it, with the deadline that still stands; others are not sent any more.
CREATE FUNCTION moorage.announced()
RETURNS TABLE (about_uid uuid, deadline timestamptz, kind text, namespace text, name text, wallet_id bigint)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    SELECT a.uid, a.purge_at, 'Agent', a.namespace, a.name, a.wallet_id FROM moorage.agent a WHERE a.purge_at IS NOT NULL
    UNION ALL
    SELECT d.uid, x.deadline, 'Domain', d.namespace, d.name, t.wallet_id
    FROM moorage.domain d JOIN moorage.tenant t ON t.uid = d.tenant_uid
    CROSS JOIN LATERAL unnest(ARRAY[d.paid_until, d.release_at]) x (deadline)
    WHERE d.deleted_at IS NULL AND d.state = 'Active' AND x.deadline IS NOT NULL;
END $$;

-- Writes down what is due, and takes up to `notices_max` that nobody has accepted yet; whoever dies before the answer
-- gives them back after a minute, and each failure doubles the pause, up to an hour.
CREATE FUNCTION moorage.take_notices(epoch bigint, notices_max integer)
RETURNS TABLE (kind text, uid uuid, namespace text, name text, wallet text, deadline timestamptz, stage text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
#variable_conflict use_column
DECLARE
    t timestamptz := moorage.moment();
BEGIN
    PERFORM moorage.require_epoch(epoch);
    INSERT INTO moorage.notice (about_uid, deadline, stage, due_at, recorded_at, retry_at)
    SELECT a.uid, a.purge_at, s.stage, a.purge_at - s.ahead, t, t FROM moorage.agent a CROSS JOIN moorage.stages() s
    WHERE a.purge_at IS NOT NULL AND a.purge_at - s.ahead <= t
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    WITH due AS (
        SELECT n.about_uid, n.deadline, n.stage FROM moorage.notice n
        WHERE n.delivered_at IS NULL AND n.retry_at <= t
          AND EXISTS (SELECT 1 FROM moorage.announced() a WHERE (a.about_uid, a.deadline) = (n.about_uid, n.deadline))
        ORDER BY n.retry_at, n.due_at LIMIT notices_max
        FOR NO KEY UPDATE OF n SKIP LOCKED),
    taken AS (
        UPDATE moorage.notice n SET
            tries = n.tries + 1, retry_at = t + least(60, 2 ^ least(n.tries, 6)) * interval '1 minute'
        FROM due d WHERE (n.about_uid, n.deadline, n.stage) = (d.about_uid, d.deadline, d.stage)
        RETURNING n.about_uid, n.deadline, n.stage, n.due_at)
    SELECT a.kind, k.about_uid, a.namespace, a.name, w.name, k.deadline, k.stage
    FROM taken k JOIN moorage.announced() a USING (about_uid, deadline) JOIN money.wallet w ON w.id = a.wallet_id
    ORDER BY k.due_at;
END $$;

-- What came of a notice: accepted, or not, for a reason of ours. What was accepted once stays accepted.
CREATE FUNCTION moorage.note_delivery(
    epoch bigint, about uuid, of_deadline timestamptz, of_stage text, code text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM moorage.require_epoch(epoch);
    UPDATE moorage.notice n SET
        delivered_at = CASE WHEN code IS NULL THEN moorage.moment() END, failure = code
    WHERE n.about_uid = about AND n.deadline = of_deadline AND n.stage = of_stage AND n.delivered_at IS NULL;
END $$;
