-- What follows from a wallet's balance: its zero, its standing, its agents' stop and return, the end of a run.
-- Still inner functions; each expects the wallet row to be locked.

-- The first second the wallet cannot pay if everything open goes on; NULL when nothing burns.
CREATE FUNCTION money.predicted_zero(w money.wallet) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    seconds bigint[] := ARRAY[w.as_of];
    rates   bigint[] := ARRAY[w.burn_picos];
    oldest  bigint := w.as_of;
    steps   money.price_step[] := money.price_steps(w, 9223372036854775807);
BEGIN
    IF w.waiting > 0 OR cardinality(steps) > 0 THEN
        oldest := w.as_of - (SELECT catchup_max_seconds FROM money.policy);
        SELECT array_agg(s.second ORDER BY s.second, s.rate), array_agg(s.rate ORDER BY s.second, s.rate)
        INTO seconds, rates
        FROM (SELECT w.as_of AS second, w.burn_picos AS rate
              UNION ALL
              SELECT greatest(r.cursor, oldest), r.rate_picos FROM money.run r LEFT JOIN money.node n ON n.name = r.node
              WHERE r.wallet_id = w.id AND r.ended IS NULL AND NOT r.in_burn AND r.cut_at IS NULL
                AND n.silent IS NOT TRUE
              UNION ALL
              SELECT greatest(p.second, oldest), p.delta_picos
              FROM unnest(steps) p JOIN money.run r ON r.id = p.run_id LEFT JOIN money.node n ON n.name = r.node
              WHERE r.in_burn OR r.cut_at IS NULL AND n.silent IS NOT TRUE) s;
    END IF;
    RETURN (SELECT CASE WHEN zero IS NOT NULL THEN greatest(zero, w.as_of) END
            FROM money.first_unpaid(seconds, rates, money.available_picos(w), NULL));
END $$;

-- What a top-up must at least bring before the agents of an exhausted wallet resume; 0 when they may run.
CREATE FUNCTION money.missing(w money.wallet) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    needed numeric;  -- a sum over many agents may exceed a bigint before it is bounded
BEGIN
    IF w.cut_at IS NULL THEN
        RETURN 0;
    END IF;
    SELECT ceil(coalesce(sum(r.rate_picos), 0) * p.resume_minimum_seconds / 1000000) INTO needed
    FROM money.policy p
    LEFT JOIN moorage.agent a
        ON a.wallet_id = w.id AND a.veto IS NOT NULL AND a.reached_until IS NULL AND NOT a.user_paused
           AND a.state <> 'Deleted'
    LEFT JOIN LATERAL money.rate_at('Pod', a.size, money.now_s()) r ON true
    GROUP BY p.resume_minimum_seconds;
    needed := needed + (
        SELECT ceil(coalesce(sum(r.rate_picos), 0) * (SELECT resume_minimum_seconds FROM money.policy) / 1000000)
        FROM money.run r WHERE r.wallet_id = w.id AND r.ended IS NULL AND r.meter <> 'Pod');
    RETURN greatest(0, least(greatest(needed, 1), 9000000000000)::bigint - (w.balance_micros - w.held_micros));
END $$;

-- Credit is back: the veto of zero is lifted. The seconds since the cut are absorbed; runs whose agent stays down are
-- never charged beyond it. Storage was there all the time and goes on.
CREATE FUNCTION money.resume(w money.wallet, t bigint, OUT funded money.wallet, OUT resumed integer)
LANGUAGE plpgsql AS $$
DECLARE
    resumes_at bigint := greatest(t, w.as_of);
BEGIN
    w := money.carry_storage(w, resumes_at);
    funded := w;
    funded.grace_picos := 0;
    funded.cut_at := NULL;
    funded.standing := 'Funded';  -- so that a zero in the same transaction is news again
    resumed := money.veto_agents(funded);
    UPDATE money.run r SET
        in_burn = false,
        cursor = CASE WHEN goes_on THEN greatest(seen.hi, resumes_at) ELSE seen.hi END,
        absorbed = CASE WHEN goes_on
                        THEN r.absorbed + int8multirange(int8range(seen.hi, greatest(seen.hi, resumes_at)))
                        ELSE r.absorbed END,
        cut_at = CASE WHEN goes_on THEN NULL ELSE w.cut_at END
    FROM (SELECT open.id, CASE WHEN open.in_burn THEN w.as_of ELSE open.cursor END AS hi,
                 open.meter <> 'Pod' OR coalesce(a.state IN ('Running', 'Restoring'), false) AS goes_on
          FROM money.run open LEFT JOIN moorage.agent a ON a.uid = open.agent_uid
          WHERE open.wallet_id = w.id AND open.ended IS NULL
            AND (open.cut_at IS NULL OR a.state = 'Running')) seen
    WHERE r.id = seen.id;
    funded.burn_picos := 0;
    funded.waiting := (SELECT count(*) FROM money.run r WHERE r.wallet_id = w.id AND r.ended IS NULL);
END $$;

-- Ends every change of a wallet that may bring its agents back: new credit, or the end of a hold.
CREATE FUNCTION money.conclude(w money.wallet, t bigint, OUT concluded money.wallet, OUT resumed integer)
LANGUAGE plpgsql AS $$
DECLARE
    back record;
BEGIN
    resumed := 0;
    IF w.cut_at IS NOT NULL AND NOT w.on_hold AND money.missing(w) = 0 THEN
        back := money.resume(w, t);
        w := back.funded;
        resumed := back.resumed;
    END IF;
    concluded := money.decide(w, t);
    PERFORM money.announce(concluded);
END $$;

-- The next moment somebody has to look at this wallet; always in the future, NULL when nothing can happen by itself.
CREATE FUNCTION money.next_look(w money.wallet, zero bigint, t bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- Something is due, but its proof is late or slices may still come back.
    again_s constant bigint := coalesce(w.reclaim_at + (SELECT reclaim_seconds FROM money.policy), t + 5);
    low_s   bigint;
BEGIN
    IF w.cut_at IS NOT NULL THEN
        RETURN CASE WHEN w.burn_picos > 0 AND w.as_of < w.cut_at THEN again_s END;
    END IF;
    IF w.standing = 'Funded' AND w.burn_picos > 0 AND w.low_micros > 0 THEN
        low_s := w.as_of + 1 + greatest(
            0, money.available_picos(w) - (w.low_micros - w.held_micros) * 1000000) / w.burn_picos;
    END IF;
    -- Each on its own: a low mark that waits for its proof must not put off a zero that comes sooner.
    RETURN least(CASE WHEN zero <= t THEN again_s ELSE zero END, CASE WHEN low_s <= t THEN again_s ELSE low_s END,
                 CASE WHEN w.reach_at <= t THEN again_s ELSE w.reach_at END, money.next_renewal(w));
END $$;

-- Draws the consequences of a wallet's new balance and burn, and writes the row. The caller read the row after it
-- held the lock, so writing absolute values loses nothing.
CREATE FUNCTION money.decide(w money.wallet, t bigint) RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    was     text := w.standing;
    was_due bigint := w.due_at;
    asked   bigint := w.reclaim_at;
    at_zero boolean;
BEGIN
    w := money.keep_budgets(w, t);
    w.zero_at := money.predicted_zero(w);
    -- Stopping does not wait for the proof, charging does. But a clock that jumps stops nobody without proof.
    at_zero := coalesce(w.on_hold OR w.balance_micros <= 0 OR (
        w.zero_at <= t AND t - w.zero_at <= (SELECT catchup_max_seconds FROM money.policy)), false);
    IF w.cut_at IS NULL AND at_zero AND NOT money.awaits_slices(w, t) THEN
        w.cut_at := greatest(w.as_of, least(w.zero_at, t));
    END IF;
    w.reclaim_at := CASE WHEN w.cut_at IS NULL AND at_zero THEN coalesce(asked, t) END;
    w.standing := CASE WHEN w.on_hold THEN 'OnHold' WHEN w.cut_at IS NOT NULL THEN 'Exhausted'
                       WHEN w.balance_micros < w.low_micros THEN 'Low' ELSE 'Funded' END;
    w.due_at := money.next_look(w, w.zero_at, t);
    -- An early look is cheap, moving a timer is not: it stays when it comes sooner, and goes well ahead when it must
    -- move, since whoever spends moves it again and again.
    IF was_due > t AND was_due <= w.due_at THEN
        w.due_at := was_due;
    ELSIF w.due_at < was_due AND w.due_at - t > 15 THEN
        w.due_at := t + (w.due_at - t) * 9 / 10;
    END IF;
    UPDATE money.wallet SET
        balance_micros = w.balance_micros, held_micros = w.held_micros, seq = w.seq, burn_picos = w.burn_picos,
        waiting = w.waiting, as_of = w.as_of, carry_picos = w.carry_picos, zero_at = w.zero_at, due_at = w.due_at,
        standing = w.standing, cut_at = w.cut_at, on_hold = w.on_hold, low_micros = w.low_micros,
        limit_picos_per_day = w.limit_picos_per_day, reached_until = w.reached_until, reach_at = w.reach_at,
        reclaim_at = w.reclaim_at, grace_picos = w.grace_picos
    WHERE id = w.id;
    IF w.due_at IS NULL THEN
        DELETE FROM money.timer WHERE wallet_id = w.id;
    ELSIF w.due_at IS DISTINCT FROM was_due THEN
        INSERT INTO money.timer (wallet_id, due_at) VALUES (w.id, w.due_at)
        ON CONFLICT (wallet_id) DO UPDATE SET due_at = excluded.due_at;
    END IF;
    IF w.standing <> was THEN
        IF w.cut_at IS NOT NULL THEN
            PERFORM money.veto_agents(w);
        END IF;
        PERFORM money.announce(w);
    ELSIF asked IS NULL AND w.reclaim_at IS NOT NULL THEN
        PERFORM money.announce(w);
    END IF;
    RETURN w;
END $$;

-- Tells the operator that a wallet changed; the outbox row is the message, the notification only a hint.
CREATE FUNCTION money.announce(w money.wallet) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO moorage.outbox (kind, name, reason)
    VALUES ('Wallet', w.name, CASE WHEN w.reclaim_at IS NOT NULL THEN 'Reclaim' ELSE CASE w.standing
        WHEN 'Exhausted' THEN 'ZeroBalance' WHEN 'OnHold' THEN 'BillingOnHold' WHEN 'Low' THEN 'LowBalance'
        ELSE 'Funded' END END);
    PERFORM pg_notify('moorage', '');
END $$;
