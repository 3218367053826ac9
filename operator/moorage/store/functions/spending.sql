-- What was spent in a day: never counted up beside the books, but read from the seconds that were charged. Days are UTC
-- days. Inner functions, like the others.

-- The first second of the next day.
CREATE FUNCTION money.midnight_after(second bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN second - mod(second, 86400) + 86400;
END $$;

-- What a run spent in the day that ends at `midnight`: the seconds since its last line at its price, those before at the
-- prices of their lines. What it still owes up to its cut is spent already.
CREATE FUNCTION money.run_spend(w money.wallet, r money.run, midnight bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    day   constant bigint := midnight - 86400;
    hi    bigint := least(midnight, coalesce(
        r.ended, CASE WHEN r.in_burn THEN w.as_of ELSE greatest(r.cursor, r.cut_at) END));
    lo    bigint := least(hi, greatest(r.lined_to, day));
    picos bigint := CASE WHEN hi > lo THEN r.rate_picos * (money.charged_s(r, hi) - money.charged_s(r, lo)) ELSE 0 END;
    l     money.line;
BEGIN
    IF r.lines = 0 THEN
        RETURN picos;
    END IF;
    -- From the last line back to the first that ends before the day; what goes back stands at the end of a path.
    FOR l IN SELECT * FROM money.line x WHERE x.run_id = r.id ORDER BY x.no DESC LOOP
        EXIT WHEN l.lo < l.hi AND l.hi <= day;
        picos := picos + l.rate_picos * sign(l.hi - l.lo)::bigint * (
            money.charged_s(r, least(midnight, greatest(l.lo, l.hi, day)))
            - money.charged_s(r, greatest(day, least(l.lo, l.hi, midnight))));
    END LOOP;
    RETURN picos;
END $$;

-- What one agent, or with NULL all agents of the wallet, spent in the day that ends at `midnight`. Storage, which no
-- suspension ends, is not part of it.
CREATE FUNCTION money.spent_picos(w money.wallet, agent uuid, midnight bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(sum(picos), 0)::bigint FROM (
            SELECT money.run_spend(w, r, midnight) AS picos FROM money.run r
            WHERE r.wallet_id = w.id AND r.ended IS NULL AND r.meter = 'Pod' AND (agent IS NULL OR r.agent_uid = agent)
            UNION ALL
            SELECT money.run_spend(w, r, midnight) FROM money.run r
            WHERE agent IS NULL AND r.wallet_id = w.id AND r.meter = 'Pod' AND r.ended > midnight - 86400
            UNION ALL
            SELECT money.run_spend(w, r, midnight) FROM money.run r
            WHERE r.agent_uid = agent AND r.wallet_id = w.id AND r.meter = 'Pod' AND r.ended > midnight - 86400
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

-- The first second that a demand cannot pay of so much a day, when it changes by the given rates at the given seconds.
-- Whoever survives a whole day without a change survives all.
CREATE FUNCTION money.first_over(daily bigint, spent bigint, midnight bigint, seconds bigint[], rates bigint[])
RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    left_picos bigint := daily - spent;
    last_s     constant bigint := seconds[cardinality(seconds)];
    second     bigint;
BEGIN
    LOOP
        second := (money.first_unpaid(seconds, rates, left_picos, midnight)).zero;
        EXIT WHEN second < midnight OR last_s <= midnight - 86400;
        seconds := ARRAY(SELECT greatest(s, midnight) FROM unnest(seconds) WITH ORDINALITY u (s, place) ORDER BY place);
        left_picos := daily;
        midnight := midnight + 86400;
    END LOOP;
    RETURN CASE WHEN second < midnight THEN second END;
END $$;
