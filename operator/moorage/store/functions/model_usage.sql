-- Model usage: a row per request, charged in batches against leases. The sum is taken from the rows that this call
-- inserted, so a request that is reported twice is charged once.

-- Records one request; its price in pico-credits, NULL when it was recorded before.
CREATE FUNCTION money.record_one(finished money.request, wallet bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    picos bigint;
BEGIN
    INSERT INTO money.usage (id, lease_id, wallet_id, agent_uid, model, input_tokens, cached_tokens, output_tokens,
                             input_picos, cached_picos, output_picos)
    SELECT finished.id, NULL, wallet, finished.agent_uid, finished.model, finished.input_tokens,
           finished.cached_tokens, finished.output_tokens, finished.input_picos, finished.cached_picos,
           finished.output_picos
    ON CONFLICT DO NOTHING RETURNING amount_picos INTO picos;
    RETURN picos;
END $$;

-- What was spent brings a wallet below its mark sooner than its timer knows. The timer goes well ahead, since whoever
-- spends moves it again and again; with runs that wait it is due at once.
CREATE FUNCTION money.mind_marks(leases uuid[], t bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH below AS (
        SELECT w.id, CASE WHEN w.waiting > 0 THEN t ELSE w.as_of
                   + ((w.balance_micros - w.low_micros) * 1000000 - w.carry_picos) / nullif(w.burn_picos, 0) END AS second
        FROM money.wallet w
        WHERE w.id IN (SELECT l.wallet_id FROM money.lease l WHERE l.id = ANY (leases))
          AND w.standing = 'Funded' AND w.low_micros > 0
    ), sooner AS (
        UPDATE money.wallet w
        SET due_at = CASE WHEN b.second - t > 15 THEN t + (b.second - t) * 9 / 10 ELSE b.second END
        FROM below b WHERE w.id = b.id AND b.second < w.due_at RETURNING w.id, w.due_at
    )
    UPDATE money.timer m SET due_at = s.due_at FROM sooner s WHERE m.wallet_id = s.id;
END $$;

-- Records a batch and charges the leases; returns, for the wallets whose row could not simply follow, what they owe.
-- An open lease of a covered wallet pays up to its grant. A wallet is covered unless a refund took what was set aside.
CREATE FUNCTION money.charge_leases(
    requests money.request[], t bigint, OUT wallets bigint[], OUT owed_micros bigint[], OUT over_leases uuid[],
    OUT over_picos bigint[]
) LANGUAGE plpgsql AS $$
BEGIN
    WITH inserted AS (
        INSERT INTO money.usage (id, lease_id, wallet_id, agent_uid, model, input_tokens, cached_tokens,
                                 output_tokens, input_picos, cached_picos, output_picos)
        SELECT r.id, r.lease_id, l.wallet_id, r.agent_uid, r.model, r.input_tokens, r.cached_tokens, r.output_tokens,
               r.input_picos, r.cached_picos, r.output_picos
        FROM unnest(requests) r JOIN money.lease l ON l.id = r.lease_id ORDER BY r.id
        ON CONFLICT DO NOTHING RETURNING lease_id, wallet_id, agent_uid, amount_picos
    ), spent AS (
        INSERT INTO money.day_spend AS d (wallet_id, day, agent_uid, picos)
        SELECT s.wallet_id, t - mod(t, 86400), s.agent_uid, s.picos
        FROM (SELECT wallet_id, agent_uid, sum(amount_picos)::bigint AS picos FROM inserted GROUP BY 1, 2) s
        JOIN money.wallet w ON w.id = s.wallet_id WHERE money.has_budgets(w) ORDER BY s.wallet_id, s.agent_uid
        ON CONFLICT (wallet_id, day, agent_uid) DO UPDATE SET picos = d.picos + excluded.picos
    ), owed AS (
        SELECT l.id, l.wallet_id, l.spent_picos AS before, s.picos, least(s.picos, CASE
            WHEN l.state = 'Open' AND w.balance_micros >= w.held_micros
            THEN l.granted_micros * 1000000 - l.spent_picos ELSE 0 END)::bigint AS paid
        FROM (SELECT lease_id, sum(amount_picos) AS picos FROM inserted GROUP BY 1) s
        JOIN money.lease l ON l.id = s.lease_id JOIN money.wallet w ON w.id = l.wallet_id
    ), leases AS (
        UPDATE money.lease l SET spent_picos = o.before + o.paid, expires_at = money.lease_end_s(t)
        FROM owed o WHERE l.id = o.id AND l.state = 'Open'
    ), charged AS (
        SELECT wallet_id, sum((before + paid) / 1000000 - before / 1000000)::bigint AS micros,
               bool_or(picos > paid) AS over FROM owed GROUP BY wallet_id
    ), followed AS (
        UPDATE money.wallet w SET
            balance_micros = w.balance_micros - c.micros, held_micros = w.held_micros - c.micros,
            seq = w.seq + (c.micros > 0)::integer
        FROM charged c
        WHERE w.id = c.wallet_id AND NOT c.over AND NOT money.has_budgets(w) AND w.balance_micros - c.micros
              >= CASE w.standing WHEN 'Funded' THEN greatest(w.low_micros, 1) ELSE 1 END
        RETURNING w.id, w.seq, w.balance_micros, c.micros
    ), posted AS (
        INSERT INTO money.entry (wallet_id, seq, contra, amount_micros, balance_after_micros, kind, effective_at)
        SELECT id, seq, -6, -micros, balance_micros, 'Model', t FROM followed WHERE micros > 0
    ), rest AS (
        SELECT wallet_id, micros FROM charged WHERE wallet_id NOT IN (SELECT id FROM followed)
    )
    SELECT (SELECT array_agg(wallet_id ORDER BY wallet_id) FROM rest),
           (SELECT array_agg(micros ORDER BY wallet_id) FROM rest),
           (SELECT array_agg(id ORDER BY id) FROM owed WHERE picos > paid),
           (SELECT array_agg((picos - paid)::bigint ORDER BY id) FROM owed WHERE picos > paid)
    INTO wallets, owed_micros, over_leases, over_picos;
END $$;

-- What a lease could not pay: too much for an open one is the platform's; an ended one is late, and its wallet pays
-- what it can.
CREATE FUNCTION money.charge_over(w money.wallet, lease uuid, picos bigint, t bigint)
RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    l    money.lease;
    paid bigint := 0;
BEGIN
    SELECT * INTO l FROM money.lease x WHERE x.id = lease;
    IF l.state = 'Open' AND w.balance_micros < w.held_micros THEN
        w := money.end_lease(w, l, 'Expired', t);
    END IF;
    SELECT * INTO l FROM money.lease x WHERE x.id = lease;
    IF l.state <> 'Open' THEN
        paid := least(picos, money.payable_picos(w));
        w := money.post_usage(w, paid, 'Model', NULL, t, -6);
    END IF;
    PERFORM money.absorb_model(picos - paid, l.id);
    UPDATE money.lease x SET late_picos = x.late_picos + paid, absorbed_picos = x.absorbed_picos + picos - paid
    WHERE x.id = lease;
    RETURN w;
END $$;

-- Reports finished requests of this gateway's leases, at most 1,000; answers each lease as it stands now.
CREATE FUNCTION money.lease_flush(gateway_name text, epoch bigint, requests money.request[])
RETURNS TABLE (lease_id uuid, granted_micros bigint, spent_picos bigint, state text, standing text, asked_back boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
#variable_conflict use_column
DECLARE
    leases uuid[] := ARRAY(SELECT DISTINCT r.lease_id FROM unnest(requests) r ORDER BY r.lease_id);
    t      bigint;
    rest   record;
    w      money.wallet;
    owes   record;
BEGIN
    PERFORM money.require_gateway(gateway_name, epoch);
    IF cardinality(requests) > 1000 THEN
        RAISE EXCEPTION 'a report has at most 1000 requests' USING ERRCODE = 'MO033';
    END IF;
    PERFORM 1 FROM money.lease l WHERE l.id = ANY (leases) AND l.gateway = gateway_name ORDER BY l.id
    FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM money.lease l WHERE l.id = ANY (leases) AND l.gateway = gateway_name)
       < cardinality(leases) THEN
        RAISE EXCEPTION 'this gateway has no such lease' USING ERRCODE = 'MO031';
    END IF;
    PERFORM 1 FROM money.wallet x WHERE x.id IN (SELECT l.wallet_id FROM money.lease l WHERE l.id = ANY (leases))
    ORDER BY x.id FOR NO KEY UPDATE;
    t := money.now_s();
    -- Seconds that burned before these requests were reported come before them in a day's budget.
    PERFORM money.settle_each(ARRAY(
        SELECT x.id FROM money.wallet x
        WHERE x.id IN (SELECT l.wallet_id FROM money.lease l WHERE l.id = ANY (leases)) AND money.has_budgets(x)
        ORDER BY x.id));
    rest := money.charge_leases(requests, t);
    FOR owes IN SELECT * FROM unnest(rest.wallets, rest.owed_micros) o (wallet_id, micros) LOOP
        SELECT * INTO w FROM money.wallet x WHERE x.id = owes.wallet_id;
        t := greatest(t, w.as_of);
        w := money.follow_leases(w, owes.micros, rest.over_leases, rest.over_picos, t);
    END LOOP;
    PERFORM money.mind_marks(leases, t);
    RETURN QUERY SELECT l.id, l.granted_micros, l.spent_picos, l.state, x.standing,
                        x.reclaim_at IS NOT NULL OR x.reached_until IS NOT NULL
                 FROM money.lease l JOIN money.wallet x ON x.id = l.wallet_id WHERE l.id = ANY (leases) ORDER BY l.id;
END $$;

-- The exact path for one wallet of a batch: what its leases paid, then what they could not pay, then the consequences.
CREATE FUNCTION money.follow_leases(w money.wallet, micros bigint, over_leases uuid[], over_picos bigint[], t bigint)
RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    over record;
BEGIN
    w := money.advance(w, t);
    IF micros > 0 THEN
        w.held_micros := w.held_micros - micros;
        w := money.post(w, -6, -micros, 'Model', NULL, t);
    END IF;
    FOR over IN SELECT o.lease, o.picos FROM unnest(over_leases, over_picos) o (lease, picos)
                JOIN money.lease l ON l.id = o.lease WHERE l.wallet_id = w.id ORDER BY o.lease LOOP
        w := money.charge_over(w, over.lease, over.picos, t);
    END LOOP;
    RETURN money.decide(w, t);
END $$;

-- Makes the partitions of today and the days after it; one that cannot be made, because rows of its day already lie
-- in the partition for everything else, is left to that. Returns how many were made.
CREATE FUNCTION money.prepare_usage_days(epoch bigint, ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    today bigint := money.now_s() / 86400;
    name  text;
    made  integer := 0;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    FOR day IN today .. today + ahead LOOP
        name := 'usage_' || to_char(to_timestamp(day * 86400) AT TIME ZONE 'UTC', 'YYYYMMDD');
        CONTINUE WHEN to_regclass('money.' || name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE money.%I (LIKE money.usage INCLUDING ALL)', name);
            EXECUTE format('ALTER TABLE money.usage ATTACH PARTITION money.%I FOR VALUES FROM (%L) TO (%L)', name,
                           money.first_id(day), money.first_id(day + 1));
            EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON money.%I '
                           'FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_change()', name);
            made := made + 1;
        EXCEPTION WHEN check_violation THEN NULL;
        END;
    END LOOP;
    RETURN made;
END $$;

-- The smallest UUIDv7 of a day: its first 48 bits are milliseconds.
CREATE FUNCTION money.first_id(day bigint) RETURNS uuid LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (rpad(lpad(to_hex(day * 86400000), 12, '0'), 32, '0'))::uuid;
END $$;
