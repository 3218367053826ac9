-- What people change by hand: balances, and the end of a wallet. Each is written into the audit.

CREATE FUNCTION money.note_action(who text, what text, about text, why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO money.audit (actor, action, subject, reason) VALUES (who, what, about, why);
END $$;

-- Asks for a correction; nothing is booked before somebody else agrees.
CREATE FUNCTION money.request_correction(
    wallet_name text, amount bigint, request_key text, why text, who text, OUT correction_id bigint, OUT repeated boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    whose bigint := (SELECT x.id FROM money.wallet x WHERE x.name = wallet_name AND x.closed_at IS NULL);
    c     money.correction;
BEGIN
    IF whose IS NULL THEN
        RAISE EXCEPTION 'there is no wallet of this name' USING ERRCODE = 'MO002';
    ELSIF amount IS NULL OR amount = 0 OR abs(amount) > 9000000000000 THEN
        RAISE EXCEPTION 'a correction is an amount other than 0 of at most 9000000 credits' USING ERRCODE = 'MO003';
    END IF;
    INSERT INTO money.correction (key, wallet_id, amount_micros, reason, requested_by, requested_at)
    VALUES (request_key, whose, amount, why, who, money.now_s()) ON CONFLICT (key) DO NOTHING RETURNING * INTO c;
    repeated := c.id IS NULL;
    IF repeated THEN
        SELECT * INTO c FROM money.correction x WHERE x.key = request_key;
        IF (c.wallet_id, c.amount_micros) <> (whose, amount) THEN
            RAISE EXCEPTION 'this key was used for another correction' USING ERRCODE = 'MO004';
        END IF;
    ELSE
        PERFORM money.note_action(who, 'RequestCorrection', 'correction/' || c.id, why);
    END IF;
    correction_id := c.id;
END $$;

-- The second person agrees, and it is booked. Agreeing again changes nothing.
CREATE FUNCTION money.approve_correction(
    wanted bigint, who text, OUT wallet_name text, OUT amount_micros bigint, OUT balance_micros bigint,
    OUT standing text, OUT repeated boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    c money.correction;
    w money.wallet;
    t bigint;
BEGIN
    PERFORM 1 FROM money.correction x WHERE x.id = wanted FOR NO KEY UPDATE;
    SELECT * INTO c FROM money.correction x WHERE x.id = wanted;
    IF c.id IS NULL THEN
        RAISE EXCEPTION 'there is no such correction' USING ERRCODE = 'MO042';
    ELSIF c.requested_by = who THEN
        RAISE EXCEPTION 'whoever asked for a correction cannot approve it' USING ERRCODE = 'MO042';
    END IF;
    w := money.lock_wallet(c.wallet_id);
    repeated := c.approved_at IS NOT NULL;
    IF NOT repeated THEN
        IF w.closed_at IS NOT NULL THEN
            RAISE EXCEPTION 'the wallet of this correction is closed' USING ERRCODE = 'MO040';
        ELSIF abs(w.balance_micros + c.amount_micros) > 9000000000000 THEN
            RAISE EXCEPTION 'a wallet holds at most 9000000 credits' USING ERRCODE = 'MO003';
        END IF;
        t := greatest(money.now_s(), w.as_of);
        w := money.decide(money.advance(w, t), t);
        w := money.post(w, -16, c.amount_micros, 'Manual', 'Manual/' || c.id, t, c.reason, c.requested_by || ' + ' || who);
        PERFORM money.conclude(w, t);
        UPDATE money.correction x SET approved_by = who, approved_at = t WHERE x.id = c.id;
        PERFORM money.note_action(who, 'ApproveCorrection', 'correction/' || c.id, c.reason);
        w := money.lock_wallet(w.id);
    END IF;
    wallet_name := w.name;
    amount_micros := c.amount_micros;
    balance_micros := w.balance_micros;
    standing := w.standing;
END $$;

-- Why a locked wallet cannot end now; NULL when it can.
CREATE FUNCTION money.keeps_open(w money.wallet) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE
        WHEN w.on_hold THEN 'the wallet is on hold'
        WHEN w.held_micros > 0 THEN 'credit of the wallet is reserved'
        WHEN EXISTS (SELECT 1 FROM money.run r WHERE r.wallet_id = w.id AND r.ended IS NULL)
        THEN 'something of the wallet is still running; suspend its agents first'
    END;
END $$;

-- Ends a wallet that nobody uses and that holds nothing; its history stays, and so does what is below a micro-credit.
CREATE FUNCTION money.close_wallet(wallet_name text, why text, who text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w money.wallet := money.lock_wallet(
        (SELECT x.id FROM money.wallet x WHERE x.name = wallet_name AND x.closed_at IS NULL));
    hindrance text := money.keeps_open(w);
BEGIN
    IF w.id IS NULL OR w.closed_at IS NOT NULL THEN
        RAISE EXCEPTION 'there is no wallet of this name' USING ERRCODE = 'MO002';
    ELSIF hindrance IS NOT NULL THEN
        RAISE EXCEPTION '%', hindrance USING ERRCODE = 'MO041';
    ELSIF w.balance_micros <> 0 THEN
        RAISE EXCEPTION 'the wallet is not empty; correct its balance to nothing first' USING ERRCODE = 'MO041';
    ELSIF EXISTS (SELECT 1 FROM moorage.tenant n WHERE n.wallet_id = w.id AND n.removed_at IS NULL) THEN
        RAISE EXCEPTION 'a tenant pays from this wallet; delete its Namespace first' USING ERRCODE = 'MO041';
    END IF;
    UPDATE money.wallet SET closed_at = to_timestamp(money.clock()) WHERE id = w.id;
    PERFORM money.note_action(who, 'CloseWallet', 'wallet/' || w.id, why);
    PERFORM money.announce(w);
END $$;

-- Makes two wallets one: credit, tenants and agents of the first become the second's, and it is closed.
CREATE FUNCTION money.merge_wallets(
    from_name text, into_name text, why text, who text, OUT moved_micros bigint, OUT balance_micros bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    a  money.wallet;
    b  money.wallet;
    t  bigint;
    hindrance text;
BEGIN
    PERFORM 1 FROM money.wallet x WHERE x.name IN (from_name, into_name) AND x.closed_at IS NULL
    ORDER BY x.id FOR NO KEY UPDATE;
    SELECT * INTO a FROM money.wallet x WHERE x.name = from_name AND x.closed_at IS NULL;
    SELECT * INTO b FROM money.wallet x WHERE x.name = into_name AND x.closed_at IS NULL;
    a := money.free_months(a);
    hindrance := coalesce(money.keeps_open(a), CASE WHEN a.id = b.id THEN 'a wallet cannot be merged with itself' END);
    IF a.id IS NULL OR b.id IS NULL THEN
        RAISE EXCEPTION 'there is no wallet of this name' USING ERRCODE = 'MO002';
    ELSIF hindrance IS NOT NULL THEN
        RAISE EXCEPTION '%', hindrance USING ERRCODE = 'MO044';
    END IF;
    t := greatest(money.now_s(), a.as_of, b.as_of);
    b := money.decide(money.advance(b, t), t);
    IF b.balance_micros + a.balance_micros NOT BETWEEN 0 AND 9000000000000 THEN
        RAISE EXCEPTION 'the two balances cannot become one' USING ERRCODE = 'MO044';
    END IF;
    moved_micros := a.balance_micros;
    IF moved_micros <> 0 THEN
        a := money.post(a, -14, -moved_micros, 'Merge', format('Merge/%s/out', a.id), t, why, who);
        b := money.post(b, -14, moved_micros, 'Merge', format('Merge/%s/in', a.id), t, why, who);
    END IF;
    PERFORM money.decide(a, t);
    UPDATE money.wallet SET closed_at = to_timestamp(money.clock()), merged_into = b.id WHERE id = a.id;
    UPDATE moorage.tenant n SET wallet_id = b.id WHERE n.wallet_id = a.id;
    UPDATE moorage.agent g SET wallet_id = b.id WHERE g.wallet_id = a.id;
    PERFORM money.conclude(b, t);
    PERFORM money.veto_agents(x) FROM money.wallet x WHERE x.id = b.id;
    PERFORM money.note_action(who, 'MergeWallets', format('wallet/%s', a.id), why);
    balance_micros := b.balance_micros;
END $$;
