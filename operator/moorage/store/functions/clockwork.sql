-- The ledger's clockwork: proof of nodes, and settlement of many wallets.

-- Moves nodes forward, never back, and never beyond the database's own clock.
CREATE FUNCTION money.prove(epoch bigint, names text[], proofs bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    t bigint := money.now_s();
BEGIN
    PERFORM moorage.require_epoch(epoch);
    INSERT INTO money.node (name, seen_at)
    SELECT DISTINCT name, t FROM unnest(names) name ORDER BY name ON CONFLICT DO NOTHING;
    PERFORM 1 FROM money.node n ORDER BY n.name FOR NO KEY UPDATE;
    UPDATE money.node n SET proven = least(given.proven, t), seen_at = t, silent = false
    FROM unnest(names, proofs) given (name, proven)
    WHERE n.name = given.name AND least(given.proven, t) > n.proven;
    UPDATE money.node n SET silent = true
    WHERE NOT n.silent AND t - n.seen_at > (SELECT silent_after_seconds FROM money.policy);
END $$;

-- Takes the runs of silent nodes out of burn, so that one dead node does not hold up everybody's charge.
-- Returns how many wallets it parked; call again while it is the limit.
CREATE FUNCTION money.park_silent(epoch bigint, wallets_max integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    ids    bigint[];
    one    bigint;
    w      money.wallet;
    t      bigint;
    parked bigint;
    rates  bigint;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    ids := ARRAY(SELECT DISTINCT r.wallet_id FROM money.run r JOIN money.node n ON n.name = r.node
                 WHERE r.in_burn AND n.silent ORDER BY r.wallet_id LIMIT wallets_max);
    PERFORM 1 FROM money.wallet x WHERE x.id = ANY (ids) ORDER BY x.id FOR NO KEY UPDATE;
    FOREACH one IN ARRAY ids LOOP
        SELECT * INTO w FROM money.wallet x WHERE x.id = one;
        t := greatest(money.now_s(), w.as_of);
        w := money.advance(w, t);
        WITH parking AS (
            UPDATE money.run r SET in_burn = false, cursor = w.as_of FROM money.node n
            WHERE r.wallet_id = one AND r.in_burn AND n.name = r.node AND n.silent RETURNING r.rate_picos)
        SELECT count(*), coalesce(sum(rate_picos), 0)::bigint INTO parked, rates FROM parking;
        w.burn_picos := w.burn_picos - rates;
        w.waiting := w.waiting + parked;
        PERFORM money.decide(w, t);
    END LOOP;
    RETURN cardinality(ids);
END $$;

-- Looks at the wallets with waiting runs on nodes that speak: what is proven joins, the rest counts for zero again.
-- Returns the last wallet it looked at, NULL at the end.
CREATE FUNCTION money.join_proven(epoch bigint, after_wallet bigint, wallets_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    ids bigint[];
BEGIN
    PERFORM moorage.require_epoch(epoch);
    ids := ARRAY(SELECT DISTINCT r.wallet_id FROM money.run r
                 LEFT JOIN money.node n ON n.name = r.node JOIN money.wallet x ON x.id = r.wallet_id
                 WHERE NOT r.in_burn AND r.ended IS NULL AND r.cut_at IS NULL AND n.silent IS NOT TRUE
                   AND (x.cut_at IS NULL OR r.cursor < x.cut_at)
                   AND r.wallet_id > after_wallet
                 ORDER BY r.wallet_id LIMIT wallets_max);
    PERFORM 1 FROM money.wallet x WHERE x.id = ANY (ids) ORDER BY x.id FOR NO KEY UPDATE;
    PERFORM money.settle_each(ids);
    RETURN ids[cardinality(ids)];
END $$;

-- Settles locked wallets one by one by the exact path; returns how many hit zero.
CREATE FUNCTION money.settle_each(ids bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    one       bigint;
    w         money.wallet;
    t         bigint;
    was       text;
    exhausted integer := 0;
BEGIN
    FOREACH one IN ARRAY ids LOOP
        SELECT * INTO w FROM money.wallet x WHERE x.id = one;
        was := w.standing;
        t := greatest(money.now_s(), w.as_of);
        w := money.decide(money.advance(w, t), t);
        exhausted := exhausted + (w.standing = 'Exhausted' AND was <> 'Exhausted')::integer;
    END LOOP;
    RETURN exhausted;
END $$;

-- What a wallet owes up to the horizon, where paying it is all there is to do; NULL where the exact path has to look: the
-- wallet is due (at zero, low), short, waiting, or below its mark. Multiplies only what was found affordable.
CREATE FUNCTION money.plainly_owed(w money.wallet, t bigint, horizon_s bigint, oldest bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN w.cut_at IS NULL AND w.waiting = 0 AND w.as_of < horizon_s AND w.as_of >= oldest AND w.due_at > t
             AND (w.reach_at < horizon_s) IS NOT TRUE
             AND ((w.balance_micros - w.held_micros) * 1000000 - w.carry_picos) / nullif(w.burn_picos, 0) > t - w.as_of
        THEN CASE
            WHEN w.balance_micros - (w.carry_picos + w.burn_picos * (horizon_s - w.as_of)) / 1000000
                 >= CASE w.standing WHEN 'Low' THEN w.held_micros ELSE w.low_micros END
            THEN w.burn_picos * (horizon_s - w.as_of) END END
$$;

-- Charges locked wallets in one statement, but for those that the exact path has to look at. A locked row stays where it
-- is, so the update finds it by its place. The generic plan keeps the planner from scanning the whole table once per
-- chunk.
CREATE FUNCTION money.settle_many(ids bigint[], t bigint, horizon_s bigint) RETURNS bigint
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    oldest  bigint := horizon_s - (SELECT catchup_max_seconds FROM money.policy);
    settled bigint;
BEGIN
    WITH owed AS MATERIALIZED (
        SELECT w.ctid AS place, w.carry_picos + money.plainly_owed(w, t, horizon_s, oldest) AS total_picos
        FROM money.wallet w WHERE w.id = ANY (ids)
    ), charged AS (
        UPDATE money.wallet w SET
            balance_micros = w.balance_micros - o.total_picos / 1000000,
            carry_picos = o.total_picos % 1000000,
            seq = w.seq + (o.total_picos >= 1000000)::integer,
            as_of = horizon_s
        FROM owed o
        WHERE w.ctid = o.place AND o.total_picos IS NOT NULL
        RETURNING w.id, w.seq, w.balance_micros, o.total_picos / 1000000 AS micros
    ), posted AS (
        INSERT INTO money.entry (wallet_id, seq, contra, amount_micros, balance_after_micros, kind, effective_at)
        SELECT id, seq, -2, -micros, balance_micros, 'Usage', horizon_s FROM charged WHERE micros > 0
    )
    SELECT count(*) INTO settled FROM charged;
    RETURN settled;
END $$;

-- The same for one locked wallet, without what a statement over many costs.
CREATE FUNCTION money.settle_single(wallet_id bigint, t bigint, horizon_s bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found record;
    w     money.wallet;
BEGIN
    SELECT x AS wallet, money.plainly_owed(x, t, horizon_s, horizon_s - p.catchup_max_seconds) AS picos INTO found
    FROM money.wallet x CROSS JOIN money.policy p WHERE x.id = wallet_id;
    IF found.picos IS NULL THEN
        RETURN 0;
    END IF;
    w := money.post_usage(found.wallet, found.picos, 'Usage', NULL, horizon_s);
    UPDATE money.wallet x SET balance_micros = w.balance_micros, carry_picos = w.carry_picos, seq = w.seq, as_of = horizon_s
    WHERE x.id = wallet_id;
    RETURN 1;
END $$;

-- Wallets whose timer is due, oldest first. Timers are chosen without a lock: settling twice charges once.
CREATE FUNCTION money.settle_due(epoch bigint, wallets_max integer, OUT wallets bigint, OUT exhausted integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    ids bigint[];
BEGIN
    PERFORM moorage.require_epoch(epoch);
    ids := ARRAY(SELECT d.wallet_id FROM (
                     SELECT m.wallet_id FROM money.timer m WHERE m.due_at <= (SELECT money.now_s())
                     ORDER BY m.due_at LIMIT wallets_max) d ORDER BY d.wallet_id);
    PERFORM 1 FROM money.wallet x WHERE x.id = ANY (ids) ORDER BY x.id FOR NO KEY UPDATE;
    exhausted := money.settle_each(ids);
    wallets := cardinality(ids);
END $$;

-- Charges locked wallets: in one statement where that is exact, by the exact path where it is not.
CREATE FUNCTION money.settle_ids(ids bigint[], OUT wallets bigint, OUT exhausted integer) LANGUAGE plpgsql AS $$
DECLARE
    t         bigint := money.now_s();
    horizon_s bigint := money.horizon(t);
    repriced  bigint[] := '{}';
    rest      bigint[];
BEGIN
    IF money.prices_moved(horizon_s) THEN
        repriced := money.wallets_to_reprice(horizon_s, 0, 9223372036854775807);
    END IF;
    wallets := CASE
        WHEN cardinality(ids) = 1 AND repriced = '{}' THEN money.settle_single(ids[1], t, horizon_s)
        WHEN repriced = '{}' THEN money.settle_many(ids, t, horizon_s)
        ELSE money.settle_many(ARRAY(SELECT i FROM unnest(ids) i WHERE i <> ALL (repriced)), t, horizon_s) END;
    exhausted := 0;
    IF wallets < cardinality(ids) THEN
        rest := ARRAY(SELECT x.id FROM money.wallet x
                      WHERE x.id = ANY (ids)
                        AND (x.waiting > 0 OR x.as_of < least(horizon_s, x.cut_at) OR x.due_at <= t OR x.id = ANY (repriced))
                      ORDER BY x.id);
        wallets := wallets + cardinality(rest);
        exhausted := money.settle_each(rest);
    END IF;
END $$;

-- Wallets with after_wallet < id <= upto_wallet: the plain charge, cheap enough to run over everybody.
CREATE FUNCTION money.settle_range(
    epoch bigint, after_wallet bigint, upto_wallet bigint, OUT wallets bigint, OUT exhausted integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    ids  bigint[];
    done record;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    ids := ARRAY(SELECT x.id FROM money.wallet x
                 WHERE x.id > after_wallet AND x.id <= upto_wallet AND (x.burn_picos > 0 OR x.waiting > 0)
                 ORDER BY x.id FOR NO KEY UPDATE);
    done := money.settle_ids(ids);
    wallets := done.wallets;
    exhausted := done.exhausted;
END $$;
