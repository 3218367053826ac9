-- The end of a run, with what is still to be paid or given back for it.

-- Ends a run at a second: what was charged beyond it is given back exactly; what was not charged yet is charged as far
-- as it is proven, affordable and not older than the catch-up limit; and the statement is finished. `proven_s` NULL
-- means that the end itself is the proof; beyond it nobody is asked to pay.
CREATE FUNCTION money.finish_run(
    w money.wallet, r money.run, ended_s bigint, reason text, proven_s bigint DEFAULT NULL
) RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    hi     bigint := CASE WHEN r.in_burn THEN w.as_of ELSE r.cursor END;
    last_s bigint := greatest(ended_s, r.started);
    steps  money.price_step[] := '{}';
    step   money.price_step;
    done   record;
BEGIN
    IF last_s >= hi THEN
        steps := ARRAY(SELECT p FROM unnest(money.price_steps(w, last_s)) p WHERE p.run_id = r.id);
    END IF;
    IF r.in_burn THEN
        w.burn_picos := w.burn_picos - r.rate_picos;
    ELSE
        w.waiting := w.waiting - 1;
    END IF;
    IF last_s < hi THEN
        done := money.give_back(w, r, last_s, hi);
    ELSE
        done := money.pay_up(w, r, hi, greatest(hi, least(last_s, proven_s)), steps);
    END IF;
    w := done.wallet;
    r := done.run;
    r.waived := r.waived + int8multirange(int8range(least(last_s, greatest(hi, least(last_s, proven_s))), last_s));
    FOREACH step IN ARRAY steps LOOP
        r := money.write_line(r, step.second);
        r.rate_id := step.rate_id;
        r.rate_picos := step.rate_picos;
    END LOOP;
    r := money.write_line(r, last_s);
    UPDATE money.run SET
        in_burn = false, cursor = last_s, absorbed = r.absorbed, overdue = r.overdue, waived = r.waived,
        rate_id = r.rate_id, rate_picos = r.rate_picos, lines = r.lines, lined_to = r.lined_to,
        ended = last_s, end_reason = reason
    WHERE id = r.id;
    RETURN w;
END $$;

-- Takes back what was charged from `last_s` to `hi`, line by line where there are lines already.
CREATE FUNCTION money.give_back(
    w money.wallet, r money.run, last_s bigint, hi bigint, OUT wallet money.wallet, OUT run money.run
) LANGUAGE plpgsql AS $$
DECLARE
    one   money.line;
    picos bigint := r.rate_picos
        * (money.charged_s(r, hi) - money.charged_s(r, least(hi, greatest(last_s, r.lined_to))));
BEGIN
    FOR one IN SELECT * FROM money.line l WHERE l.run_id = r.id AND l.hi > last_s ORDER BY l.no DESC LOOP
        picos := picos + one.rate_picos
            * (money.charged_s(r, one.hi) - money.charged_s(r, greatest(one.lo, last_s)));
        r := money.add_line(r, greatest(one.lo, last_s), one.rate_id, one.rate_picos);
    END LOOP;
    r.absorbed := r.absorbed * int8multirange(int8range(r.started, last_s));
    r.overdue := r.overdue * int8multirange(int8range(r.started, last_s));
    r.waived := r.waived * int8multirange(int8range(r.started, last_s));
    wallet := money.post_usage(w, -picos, 'Correction', r.id, last_s);
    run := r;
END $$;

-- Charges a run that is out of burn from `hi` to `last_s`, through its price changes, as far as there is credit for it.
CREATE FUNCTION money.pay_up(
    w money.wallet, r money.run, hi bigint, last_s bigint, steps money.price_step[],
    OUT wallet money.wallet, OUT run money.run
) LANGUAGE plpgsql AS $$
DECLARE
    upto    bigint := greatest(hi, least(last_s, w.cut_at, r.cut_at));
    lo      bigint := greatest(hi, upto - (SELECT catchup_max_seconds FROM money.policy));
    -- What the wallet's other runs still owe up to the cut is theirs.
    spare   bigint := greatest(
        0, money.available_picos(w) - coalesce(w.burn_picos * (w.cut_at - w.as_of), 0));
    seconds bigint[];
    rates   bigint[];
    walk    record;
BEGIN
    SELECT array_agg(s.second ORDER BY s.second, s.rate DESC), array_agg(s.rate ORDER BY s.second, s.rate DESC)
    INTO seconds, rates
    FROM (SELECT lo AS second, r.rate_picos AS rate
          UNION ALL
          SELECT greatest(p.second, lo), p.delta_picos FROM unnest(steps) p WHERE p.second <= upto) s;
    walk := money.first_unpaid(seconds, rates, spare, upto);
    r.overdue := r.overdue + int8multirange(int8range(hi, lo));
    r.absorbed := r.absorbed + int8multirange(int8range(coalesce(walk.zero, upto), last_s));
    wallet := money.post_usage(w, spare - walk.left_picos, 'Usage', NULL, last_s);
    run := r;
END $$;
