-- Price changes while runs are open: each goes over to the new price at the very second, however late it is noticed.

-- Whether any open run has yet to meet a price that is valid by `until_s`; so nearly always no that it is asked first.
CREATE FUNCTION money.prices_moved(until_s bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT 1 FROM money.rate old
        WHERE old.meter IN ('Pod', 'Volume', 'Snapshot')
          AND EXISTS (SELECT 1 FROM money.rate n WHERE n.meter = old.meter AND n.class = old.class
                      AND n.valid_from > old.valid_from AND n.valid_from <= until_s)
          AND EXISTS (SELECT 1 FROM money.run r WHERE r.rate_id = old.id AND r.ended IS NULL));
END $$;

-- The price changes up to `until_s` that open runs of a wallet have yet to meet, in the order in which each meets them.
CREATE FUNCTION money.price_steps(w money.wallet, until_s bigint) RETURNS money.price_step[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT money.prices_moved(until_s) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(
        SELECT (r.id, greatest(n.valid_from, CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END), n.id,
                n.rate_picos * r.quantity,
                (n.rate_picos - lag(n.rate_picos, 1, old.rate_picos) OVER of_run) * r.quantity)::money.price_step
        FROM money.run r
        JOIN money.rate old ON old.id = r.rate_id
        JOIN money.rate n ON n.meter = old.meter AND n.class = old.class
            AND n.valid_from > old.valid_from AND n.valid_from <= until_s
        WHERE r.wallet_id = w.id AND r.ended IS NULL
        WINDOW of_run AS (PARTITION BY r.id ORDER BY n.valid_from)
        ORDER BY r.id, n.valid_from);
END $$;

-- Gives the runs in burn the prices that are valid by the wallet's as_of; each old price ends with its line.
CREATE FUNCTION money.take_steps(w money.wallet, steps money.price_step[]) RETURNS money.wallet
LANGUAGE plpgsql AS $$
DECLARE
    step money.price_step;
    r    money.run;
BEGIN
    FOREACH step IN ARRAY steps LOOP
        SELECT * INTO r FROM money.run x WHERE x.id = step.run_id AND x.in_burn AND step.second <= w.as_of;
        CONTINUE WHEN r.id IS NULL;
        r := money.write_line(r, step.second);
        UPDATE money.run SET rate_id = step.rate_id, rate_picos = step.rate_picos, lines = r.lines,
                             lined_to = r.lined_to WHERE id = r.id;
        w.burn_picos := w.burn_picos + step.delta_picos;
    END LOOP;
    RETURN w;
END $$;

-- A new version moves the zero of everybody whose runs will meet it; a wallet that asks for a warning hears of it now.
CREATE FUNCTION money.foresee(made money.rate) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM money.look_soon(ARRAY(
        SELECT DISTINCT r.wallet_id FROM money.rate old JOIN money.run r ON r.rate_id = old.id AND r.ended IS NULL
        JOIN money.wallet w ON w.id = r.wallet_id AND w.low_micros > 0
        WHERE old.meter = made.meter AND old.class = made.class));
END $$;

-- Wallets with runs in burn for which another price is valid by a second that can be charged.
CREATE FUNCTION money.wallets_to_reprice(by_s bigint, after_wallet bigint, wallets_max bigint) RETURNS bigint[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ARRAY(
        SELECT DISTINCT r.wallet_id FROM money.rate old
        JOIN money.rate n ON n.meter = old.meter AND n.class = old.class
            AND n.valid_from > old.valid_from AND n.valid_from <= by_s
        JOIN money.run r ON r.rate_id = old.id AND r.ended IS NULL AND r.in_burn
        JOIN money.wallet x ON x.id = r.wallet_id AND (x.cut_at IS NULL OR x.as_of < x.cut_at)
        WHERE r.wallet_id > after_wallet ORDER BY r.wallet_id LIMIT wallets_max);
END $$;

-- Gives the runs of some wallets the prices that have become valid, charging them up to there at the old ones. Returns
-- the last wallet it looked at, NULL at the end.
CREATE FUNCTION money.reprice(epoch bigint, after_wallet bigint, wallets_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    by_s bigint := money.now_s();
    ids  bigint[] := '{}';
BEGIN
    PERFORM moorage.require_epoch(epoch);
    IF money.prices_moved(by_s) THEN
        ids := money.wallets_to_reprice(by_s, after_wallet, wallets_max);
    END IF;
    PERFORM 1 FROM money.wallet x WHERE x.id = ANY (ids) ORDER BY x.id FOR NO KEY UPDATE;
    PERFORM money.settle_each(ids);
    RETURN ids[cardinality(ids)];
END $$;
