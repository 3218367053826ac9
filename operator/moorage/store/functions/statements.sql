-- Statements: the lines of runs, and what they move between the platform's own accounts.

-- Adds the line from where the run's lines end to `upto_s`, which may lie before it: then the line goes back.
CREATE FUNCTION money.add_line(r money.run, upto_s bigint, priced_id bigint, priced_picos bigint) RETURNS money.run
LANGUAGE plpgsql AS $$
DECLARE
    seconds int8multirange := int8multirange(int8range(least(r.lined_to, upto_s), greatest(r.lined_to, upto_s)));
    way     bigint := sign(upto_s - r.lined_to);
    zero    bigint := way * money.length_s(r.absorbed * seconds);
    overdue bigint := way * money.length_s(r.overdue * seconds);
    waived  bigint := way * money.length_s(r.waived * seconds);
    charged bigint := upto_s - r.lined_to - zero - overdue - waived;
    earns   constant bigint := CASE r.meter WHEN 'Pod' THEN -2 ELSE -4 END;
BEGIN
    r.lines := r.lines + 1;
    INSERT INTO money.line (run_id, no, wallet_id, lo, hi, charged_seconds, absorbed_seconds, waived_seconds, rate_id,
                            rate_picos, amount_picos)
    VALUES (r.id, r.lines, r.wallet_id, r.lined_to, upto_s, charged, zero + overdue, waived, priced_id,
            priced_picos, priced_picos * charged);
    INSERT INTO money.system_entry (debit, credit, amount_picos, cause, seconds, run_id, line_no)
    SELECT CASE WHEN way > 0 THEN m.payer ELSE m.earner END, CASE WHEN way > 0 THEN m.earner ELSE m.payer END,
           priced_picos * abs(m.seconds), m.cause, m.seconds, r.id, r.lines
    FROM (VALUES (-3::bigint, earns, zero, 'Zero'), (-3, earns, overdue, 'Overdue'),
                 -- All usage is collected as compute's; a line of storage says what of it was storage's.
                 (-2, earns, CASE r.meter WHEN 'Pod' THEN 0 ELSE charged END, 'Storage'))
         m (payer, earner, seconds, cause)
    WHERE m.seconds <> 0 AND priced_picos > 0;
    r.lined_to := upto_s;
    RETURN r;
END $$;

-- The line that brings a run's statement up to a second; none when it is there already.
CREATE FUNCTION money.write_line(r money.run, upto_s bigint) RETURNS money.run LANGUAGE plpgsql AS $$
BEGIN
    IF upto_s > r.lined_to THEN
        RETURN money.add_line(r, upto_s, r.rate_id, r.rate_picos);
    END IF;
    RETURN r;
END $$;

-- Settles some wallets and brings the statements of all their open runs up to date: those whose id is `slot` modulo
-- sixty, so that sixty calls a minute apart post everybody once an hour. Returns the last wallet, NULL at the end.
CREATE FUNCTION money.write_statements(epoch bigint, slot integer, after_wallet bigint, wallets_max integer)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    ids   bigint[];
    w     money.wallet;
    r     money.run;
    still record;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    ids := ARRAY(SELECT x.id FROM money.wallet x
                 WHERE x.id > after_wallet AND x.id % 60 = slot AND (x.burn_picos > 0 OR x.waiting > 0)
                 ORDER BY x.id LIMIT wallets_max);
    PERFORM 1 FROM money.wallet x WHERE x.id = ANY (ids) ORDER BY x.id FOR NO KEY UPDATE;
    PERFORM money.settle_ids(ids);
    FOR w IN SELECT * FROM money.wallet x WHERE x.id = ANY (ids) AND x.cut_at IS NOT NULL ORDER BY x.id LOOP
        PERFORM money.decide(money.carry_storage(w, greatest(money.now_s(), w.as_of)), greatest(money.now_s(), w.as_of));
    END LOOP;
    FOR still IN SELECT o AS run, CASE WHEN o.in_burn THEN x.as_of ELSE o.cursor END AS hi
                 FROM money.run o JOIN money.wallet x ON x.id = o.wallet_id
                 WHERE o.wallet_id = ANY (ids) AND o.ended IS NULL ORDER BY o.wallet_id, o.id LOOP
        r := money.write_line(still.run, still.hi);
        UPDATE money.run SET lines = r.lines, lined_to = r.lined_to WHERE id = r.id AND lines <> r.lines;
    END LOOP;
    RETURN ids[cardinality(ids)];
END $$;

-- Makes the months of statement lines that are missing from this month on; a month whose lines wait in the rest
-- already stays there. Returns how many it made.
CREATE FUNCTION money.prepare_months(epoch bigint, months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    made   integer := 0;
    begins timestamp;
    lo_s   bigint;
    hi_s   bigint;
    month  text;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    FOR ahead IN 0 .. months_ahead LOOP
        begins := date_trunc('month', to_timestamp(money.clock()) AT TIME ZONE 'UTC') + make_interval(months => ahead);
        lo_s := extract(epoch FROM begins AT TIME ZONE 'UTC');
        hi_s := extract(epoch FROM (begins + make_interval(months => 1)) AT TIME ZONE 'UTC');
        month := 'line_' || to_char(begins, 'YYYY_MM');
        CONTINUE WHEN to_regclass('money.' || month) IS NOT NULL
                   OR EXISTS (SELECT 1 FROM money.line_rest WHERE lo >= lo_s AND lo < hi_s);
        EXECUTE format('CREATE TABLE money.%I PARTITION OF money.line FOR VALUES FROM (%s) TO (%s)', month, lo_s, hi_s);
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON money.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_change()', month);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Seconds of statement lines that the platform has absorbed since a system entry, by cause and meter.
CREATE FUNCTION money.absorbed_since(
    after_entry bigint, OUT last_entry bigint, OUT cause text, OUT meter text, OUT seconds bigint
) RETURNS SETOF record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    RETURN QUERY
        SELECT max(s.id), s.cause, coalesce(r.meter, 'Model'), sum(s.seconds)::bigint FROM money.system_entry s
        LEFT JOIN money.run r ON r.id = s.run_id
        WHERE s.id > after_entry AND -3 IN (s.debit, s.credit) GROUP BY s.cause, coalesce(r.meter, 'Model');
END $$;
