-- Storage: volumes and verified snapshots are runs by the MiB, there until they are freed, also while the wallet is empty.

-- Starts or resizes the meter of an object; the same call again changes nothing, and what was freed stays freed.
CREATE FUNCTION money.open_storage(epoch bigint, for_agent uuid, of_meter text, of_object text, mib bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w      money.wallet;
    t      bigint;
    price  money.rate;
    older  money.run;
    begins bigint;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    w := money.lock_wallet((SELECT a.wallet_id FROM moorage.agent a WHERE a.uid = for_agent));
    IF w.id IS NULL THEN
        RAISE EXCEPTION 'this agent has no wallet' USING ERRCODE = 'MO002';
    END IF;
    SELECT * INTO older FROM money.run r WHERE r.meter = of_meter AND r.object = of_object AND r.ended IS NULL;
    mib := least(mib, 16777216);  -- what is larger is metered as 16 TiB, rather than not kept
    IF older.quantity = mib OR EXISTS (
            SELECT 1 FROM money.run r WHERE r.meter = of_meter AND r.object = of_object AND r.ended IS NOT NULL
            AND r.end_reason <> 'Resized') THEN
        RETURN;
    END IF;
    t := greatest(money.now_s(), w.as_of);
    -- A clock that stepped back lets nobody pay the same seconds for the old and for the new size.
    begins := greatest(t, older.started);
    price := money.rate_at(of_meter, '', begins);
    IF price.id IS NULL OR of_meter = 'Pod' OR mib IS NULL OR mib < 1 THEN
        RAISE EXCEPTION 'there is no storage of this size' USING ERRCODE = 'MO013';
    END IF;
    w := money.advance(w, t);
    IF older.id IS NOT NULL THEN
        w := money.finish_storage(w, older.id, t, 'Resized');
    END IF;
    INSERT INTO money.run (wallet_id, agent_uid, meter, object, quantity, rate_id, rate_picos, started, cursor, lined_to)
    VALUES (w.id, for_agent, of_meter, of_object, mib, price.id, price.rate_picos * mib, begins, begins, begins);
    w.waiting := w.waiting + 1;
    PERFORM money.decide(money.advance(w, t), t);
END $$;

-- Stops the meter of an object that is gone.
CREATE FUNCTION money.close_storage(epoch bigint, of_meter text, of_object text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w       money.wallet;
    t       bigint;
    open_id bigint;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    w := money.lock_wallet((
        SELECT r.wallet_id FROM money.run r WHERE r.meter = of_meter AND r.object = of_object AND r.ended IS NULL));
    SELECT r.id INTO open_id FROM money.run r
    WHERE r.meter = of_meter AND r.object = of_object AND r.ended IS NULL AND of_meter <> 'Pod';
    IF open_id IS NULL THEN
        RETURN;
    END IF;
    t := greatest(money.now_s(), w.as_of);
    w := money.decide(money.advance(w, t), t);
    PERFORM money.decide(money.finish_storage(w, open_id, t, 'Freed'), t);
END $$;

CREATE FUNCTION money.finish_storage(w money.wallet, open_id bigint, t bigint, reason text) RETURNS money.wallet
LANGUAGE plpgsql AS $$
DECLARE
    r money.run;
BEGIN
    w := money.carry_storage(w, t);
    SELECT * INTO r FROM money.run x WHERE x.id = open_id;
    RETURN money.finish_run(w, r, t, reason);
END $$;

-- Storage of an empty wallet goes on at the platform's cost, as far as its grace reaches; beyond it nobody is asked.
-- Nothing of this is the wallet's debt. Its runs leave the burn, because the wallet's own seconds stand still.
CREATE FUNCTION money.carry_storage(w money.wallet, t bigint) RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    r       money.run;
    hi      bigint;
    covered bigint;
    left_p  bigint := (SELECT storage_grace_micros FROM money.policy) * 1000000 - w.grace_picos;
    steps   money.price_step[];
    step    money.price_step;
BEGIN
    IF w.cut_at IS NULL OR w.as_of < w.cut_at AND w.burn_picos > 0 THEN
        RETURN w;  -- not empty, or what is owed up to its zero is not charged yet
    END IF;
    steps := money.price_steps(w, t - 1);
    FOR r IN SELECT * FROM money.run x
             WHERE x.wallet_id = w.id AND x.meter <> 'Pod' AND x.ended IS NULL ORDER BY x.id LOOP
        hi := CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END;
        CONTINUE WHEN hi >= t;
        IF r.in_burn THEN
            w.burn_picos := w.burn_picos - r.rate_picos;
            w.waiting := w.waiting + 1;
        END IF;
        FOR step IN SELECT * FROM unnest(steps) p WHERE p.run_id = r.id
                    UNION ALL SELECT r.id, t, NULL, NULL, NULL ORDER BY second LOOP
            covered := CASE WHEN r.rate_picos = 0 THEN step.second - hi
                            ELSE least(step.second - hi, greatest(left_p, 0) / r.rate_picos) END;
            r.absorbed := r.absorbed + int8multirange(int8range(hi, hi + covered));
            r.waived := r.waived + int8multirange(int8range(hi + covered, step.second));
            left_p := left_p - covered * r.rate_picos;
            w.grace_picos := w.grace_picos + covered * r.rate_picos;
            hi := step.second;
            IF step.rate_id IS NOT NULL THEN
                r := money.write_line(r, hi);
                r.rate_id := step.rate_id;
                r.rate_picos := step.rate_picos;
            END IF;
        END LOOP;
        UPDATE money.run SET
            in_burn = false, cursor = t, absorbed = r.absorbed, waived = r.waived, rate_id = r.rate_id,
            rate_picos = r.rate_picos, lines = r.lines, lined_to = r.lined_to
        WHERE id = r.id;
    END LOOP;
    RETURN w;
END $$;
