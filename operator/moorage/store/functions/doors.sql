-- The ledger's doors: one call is one transaction, repeatable by its key. Wallets are locked in a statement of their
-- own; only the next statement's snapshot shows what the previous holder of the lock has done.

CREATE FUNCTION money.zero_at(wallet_id bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(w.cut_at, money.predicted_zero(w)) FROM money.wallet w WHERE w.id = zero_at.wallet_id);
END $$;

CREATE FUNCTION money.missing_micros(wallet_id bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    RETURN (SELECT money.missing(w) FROM money.wallet w WHERE w.id = missing_micros.wallet_id);
END $$;

-- What is really left at this moment: booked balance minus what has accrued since, never below zero through usage.
CREATE FUNCTION money.accrued_balance_micros(wallet_id bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w     money.wallet;
    until bigint;
BEGIN
    SELECT * INTO w FROM money.wallet x WHERE x.id = accrued_balance_micros.wallet_id;
    until := least(money.now_s(), w.cut_at, money.predicted_zero(w));
    IF until <= w.as_of OR w.burn_picos = 0 THEN
        RETURN w.balance_micros;
    END IF;
    RETURN w.balance_micros - (w.carry_picos + w.burn_picos * (until - w.as_of)) / 1000000;
END $$;

-- What of the money keeps this agent down at this moment; its row may not know it yet.
CREATE FUNCTION money.veto(agent uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    RETURN (SELECT money.veto_of(w, a) FROM moorage.agent a JOIN money.wallet w ON w.id = a.wallet_id
            WHERE a.uid = agent);
END $$;

-- Whether a low wallet is low because it will soon be empty; its balance alone may be above its mark.
CREATE FUNCTION money.low_by_runway(wallet_id bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    RETURN (SELECT w.standing = 'Low' AND coalesce(
                w.zero_at - money.now_s() <= p.low_runway_seconds + (p.low_runway_seconds + 9) / 10, false)
            FROM money.wallet w CROSS JOIN money.policy p WHERE w.id = low_by_runway.wallet_id);
END $$;

CREATE FUNCTION money.set_policy(resume_minimum bigint, catchup_max bigint, silent_after bigint, low_runway bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    low_before bigint := (SELECT low_runway_seconds FROM money.policy);
BEGIN
    UPDATE money.policy SET
        resume_minimum_seconds = coalesce(resume_minimum, resume_minimum_seconds),
        catchup_max_seconds = coalesce(catchup_max, catchup_max_seconds),
        silent_after_seconds = coalesce(silent_after, silent_after_seconds),
        low_runway_seconds = coalesce(low_runway, low_runway_seconds);
    IF low_runway <> low_before THEN
        PERFORM money.look_soon(ARRAY(SELECT w.id FROM money.wallet w WHERE w.low_micros > 0));
    END IF;
END $$;

CREATE FUNCTION money.ensure_wallet(epoch bigint, wallet_name text, cr uuid, low bigint, daily_limit bigint)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w money.wallet;
    t bigint;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    t := money.now_s();
    -- A wallet without credit is exhausted from its first second.
    INSERT INTO money.wallet (name, cr_uid, as_of, standing, cut_at, low_micros)
    VALUES (wallet_name, cr, t, 'Exhausted', t, low)
    ON CONFLICT (name) WHERE closed_at IS NULL DO NOTHING;
    PERFORM 1 FROM money.wallet x WHERE x.name = wallet_name AND x.closed_at IS NULL FOR NO KEY UPDATE;
    SELECT * INTO w FROM money.wallet x WHERE x.name = wallet_name AND x.closed_at IS NULL;
    IF w.cr_uid IS DISTINCT FROM cr THEN
        UPDATE money.wallet SET cr_uid = cr WHERE id = w.id;
    END IF;
    IF w.low_micros <> low THEN
        w.low_micros := low;
        w := money.decide(w, greatest(money.now_s(), w.as_of));
    END IF;
    IF w.limit_picos_per_day IS DISTINCT FROM daily_limit THEN
        PERFORM money.set_limit(w, daily_limit);
    END IF;
    RETURN w.id;
END $$;

CREATE FUNCTION money.grant_credit(
    wallet_name text, amount bigint, grant_key text, grant_reason text, grant_actor text,
    OUT balance_micros bigint, OUT repeated boolean, OUT standing text, OUT missing_micros bigint, OUT resumed integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w    money.wallet;
    t    bigint;
    seen money.entry;
    back record;
BEGIN
    IF amount IS NULL OR amount <= 0 OR amount > 9000000000000 THEN
        RAISE EXCEPTION 'a grant is a positive amount of at most 9000000 credits' USING ERRCODE = 'MO003';
    END IF;
    IF split_part(grant_key, '/', 1) IN ('Stripe', 'Tribute', 'Chain', 'Promo', 'Plan', 'Expiry', 'Manual', 'Merge',
                                     'Domain') THEN
        RAISE EXCEPTION 'a key of this form belongs to the ledger itself' USING ERRCODE = 'MO004';
    END IF;
    -- The key is locked before the wallet: two grants with one key wait for each other, whichever wallets they name.
    PERFORM pg_advisory_xact_lock(hashtextextended(grant_key, 7400001));
    PERFORM 1 FROM money.wallet x WHERE x.name = wallet_name AND x.closed_at IS NULL FOR NO KEY UPDATE;
    SELECT * INTO w FROM money.wallet x WHERE x.name = wallet_name AND x.closed_at IS NULL;
    IF w.id IS NULL THEN
        RAISE EXCEPTION 'there is no wallet of this name' USING ERRCODE = 'MO002';
    END IF;
    SELECT * INTO seen FROM money.entry e WHERE e.key = grant_key;
    repeated := seen.key IS NOT NULL;
    IF repeated AND (seen.wallet_id <> w.id OR seen.amount_micros <> amount) THEN
        RAISE EXCEPTION 'this key was used for another grant' USING ERRCODE = 'MO004';
    END IF;
    resumed := 0;
    IF NOT repeated THEN
        t := greatest(money.now_s(), w.as_of);
        -- What is owed until now is settled first, so that old seconds do not eat new credit.
        w := money.decide(money.advance(w, t), t);
        IF w.balance_micros + amount > 9000000000000 THEN
            RAISE EXCEPTION 'a wallet holds at most 9000000 credits' USING ERRCODE = 'MO003';
        END IF;
        w := money.post(w, -1, amount, 'Grant', grant_key, t, grant_reason, grant_actor);
        back := money.conclude(w, t);
        w := back.concluded;
        resumed := back.resumed;
    END IF;
    balance_micros := w.balance_micros;
    standing := w.standing;
    missing_micros := money.missing(w);
END $$;

CREATE FUNCTION money.open_run(
    epoch bigint, for_agent uuid, pod uuid, container text, on_node text, wanted_size text, started_s bigint
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w       money.wallet;
    t       bigint;
    price   money.rate;
    older   money.run;
    begins  bigint;
    last_of bigint;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    PERFORM 1 FROM money.wallet x WHERE x.id = (SELECT a.wallet_id FROM moorage.agent a WHERE a.uid = for_agent)
    FOR NO KEY UPDATE;
    -- Locked again, because the agent's wallet may have been merged into another one meanwhile.
    SELECT x.* INTO w FROM money.wallet x JOIN moorage.agent a ON a.wallet_id = x.id WHERE a.uid = for_agent
    FOR NO KEY UPDATE OF x;
    IF w.id IS NULL THEN
        RAISE EXCEPTION 'this agent has no wallet' USING ERRCODE = 'MO002';
    END IF;
    IF EXISTS (SELECT 1 FROM money.run r WHERE r.pod_uid = pod AND r.container_id = container) THEN
        RETURN;
    END IF;
    IF money.current_rate('Pod', wanted_size) IS NULL THEN
        RAISE EXCEPTION 'there is no price for this size' USING ERRCODE = 'MO005';
    END IF;
    t := greatest(money.now_s(), w.as_of);
    begins := least(started_s, t);
    w := money.advance(w, t);
    SELECT * INTO older FROM money.run r WHERE r.agent_uid = for_agent AND r.meter = 'Pod' AND r.ended IS NULL;
    IF older.id IS NOT NULL THEN
        -- An agent has one incarnation at a time: the new container proves that the old one is over, not that it ran
        -- until then.
        w := money.finish_run(w, older, begins, 'Replaced', 0);
    END IF;
    SELECT max(r.ended) INTO last_of FROM money.run r
    WHERE r.agent_uid = for_agent AND r.meter = 'Pod' AND r.ended IS NOT NULL;
    begins := greatest(begins, last_of);
    price := money.rate_at('Pod', wanted_size, begins);
    INSERT INTO money.node (name, seen_at) VALUES (on_node, t) ON CONFLICT DO NOTHING;
    INSERT INTO money.run
        (wallet_id, agent_uid, pod_uid, container_id, node, rate_id, rate_picos, started, cursor, lined_to, cut_at)
    VALUES (w.id, for_agent, pod, container, on_node, price.id, price.rate_picos, begins, begins, begins,
            CASE WHEN money.is_spent_out(w, for_agent) THEN begins END);
    w.waiting := w.waiting + 1;
    PERFORM money.decide(money.advance(w, t), t);
    UPDATE moorage.agent SET pod_uid = pod WHERE uid = for_agent;
END $$;

CREATE FUNCTION money.close_run(epoch bigint, pod uuid, ended_s bigint, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w money.wallet;
    t bigint;
    r money.run;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    PERFORM 1 FROM money.wallet x
    WHERE x.id = (SELECT o.wallet_id FROM money.run o WHERE o.pod_uid = pod AND o.ended IS NULL) FOR NO KEY UPDATE;
    SELECT * INTO r FROM money.run o WHERE o.pod_uid = pod AND o.ended IS NULL;
    IF r.id IS NOT NULL THEN
        SELECT * INTO w FROM money.wallet x WHERE x.id = r.wallet_id;
        t := greatest(money.now_s(), w.as_of);
        w := money.decide(money.advance(w, t), t);
        SELECT * INTO r FROM money.run o WHERE o.id = r.id;  -- it may have joined
        -- Without evidence of its end, a run ends where the proof of its node ends.
        ended_s := least(t, coalesce(ended_s, (SELECT n.proven FROM money.node n WHERE n.name = r.node)));
        PERFORM money.decide(money.finish_run(w, r, ended_s, reason), t);
    END IF;
    UPDATE moorage.agent SET pod_uid = NULL
    WHERE uid = (SELECT o.agent_uid FROM money.run o WHERE o.pod_uid = pod LIMIT 1) AND pod_uid = pod;
END $$;
