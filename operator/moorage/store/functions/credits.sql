-- Credit that was given: it is used up before bought credit, the earliest to expire first, and what is left expires.

-- What is left of each credit of a wallet, by the entry that brought it; `expires_at` is NULL for what was bought.
CREATE FUNCTION money.credit_left(wallet bigint)
RETURNS TABLE (credit_seq bigint, expires_at bigint, left_micros bigint) LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    SELECT e.seq, g.expires_at,
           CASE e.kind WHEN 'TopUp' THEN p.granted_micros - p.reversed_micros - p.disputed_micros
                       ELSE e.amount_micros - coalesce(g.expired_micros, 0) END - coalesce(c.used, 0)
    FROM money.entry e
    LEFT JOIN money.credit_grant g ON g.wallet_id = wallet AND g.entry_seq = e.seq
    LEFT JOIN money.payment p ON e.kind = 'TopUp' AND p.source = split_part(e.key, '/', 1)
        AND p.obj_id = regexp_replace(e.key, '^[^/]+/(.*)/[0-9]+$', '\1')
    LEFT JOIN LATERAL (SELECT sum(x.amount_micros)::bigint AS used FROM money.consumption x
                       WHERE x.wallet_id = wallet AND x.credit_seq = e.seq) c ON true
    WHERE e.wallet_id = wallet AND e.amount_micros > 0
      AND e.kind IN ('Grant', 'TopUp', 'Promo', 'Plan', 'Manual', 'Merge');
END $$;

-- Records which credit paid for what the locked wallet has spent since the last time.
CREATE FUNCTION money.consume(w money.wallet) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    head   money.consumption_head;
    spent  bigint;
    credit record;
BEGIN
    SELECT * INTO head FROM money.consumption_head h WHERE h.wallet_id = w.id;
    IF head.upto_seq = w.seq THEN
        RETURN;
    END IF;
    SELECT coalesce(head.pending_micros, 0) - coalesce(sum(e.amount_micros), 0) INTO spent FROM money.entry e
    WHERE e.wallet_id = w.id AND e.seq > coalesce(head.upto_seq, 0)
      AND e.kind IN ('Usage', 'Correction', 'Model', 'Domain');
    FOR credit IN SELECT * FROM money.credit_left(w.id) l WHERE l.left_micros > 0
                  ORDER BY l.expires_at NULLS LAST, l.credit_seq LOOP
        EXIT WHEN spent <= 0;
        INSERT INTO money.consumption (wallet_id, upto_seq, credit_seq, amount_micros)
        VALUES (w.id, w.seq, credit.credit_seq, least(spent, credit.left_micros));
        spent := spent - least(spent, credit.left_micros);
    END LOOP;
    INSERT INTO money.consumption_head (wallet_id, upto_seq, pending_micros) VALUES (w.id, w.seq, spent)
    ON CONFLICT (wallet_id) DO UPDATE SET upto_seq = excluded.upto_seq, pending_micros = excluded.pending_micros;
END $$;

-- Wallets after `after_wallet` whose spending is not recorded yet; returns the last one looked at, NULL at the end.
CREATE FUNCTION money.record_consumption(after_wallet bigint, wallets_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    ids bigint[] := ARRAY(
        SELECT w.id FROM money.wallet w LEFT JOIN money.consumption_head h ON h.wallet_id = w.id
        WHERE w.id > after_wallet AND w.seq > coalesce(h.upto_seq, 0) ORDER BY w.id LIMIT wallets_max);
    one bigint;
BEGIN
    FOREACH one IN ARRAY ids LOOP
        PERFORM money.consume(money.lock_wallet(one));
    END LOOP;
    RETURN ids[cardinality(ids)];
END $$;

-- Gives credit that expires, once per campaign (or plan and period) and wallet.
CREATE FUNCTION money.give_credit(
    wallet_name text, grant_kind text, campaign text, amount bigint, expires bigint, why text, who text,
    OUT balance_micros bigint, OUT repeated boolean, OUT standing text, OUT missing_micros bigint, OUT resumed integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w    money.wallet;
    t    bigint;
    seen money.credit_grant;
BEGIN
    w := money.lock_wallet((SELECT x.id FROM money.wallet x WHERE x.name = wallet_name AND x.closed_at IS NULL));
    IF w.id IS NULL OR w.closed_at IS NOT NULL THEN
        RAISE EXCEPTION 'there is no wallet of this name' USING ERRCODE = 'MO002';
    END IF;
    SELECT * INTO seen FROM money.credit_grant g
    WHERE g.kind = grant_kind AND g.campaign = give_credit.campaign AND g.wallet_id = w.id;
    repeated := seen.id IS NOT NULL;
    resumed := 0;
    IF repeated AND seen.amount_micros <> amount THEN
        RAISE EXCEPTION 'this wallet had another amount from this campaign' USING ERRCODE = 'MO004';
    ELSIF NOT repeated THEN
        t := greatest(money.now_s(), w.as_of);
        IF amount IS NULL OR amount NOT BETWEEN 1 AND 9000000000000 - greatest(w.balance_micros, 0) THEN
            RAISE EXCEPTION 'a wallet holds at most 9000000 credits' USING ERRCODE = 'MO003';
        ELSIF expires IS NULL OR expires <= t THEN
            RAISE EXCEPTION 'credit that is given expires later than now' USING ERRCODE = 'MO003';
        END IF;
        -- What was spent before is not paid by this credit.
        w := money.decide(money.advance(w, t), t);
        PERFORM money.consume(w);
        w := money.post(w, CASE grant_kind WHEN 'Promo' THEN -10 ELSE -11 END, amount, grant_kind,
                        format('%s/%s/%s', grant_kind, campaign, w.id), t, why, who);
        INSERT INTO money.credit_grant (wallet_id, kind, campaign, entry_seq, amount_micros, granted_at, expires_at)
        VALUES (w.id, grant_kind, campaign, w.seq, amount, t, expires);
        SELECT c.resumed INTO resumed FROM money.conclude(w, t) c;
        w := money.lock_wallet(w.id);
    END IF;
    balance_micros := w.balance_micros;
    standing := w.standing;
    missing_micros := money.missing(w);
END $$;

-- Takes back what is left of one grant that is over. What is reserved just now is let go: it is being spent.
CREATE FUNCTION money.expire_grant(g money.credit_grant) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    w    money.wallet := money.lock_wallet(g.wallet_id);
    t    bigint := greatest(money.now_s(), w.as_of);
    gone bigint;
BEGIN
    w := money.decide(money.advance(w, t), t);
    PERFORM money.consume(w);
    SELECT greatest(0, least(l.left_micros, w.balance_micros - w.held_micros)) INTO gone
    FROM money.credit_left(w.id) l WHERE l.credit_seq = g.entry_seq;
    UPDATE money.credit_grant x SET expired_micros = gone WHERE x.id = g.id AND x.expired_micros IS NULL;
    IF FOUND AND gone > 0 THEN
        w := money.post(w, CASE g.kind WHEN 'Promo' THEN -10 ELSE -11 END, -gone, 'Expiry', 'Expiry/' || g.id, t);
        PERFORM money.announce(money.decide(w, t), 'Balance');
    END IF;
END $$;

-- Ends what has expired, up to `grants_max` of it; returns how many grants that were.
CREATE FUNCTION money.expire_credit(grants_max integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    over  money.credit_grant;
    ended integer := 0;
BEGIN
    FOR over IN SELECT * FROM (
                    SELECT g.* FROM money.credit_grant g
                    WHERE g.expired_micros IS NULL AND g.expires_at <= (SELECT money.now_s())
                    ORDER BY g.expires_at LIMIT grants_max) due
                ORDER BY due.wallet_id, due.expires_at, due.id LOOP
        PERFORM money.expire_grant(over);
        ended := ended + 1;
    END LOOP;
    RETURN ended;
END $$;
