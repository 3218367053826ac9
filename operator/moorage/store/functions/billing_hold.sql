-- The billing hold: a wallet whose payments are in question spends nothing and loses nothing until it is lifted.
-- It is a cut like that of zero, only that credit does not end it.

-- Locks one wallet and reads it as the previous holder of the lock left it; the row is null when there is none.
CREATE FUNCTION money.lock_wallet(wallet bigint) RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    w money.wallet;
BEGIN
    PERFORM 1 FROM money.wallet x WHERE x.id = wallet FOR NO KEY UPDATE;
    SELECT * INTO w FROM money.wallet x WHERE x.id = wallet;
    RETURN w;
END $$;

-- Notes one more reason to hold a wallet; the caller decides it afterwards. False when this reason is noted already.
CREATE FUNCTION money.note_hold(wallet bigint, cause text, ref text, actor text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO money.billing_hold (wallet_id, cause, ref, placed_at, actor)
    VALUES (wallet, cause, ref, money.now_s(), actor) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- Notes that a reason is over; the caller decides the wallet afterwards. False when there was no such reason.
CREATE FUNCTION money.note_lift(wallet bigint, why text, about text, who text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE money.billing_hold h SET lifted_at = money.now_s(), lifted_by = who
    WHERE h.wallet_id = wallet AND h.cause = why AND h.ref = about AND h.lifted_at IS NULL;
    RETURN FOUND;
END $$;

CREATE FUNCTION money.is_held(wallet bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM money.billing_hold h WHERE h.wallet_id = wallet AND h.lifted_at IS NULL);
END $$;

-- True when the wallet is now held for this reason and was not before.
CREATE FUNCTION money.place_hold(wallet_id bigint, cause text, ref text, actor text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w money.wallet := money.lock_wallet(wallet_id);
    t bigint := greatest(money.now_s(), w.as_of);
BEGIN
    IF w.id IS NULL OR w.closed_at IS NOT NULL THEN
        RAISE EXCEPTION 'there is no open wallet of this number' USING ERRCODE = 'MO002';
    END IF;
    IF NOT money.note_hold(w.id, cause, ref, actor) THEN
        RETURN false;
    END IF;
    w := money.advance(w, t);
    w.on_hold := true;
    PERFORM money.decide(w, t);
    RETURN true;
END $$;

-- True when this call lifted the hold; the wallet's agents come back when no other reason holds them.
CREATE FUNCTION money.lift_hold(wallet_id bigint, cause text, ref text, actor text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w money.wallet := money.lock_wallet(wallet_id);
    t bigint := greatest(money.now_s(), w.as_of);
BEGIN
    IF NOT money.note_lift(w.id, cause, ref, actor) THEN
        RETURN false;
    END IF;
    w := money.advance(w, t);
    w.on_hold := money.is_held(w.id);
    PERFORM money.conclude(w, t);
    RETURN true;
END $$;
