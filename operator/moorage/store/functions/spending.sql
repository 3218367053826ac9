-- What was spent in a day: never counted up beside the books, but read from the seconds that were charged. Days are UTC
-- days. Inner functions, like the others.

-- The first second of the next day.
CREATE FUNCTION money.midnight_after(second bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN second - mod(second, 86400) + 86400;
END $$;

-- What a run spent in the day that ends at `midnight`; what it still owes up to its cut is spent already.
CREATE FUNCTION money.run_spend(w money.wallet, r money.run, midnight bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    hi bigint := coalesce(r.ended, CASE WHEN r.in_burn THEN w.as_of ELSE greatest(r.cursor, r.cut_at) END);
    lo bigint := greatest(r.started, midnight - 86400);
BEGIN
    hi := least(hi, midnight);
    RETURN r.rate_picos * CASE WHEN lo >= hi THEN 0 ELSE
        hi - lo - money.length_s(r.absorbed * int8multirange(int8range(lo, hi))) END;
END $$;

-- What one agent, or with NULL all agents of the wallet, spent in the day that ends at `midnight`.
CREATE FUNCTION money.spent_picos(w money.wallet, agent uuid, midnight bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(sum(picos), 0)::bigint FROM (
            SELECT money.run_spend(w, r, midnight) AS picos FROM money.run r
            WHERE r.wallet_id = w.id AND r.ended IS NULL AND (agent IS NULL OR r.agent_uid = agent)
            UNION ALL
            SELECT money.run_spend(w, r, midnight) FROM money.run r
            WHERE agent IS NULL AND r.wallet_id = w.id AND r.ended > midnight - 86400
            UNION ALL
            SELECT money.run_spend(w, r, midnight) FROM money.run r
            WHERE r.agent_uid = agent AND r.wallet_id = w.id AND r.ended > midnight - 86400
            UNION ALL
            SELECT d.picos FROM money.day_spend d
            WHERE d.wallet_id = w.id AND d.day = midnight - 86400 AND (agent IS NULL OR d.agent_uid = agent)) spent);
END $$;

-- Notes what an agent spent at a second on something that has no run, where a budget asks for it. The caller has posted
-- it, and decides afterwards.
CREATE FUNCTION money.spend_today(w money.wallet, agent uuid, picos bigint, t bigint) RETURNS money.wallet
LANGUAGE plpgsql AS $$
BEGIN
    IF money.has_budgets(w) THEN
        INSERT INTO money.day_spend AS d (wallet_id, day, agent_uid, picos)
        VALUES (w.id, t - mod(t, 86400), agent, spend_today.picos)
        ON CONFLICT (wallet_id, day, agent_uid) DO UPDATE SET picos = d.picos + excluded.picos;
    END IF;
    RETURN w;
END $$;

-- The first second that a demand growing at the given seconds cannot pay of so much a day. A day that is survived is
-- followed by a full one, and who survives that survives all.
CREATE FUNCTION money.first_over(daily bigint, spent bigint, midnight bigint, seconds bigint[], rates bigint[])
RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    second   bigint := (money.first_unpaid(seconds, rates, daily - spent, NULL)).zero;
    demand   bigint := (SELECT sum(rate) FROM unnest(rates) rate);
BEGIN
    RETURN CASE WHEN second < midnight THEN second
                WHEN daily / nullif(demand, 0) < 86400 THEN midnight + daily / demand END;
END $$;
