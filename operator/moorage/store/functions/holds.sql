-- Holds: money set aside for one request of a wallet that is too small for a slice, so that it can be spent to the end.
-- What is set aside for the month of a host name is held in the same way; domains.sql takes and frees it.

CREATE FUNCTION money.hold_open(
    gateway_name text, epoch bigint, request_id uuid, wallet bigint, agent uuid, amount bigint,
    OUT state text, OUT standing text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w money.wallet;
    h money.hold;
    t bigint;
BEGIN
    PERFORM money.require_gateway(gateway_name, epoch);
    IF amount IS NULL OR amount < 1 OR amount > 9000000000000 THEN
        RAISE EXCEPTION 'a hold is a positive amount' USING ERRCODE = 'MO033';
    END IF;
    w := money.lock_wallet(wallet);
    IF w.id IS NULL THEN
        RAISE EXCEPTION 'there is no wallet of this number' USING ERRCODE = 'MO002';
    END IF;
    SELECT * INTO h FROM money.hold x WHERE x.id = request_id;
    IF h.id IS NULL THEN
        t := greatest(money.now_s(), w.as_of);
        w := money.advance(w, t);
        IF amount <= money.spare_micros(w) AND NOT money.is_spent_out(w, agent) THEN
            INSERT INTO money.hold (id, wallet_id, gateway, agent_uid, amount_micros, opened_at, expires_at)
            VALUES (request_id, wallet, gateway_name, agent, amount, t, t + (SELECT hold_seconds FROM money.policy))
            RETURNING * INTO h;
            w.held_micros := w.held_micros + amount;
        END IF;
        w := money.decide(w, t);
    ELSIF (h.wallet_id, h.gateway, h.agent_uid, h.amount_micros) IS DISTINCT FROM (wallet, gateway_name, agent, amount)
    THEN
        RAISE EXCEPTION 'this request id was used for another hold' USING ERRCODE = 'MO032';
    END IF;
    state := coalesce(h.state, 'Refused');
    standing := w.standing;
END $$;

-- Locks a hold of this gateway and reads it; its wallet is to be locked next.
CREATE FUNCTION money.lock_hold(gateway_name text, request_id uuid) RETURNS money.hold LANGUAGE plpgsql AS $$
DECLARE
    h money.hold;
BEGIN
    PERFORM 1 FROM money.hold x WHERE x.id = request_id AND x.gateway = gateway_name FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this gateway has no such hold' USING ERRCODE = 'MO031';
    END IF;
    SELECT * INTO h FROM money.hold x WHERE x.id = request_id;
    RETURN h;
END $$;

-- Charges a finished request: out of its hold, or, when that is over, out of what the wallet can pay. The rest is
-- absorbed. Once per request, whoever comes first.
CREATE FUNCTION money.hold_settle(gateway_name text, epoch bigint, finished money.request, OUT state text, OUT standing text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w     money.wallet;
    h     money.hold;
    t     bigint;
    picos bigint;
    paid  bigint;
BEGIN
    PERFORM money.require_gateway(gateway_name, epoch);
    h := money.lock_hold(gateway_name, finished.id);
    w := money.lock_wallet(h.wallet_id);
    picos := money.record_one(finished, w.id);
    IF picos IS NOT NULL THEN
        t := greatest(money.now_s(), w.as_of);
        w := money.advance(w, t);
        IF h.state = 'Open' THEN
            w.held_micros := w.held_micros - h.amount_micros;
        END IF;
        -- What was set aside is there, unless a refund took it; an ended hold has no claim before the runs'.
        paid := least(picos, h.amount_micros * 1000000, CASE h.state WHEN 'Open'
                      THEN greatest(0, money.available_picos(w)) ELSE money.payable_picos(w) END);
        w := money.post_usage(w, paid, 'Model', NULL, t, -6);
        PERFORM money.absorb_model(picos - paid, h.id);
        w := money.spend_today(w, finished.agent_uid, picos, t);
        UPDATE money.hold x SET state = 'Settled', paid_picos = paid, absorbed_picos = picos - paid
        WHERE x.id = h.id RETURNING * INTO h;
        w := money.take_back(w, t);
    END IF;
    state := h.state;
    standing := w.standing;
END $$;

-- The request never reached its provider: everything goes back.
CREATE FUNCTION money.hold_void(gateway_name text, epoch bigint, request_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w money.wallet;
    h money.hold;
    t bigint;
BEGIN
    PERFORM money.require_gateway(gateway_name, epoch);
    h := money.lock_hold(gateway_name, request_id);
    w := money.lock_wallet(h.wallet_id);
    IF h.state = 'Open' THEN
        t := greatest(money.now_s(), w.as_of);
        w := money.release_hold(money.advance(w, t), h, 'Voided');
        PERFORM money.take_back(w, t);
    END IF;
END $$;

CREATE FUNCTION money.release_hold(w money.wallet, h money.hold, new_state text) RETURNS money.wallet
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE money.hold SET state = new_state WHERE id = h.id;
    w.held_micros := w.held_micros - h.amount_micros;
    RETURN w;
END $$;

-- Releases holds of requests that nobody settled in time; returns how many.
CREATE FUNCTION money.expire_holds(epoch bigint, holds_max integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    stale uuid[];
    h     money.hold;
    w     money.wallet;
    t     bigint;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    stale := ARRAY(SELECT x.id FROM money.hold x WHERE x.state = 'Open' AND x.gateway IS NOT NULL
                     AND x.expires_at <= (SELECT money.now_s()) ORDER BY x.id LIMIT holds_max
                   FOR NO KEY UPDATE SKIP LOCKED);
    PERFORM 1 FROM money.wallet x WHERE x.id IN (SELECT y.wallet_id FROM money.hold y WHERE y.id = ANY (stale))
    ORDER BY x.id FOR NO KEY UPDATE;
    FOR h IN SELECT x.* FROM money.hold x WHERE x.id = ANY (stale) ORDER BY x.wallet_id, x.id LOOP
        SELECT * INTO w FROM money.wallet x WHERE x.id = h.wallet_id;
        t := greatest(money.now_s(), w.as_of);
        w := money.release_hold(money.advance(w, t), h, 'Expired');
        PERFORM money.take_back(w, t);
    END LOOP;
    RETURN cardinality(stale);
END $$;
