-- Leases: a gateway takes a slice of a wallet, spends from it in memory, and reports batches of requests (model_usage.sql).
-- A slice is money moved aside: spending it changes neither what the wallet has available nor when it is at zero.

-- Calls of an earlier life of a gateway are refused. Nothing is locked: what slips through while a new life begins is
-- keyed like everything else.
CREATE FUNCTION money.require_gateway(gateway_name text, wanted bigint) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM 1 FROM money.gateway g WHERE g.name = gateway_name AND g.epoch = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'epoch % of this gateway is over', wanted USING ERRCODE = 'MO030';
    END IF;
END $$;

-- Begins a new life of a gateway; its earlier leases stay, so that what they still owe can be reported.
CREATE FUNCTION money.register_gateway(gateway_name text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    begun bigint;
BEGIN
    INSERT INTO money.gateway AS g (name, epoch, seen_at) VALUES (gateway_name, 1, money.now_s())
    ON CONFLICT (name) DO UPDATE SET epoch = g.epoch + 1, seen_at = money.now_s() RETURNING g.epoch INTO begun;
    RETURN begun;
END $$;

-- What may be set aside: a slice never takes what the wallet's own runs burn in the next seconds.
CREATE FUNCTION money.spare_micros(w money.wallet) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF w.cut_at IS NOT NULL OR w.on_hold OR w.closed_at IS NOT NULL OR w.reclaim_at IS NOT NULL
       OR w.reached_until IS NOT NULL THEN
        RETURN 0;
    END IF;
    RETURN greatest(0, (SELECT money.available_picos(w) - w.burn_picos * p.headroom_seconds FROM money.policy p)
                       / 1000000);
END $$;

-- What a wallet can pay now without taking from its runs what they owe up to the cut.
CREATE FUNCTION money.payable_picos(w money.wallet) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN greatest(0, money.available_picos(w) - coalesce(w.burn_picos * (w.cut_at - w.as_of), 0));
END $$;

-- Books what was used and nobody pays.
CREATE FUNCTION money.absorb_model(picos bigint, reservation uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO money.system_entry (debit, credit, amount_picos, cause, reservation_id)
    SELECT -3, -6, picos, 'Late', reservation WHERE picos > 0;
END $$;

-- Whether zero waits: as long as slices that would pay the next second may still come back.
CREATE FUNCTION money.awaits_slices(w money.wallet, t bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN w.held_micros > 0 AND NOT w.on_hold
       AND t < coalesce(w.reclaim_at, t) + (SELECT reclaim_seconds FROM money.policy)
       AND money.available_picos(w) + 1000000 * (
               SELECT coalesce(sum(l.granted_micros - (l.spent_picos + 999999) / 1000000), 0)::bigint
               FROM money.lease l WHERE l.wallet_id = w.id AND l.state = 'Open') >= greatest(w.burn_picos, 1);
END $$;

-- Gives back what is left of a lease and moves its fraction of a micro-credit into the wallet's carry.
CREATE FUNCTION money.end_lease(w money.wallet, l money.lease, new_state text, t bigint)
RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    fraction bigint := l.spent_picos % 1000000;
    paid     bigint;
BEGIN
    w.held_micros := w.held_micros - (l.granted_micros - l.spent_picos / 1000000);
    -- The slice covers its fraction, unless a refund took from the wallet what was set aside.
    paid := least(fraction, greatest(0, money.available_picos(w)));
    w := money.post_usage(w, paid, 'Model', NULL, t, -6);
    PERFORM money.absorb_model(fraction - paid, l.id);
    UPDATE money.lease SET
        state = new_state, spent_picos = l.spent_picos - (fraction - paid),
        absorbed_picos = l.absorbed_picos + (fraction - paid)
    WHERE id = l.id;
    RETURN w;
END $$;

-- Credit came back to a wallet: it pays the seconds that waited for it, and one that was cut may have enough again for
-- its agents.
CREATE FUNCTION money.take_back(w money.wallet, t bigint) RETURNS money.wallet LANGUAGE plpgsql AS $$
BEGIN
    IF w.cut_at IS NULL AND w.reclaim_at IS NOT NULL THEN
        RETURN money.decide(money.advance(w, t), t);
    ELSIF w.cut_at IS NOT NULL AND NOT w.on_hold AND money.missing(w) = 0 THEN
        RETURN (SELECT concluded FROM money.conclude(w, t));
    END IF;
    RETURN money.decide(w, t);
END $$;

-- Opens a lease over as much of `want` as can be spared, or, where that is below `at_least`, over nothing.
CREATE FUNCTION money.lease_open(
    gateway_name text, epoch bigint, lease uuid, wallet bigint, want bigint, at_least bigint,
    OUT granted_micros bigint, OUT spent_picos bigint, OUT state text, OUT standing text, OUT spare_micros bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w    money.wallet;
    l    money.lease;
    t    bigint;
    part bigint;
BEGIN
    PERFORM money.require_gateway(gateway_name, epoch);
    IF want IS NULL OR at_least IS NULL OR at_least < 1 OR want < at_least OR want > 9000000000000 THEN
        RAISE EXCEPTION 'a lease is asked for with 1 <= at least <= want' USING ERRCODE = 'MO033';
    END IF;
    w := money.lock_wallet(wallet);
    IF w.id IS NULL THEN
        RAISE EXCEPTION 'there is no wallet of this number' USING ERRCODE = 'MO002';
    END IF;
    SELECT * INTO l FROM money.lease x WHERE x.id = lease;
    IF l.id IS NOT NULL AND (l.wallet_id <> wallet OR l.gateway <> gateway_name) THEN
        RAISE EXCEPTION 'this lease id was used for another lease' USING ERRCODE = 'MO032';
    END IF;
    IF l.id IS NULL THEN
        t := greatest(money.now_s(), w.as_of);
        w := money.advance(w, t);
        part := least(want, money.spare_micros(w));
        IF part >= at_least THEN
            INSERT INTO money.lease (id, wallet_id, gateway, granted_micros, opened_at, expires_at)
            VALUES (lease, wallet, gateway_name, part, t, money.lease_end_s(t)) RETURNING * INTO l;
            w.held_micros := w.held_micros + part;
        END IF;
        w := money.decide(w, t);
    END IF;
    granted_micros := coalesce(l.granted_micros, 0);
    spent_picos := coalesce(l.spent_picos, 0);
    state := coalesce(l.state, 'Refused');
    standing := w.standing;
    spare_micros := money.spare_micros(w);
END $$;

-- When the sweep may take a lease that is not heard of again after `t`.
CREATE FUNCTION money.lease_end_s(t bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT t + p.lease_seconds + p.sweep_after_seconds FROM money.policy p);
END $$;

-- Locks a lease of this gateway and reads it; its wallet is to be locked next.
CREATE FUNCTION money.lock_lease(gateway_name text, lease uuid) RETURNS money.lease LANGUAGE plpgsql AS $$
DECLARE
    l money.lease;
BEGIN
    PERFORM 1 FROM money.lease x WHERE x.id = lease AND x.gateway = gateway_name FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this gateway has no such lease' USING ERRCODE = 'MO031';
    END IF;
    SELECT * INTO l FROM money.lease x WHERE x.id = lease;
    RETURN l;
END $$;

-- Makes an open lease as large as `target`, as far as the wallet can spare it and not below what is spent. Keeps it
-- alive in any case: the same target again is how an idle lease is renewed.
CREATE FUNCTION money.lease_resize(
    gateway_name text, epoch bigint, lease uuid, target bigint,
    OUT granted_micros bigint, OUT spent_picos bigint, OUT state text, OUT standing text, OUT spare_micros bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w     money.wallet;
    l     money.lease;
    t     bigint;
    delta bigint;
BEGIN
    PERFORM money.require_gateway(gateway_name, epoch);
    IF target IS NULL OR target < 1 OR target > 9000000000000 THEN
        RAISE EXCEPTION 'a lease is larger than nothing' USING ERRCODE = 'MO033';
    END IF;
    l := money.lock_lease(gateway_name, lease);
    w := money.lock_wallet(l.wallet_id);
    IF l.state = 'Open' THEN
        t := greatest(money.now_s(), w.as_of);
        w := money.advance(w, t);
        delta := greatest(target, (l.spent_picos + 999999) / 1000000, 1) - l.granted_micros;
        delta := least(delta, money.spare_micros(w));
        UPDATE money.lease x SET granted_micros = x.granted_micros + delta, expires_at = money.lease_end_s(t)
        WHERE x.id = lease RETURNING * INTO l;
        w.held_micros := w.held_micros + delta;
        w := CASE WHEN delta < 0 THEN money.take_back(w, t) ELSE money.decide(w, t) END;
    END IF;
    granted_micros := l.granted_micros;
    spent_picos := l.spent_picos;
    state := l.state;
    standing := w.standing;
    spare_micros := money.spare_micros(w);
END $$;

CREATE FUNCTION money.lease_close(gateway_name text, epoch bigint, lease uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w money.wallet;
    l money.lease;
    t bigint;
BEGIN
    PERFORM money.require_gateway(gateway_name, epoch);
    l := money.lock_lease(gateway_name, lease);
    w := money.lock_wallet(l.wallet_id);
    IF l.state = 'Open' THEN
        t := greatest(money.now_s(), w.as_of);
        w := money.end_lease(money.advance(w, t), l, 'Closed', t);
        PERFORM money.take_back(w, t);
    END IF;
END $$;

-- The leases of this gateway whose wallet is about to stop, or has stopped: it gives back what it has not promised.
CREATE FUNCTION money.leases_asked_back(gateway_name text, epoch bigint) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM money.require_gateway(gateway_name, epoch);
    RETURN QUERY SELECT l.id FROM money.lease l JOIN money.wallet w ON w.id = l.wallet_id
                 WHERE l.gateway = gateway_name AND l.state = 'Open'
                   AND (w.reclaim_at IS NOT NULL OR w.cut_at IS NOT NULL OR w.on_hold OR w.reached_until IS NOT NULL)
                 ORDER BY l.id;
END $$;

CREATE FUNCTION money.open_leases(gateway_name text, epoch bigint) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM money.require_gateway(gateway_name, epoch);
    RETURN QUERY SELECT l.id FROM money.lease l WHERE l.gateway = gateway_name AND l.state = 'Open' ORDER BY l.id;
END $$;

-- Ends leases that were not heard of in time; returns how many. What they still owe may come late.
CREATE FUNCTION money.expire_leases(epoch bigint, leases_max integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    stale uuid[];
    l     money.lease;
    w     money.wallet;
    t     bigint;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    -- A lease that is locked is heard of at this very moment.
    stale := ARRAY(SELECT x.id FROM money.lease x WHERE x.state = 'Open' AND x.expires_at <= (SELECT money.now_s())
                   ORDER BY x.id LIMIT leases_max FOR NO KEY UPDATE SKIP LOCKED);
    PERFORM 1 FROM money.wallet x WHERE x.id IN (SELECT y.wallet_id FROM money.lease y WHERE y.id = ANY (stale))
    ORDER BY x.id FOR NO KEY UPDATE;
    FOR l IN SELECT x.* FROM money.lease x WHERE x.id = ANY (stale) AND x.state = 'Open' ORDER BY x.wallet_id, x.id LOOP
        SELECT * INTO w FROM money.wallet x WHERE x.id = l.wallet_id;
        t := greatest(money.now_s(), w.as_of);
        w := money.end_lease(money.advance(w, t), l, 'Expired', t);
        PERFORM money.take_back(w, t);
    END LOOP;
    RETURN cardinality(stale);
END $$;
