-- Daily budgets: of one agent, and of all agents of a wallet together, which is its limit. Reaching one is like zero,
-- only that midnight ends it. Inner functions, but for the door at the end.

CREATE FUNCTION money.has_budgets(w money.wallet) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN w.limit_picos_per_day IS NOT NULL OR EXISTS (
        SELECT 1 FROM moorage.agent a WHERE a.wallet_id = w.id AND a.budget_picos_per_day IS NOT NULL);
END $$;

-- The agents of a wallet that have a budget which is not reached, and the second at which it will be. An agent without
-- a run that is charged has reached it when the next second of its size would be too much.
CREATE FUNCTION money.agent_reaches(w money.wallet, t bigint) RETURNS TABLE (agent uuid, second bigint)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    steps money.price_step[] := money.price_steps(w, 9223372036854775807);
BEGIN
    RETURN QUERY
    SELECT a.uid, CASE
        WHEN live.hi IS NOT NULL THEN money.first_over(
            a.budget_picos_per_day, money.spent_picos(w, a.uid, money.midnight_after(live.hi)),
            money.midnight_after(live.hi),
            live.hi || ARRAY(SELECT p.second FROM unnest(steps) p WHERE p.run_id = live.id ORDER BY p.second),
            live.rate_picos || ARRAY(SELECT p.delta_picos FROM unnest(steps) p WHERE p.run_id = live.id ORDER BY p.second))
        WHEN money.spent_picos(w, a.uid, money.midnight_after(t))
             + coalesce((money.rate_at('Pod', a.size, t)).rate_picos, 0) > a.budget_picos_per_day THEN t END
    FROM moorage.agent a
    LEFT JOIN LATERAL (
        SELECT r.id, CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END AS hi, r.rate_picos
        FROM money.run r JOIN money.node n ON n.name = r.node
        WHERE r.agent_uid = a.uid AND r.ended IS NULL AND r.cut_at IS NULL AND (r.in_burn OR NOT n.silent)) live ON true
    WHERE a.wallet_id = w.id AND a.budget_picos_per_day IS NOT NULL AND a.reached_until IS NULL
      AND a.state <> 'Deleted';
END $$;

-- The second at which the wallet's limit will be reached; NULL when it is, or never will be.
CREATE FUNCTION money.limit_reach(w money.wallet, t bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    seconds bigint[];
    rates   bigint[];
    today   bigint;
BEGIN
    IF w.limit_picos_per_day IS NULL OR w.reached_until IS NOT NULL THEN
        RETURN NULL;
    END IF;
    WITH live AS (
        SELECT r.id, CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END AS hi, r.rate_picos
        FROM money.run r JOIN money.node n ON n.name = r.node
        WHERE r.wallet_id = w.id AND r.ended IS NULL AND r.cut_at IS NULL AND (r.in_burn OR NOT n.silent))
    SELECT array_agg(s.hi ORDER BY s.hi, s.rate), array_agg(s.rate ORDER BY s.hi, s.rate) INTO seconds, rates FROM (
        SELECT hi, sum(rate_picos)::bigint AS rate FROM live GROUP BY hi
        UNION ALL
        SELECT p.second, p.delta_picos FROM unnest(money.price_steps(w, 9223372036854775807)) p
        JOIN live ON live.id = p.run_id) s;
    IF seconds IS NULL THEN
        RETURN CASE WHEN money.spent_picos(w, NULL, money.midnight_after(t)) >= w.limit_picos_per_day THEN t END;
    END IF;
    -- Seconds of yesterday that are proven only today count as today's, rather than go beyond a day that is over.
    today := money.midnight_after(CASE WHEN w.burn_picos > 0 THEN w.as_of ELSE seconds[1] END);
    RETURN money.first_over(w.limit_picos_per_day, money.spent_picos(w, NULL, today), today, seconds, rates);
END $$;

-- The next second at which a budget or the limit of this wallet is reached. Beyond zero nothing is reached any more.
CREATE FUNCTION money.next_reach(w money.wallet, t bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    next_s bigint := least(money.limit_reach(w, t), (SELECT min(x.second) FROM money.agent_reaches(w, t) x));
BEGIN
    RETURN CASE WHEN (next_s >= w.cut_at) IS NOT TRUE THEN next_s END;
END $$;

-- Takes runs out of burn at the second that reached their budget; what they owe up to it is charged at their end.
CREATE FUNCTION money.cut_runs(w money.wallet, agents uuid[], second bigint) RETURNS money.wallet
LANGUAGE plpgsql AS $$
DECLARE
    left_burn bigint;
    rates     bigint;
BEGIN
    WITH cut AS (
        UPDATE money.run r SET in_burn = false, cursor = seen.hi, cut_at = greatest(seen.hi, second)
        FROM (SELECT o.id, o.in_burn, CASE WHEN o.in_burn THEN w.as_of ELSE o.cursor END AS hi FROM money.run o
              WHERE o.wallet_id = w.id AND o.ended IS NULL AND o.cut_at IS NULL AND o.meter = 'Pod'
                AND (agents IS NULL OR o.agent_uid = ANY (agents))) seen
        WHERE r.id = seen.id RETURNING r.rate_picos, seen.in_burn)
    SELECT count(*), coalesce(sum(rate_picos), 0)::bigint INTO left_burn, rates FROM cut WHERE in_burn;
    w.burn_picos := w.burn_picos - rates;
    w.waiting := w.waiting + left_burn;
    RETURN w;
END $$;

-- Marks what is reached at a second. Where an agent and the wallet meet it together the agent is first: without it the
-- others may go on.
CREATE FUNCTION money.reach(w money.wallet, second bigint, t bigint) RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    spent_out uuid[] := ARRAY(SELECT x.agent FROM money.agent_reaches(w, t) x WHERE x.second <= reach.second);
BEGIN
    IF cardinality(spent_out) > 0 THEN
        UPDATE moorage.agent a SET reached_until = money.midnight_after(second) WHERE a.uid = ANY (spent_out);
        RETURN money.cut_runs(w, spent_out, second);
    END IF;
    w.reached_until := money.midnight_after(second);
    PERFORM money.announce(w, 'BudgetReached');
    RETURN money.cut_runs(w, NULL, second);
END $$;

-- Charges everything that is proven, affordable and within the budgets. A budget is reached at its second like zero is:
-- stopping does not wait for the proof, but a clock that jumps stops nobody without it.
CREATE FUNCTION money.advance(w money.wallet, t bigint) RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    second bigint;
BEGIN
    IF NOT money.has_budgets(w) THEN
        w.reach_at := NULL;
        RETURN money.charge(w, t);
    END IF;
    LOOP
        second := money.next_reach(w, t);
        -- What was proven late may have gone too far already: then nothing more is charged before the cut.
        IF second > w.as_of OR second IS NULL THEN
            w := money.charge(w, least(t, second));
        END IF;
        w.reach_at := money.next_reach(w, t);
        IF w.reach_at <= least(t, second) THEN
            EXIT WHEN w.reach_at > w.as_of AND t - w.reach_at > (SELECT catchup_max_seconds FROM money.policy);
            w := money.reach(w, w.reach_at, t);
        ELSE
            EXIT WHEN (second <= t) IS NOT TRUE;
        END IF;
    END LOOP;
    RETURN w;
END $$;

-- Draws the consequences of the budgets as they stand: runs whose agent may go on are charged again from now, and the
-- time between is absorbed.
CREATE FUNCTION money.apply_budgets(w money.wallet, t bigint) RETURNS money.wallet LANGUAGE plpgsql AS $$
BEGIN
    w := money.advance(w, t);
    PERFORM money.veto_agents(w);
    UPDATE money.run r SET
        cursor = greatest(r.cursor, t), cut_at = NULL,
        absorbed = r.absorbed + int8multirange(int8range(r.cursor, greatest(r.cursor, t)))
    FROM moorage.agent a
    WHERE r.wallet_id = w.id AND r.ended IS NULL AND r.cut_at IS NOT NULL
      AND a.uid = r.agent_uid AND a.veto IS NULL AND a.state = 'Running';
    w.reach_at := money.next_reach(w, t);
    RETURN w;
END $$;

-- Reaches what is to be reached, and begins anew what a midnight has renewed.
CREATE FUNCTION money.keep_budgets(w money.wallet, t bigint) RETURNS money.wallet LANGUAGE plpgsql AS $$
BEGIN
    IF NOT money.has_budgets(w) THEN
        w.reach_at := NULL;
        RETURN w;
    END IF;
    w := money.advance(w, t);
    UPDATE moorage.agent a SET reached_until = NULL
    WHERE a.wallet_id = w.id AND a.budget_picos_per_day IS NOT NULL AND a.reached_until <= t;
    IF w.reached_until <= t THEN
        w.reached_until := NULL;
        PERFORM money.announce(w, 'BudgetRenewed');
    END IF;
    RETURN money.apply_budgets(w, t);
END $$;

-- When the first reached budget of the wallet begins anew.
CREATE FUNCTION money.next_renewal(w money.wallet) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN least(w.reached_until, (
        SELECT min(a.reached_until) FROM moorage.agent a
        WHERE a.wallet_id = w.id AND a.budget_picos_per_day IS NOT NULL AND a.state <> 'Deleted'));
END $$;

-- Whether the agent may spend no more today: what starts now all the same is absorbed from its first second.
CREATE FUNCTION money.is_spent_out(w money.wallet, agent uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN w.reached_until IS NOT NULL
           OR EXISTS (SELECT 1 FROM moorage.agent a WHERE a.uid = agent AND a.reached_until IS NOT NULL);
END $$;

-- Sets what the agents of a locked wallet may spend in a day, NULL for no bound; it counts for this day as a whole.
CREATE FUNCTION money.set_limit(w money.wallet, daily_limit bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t bigint := greatest(money.now_s(), w.as_of);
BEGIN
    IF daily_limit <= 0 THEN
        RAISE EXCEPTION 'a spend limit is a positive amount for a day' USING ERRCODE = 'MO020';
    END IF;
    w := money.advance(w, t);
    w.limit_picos_per_day := daily_limit;
    w.reached_until := NULL;
    PERFORM money.decide(money.apply_budgets(w, t), t);
    PERFORM money.announce(w, 'SpendLimit');
END $$;

-- Sets what an agent may spend in a day, NULL for no bound; it counts for this day as a whole.
CREATE FUNCTION money.set_budget(epoch bigint, agent uuid, picos_per_day bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w money.wallet;
    t bigint;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    IF picos_per_day <= 0 THEN
        RAISE EXCEPTION 'a budget is a positive amount for a day' USING ERRCODE = 'MO020';
    END IF;
    w := money.lock_wallet((SELECT a.wallet_id FROM moorage.agent a WHERE a.uid = agent));
    IF w.id IS NULL THEN
        RAISE EXCEPTION 'this agent has no wallet' USING ERRCODE = 'MO002';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM moorage.agent a
                   WHERE a.uid = agent AND a.budget_picos_per_day IS DISTINCT FROM picos_per_day) THEN
        RETURN;
    END IF;
    t := greatest(money.now_s(), w.as_of);
    w := money.advance(w, t);
    UPDATE moorage.agent a SET budget_picos_per_day = picos_per_day, reached_until = NULL WHERE a.uid = agent;
    PERFORM money.decide(money.apply_budgets(w, t), t);
END $$;
