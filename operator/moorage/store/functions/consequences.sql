-- What follows from a wallet's balance: its zero, its standing, its agents' stop and return, the end of a run.
-- Still inner functions; each expects the wallet row to be locked.

-- The seconds at which the wallet's burn changes if everything open goes on, and by how much; the first is what it owes.
CREATE FUNCTION money.demand_ahead(w money.wallet, OUT seconds bigint[], OUT rates bigint[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
    oldest bigint := w.as_of;
    steps  money.price_step[] := money.price_steps(w, 9223372036854775807);
BEGIN
    seconds := ARRAY[w.as_of];
    rates := ARRAY[w.burn_picos];
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
END $$;

-- The first second the wallet cannot pay if everything open goes on; NULL when nothing burns.
CREATE FUNCTION money.predicted_zero(w money.wallet) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    ahead record := money.demand_ahead(w);
BEGIN
    RETURN (SELECT CASE WHEN zero IS NOT NULL THEN greatest(zero, w.as_of) END
            FROM money.first_unpaid(ahead.seconds, ahead.rates, money.available_picos(w), NULL));
END $$;

-- The first second at which the wallet is low if everything open goes on, NULL when never: its balance is below its mark,
-- or its zero, which the row knows, as near as the runway. What is low stays low until it is a tenth above both.
CREATE FUNCTION money.low_at(w money.wallet) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    mark     bigint := w.low_micros;
    runway_s bigint := (SELECT low_runway_seconds FROM money.policy);
    ahead    record;
    below_s  bigint;
BEGIN
    IF mark = 0 THEN
        RETURN NULL;
    END IF;
    IF w.standing = 'Low' THEN
        mark := mark + (mark + 9) / 10;
        runway_s := runway_s + (runway_s + 9) / 10;
    END IF;
    IF w.balance_micros < mark THEN
        RETURN w.as_of;
    END IF;
    ahead := money.demand_ahead(w);
    -- A part of a micro counts as spent when it is whole; the second that spends it is over at the next one.
    below_s := 1 + (money.first_unpaid(
        ahead.seconds, ahead.rates, (w.balance_micros - mark + 1) * 1000000 - w.carry_picos - 1, NULL)).zero;
    RETURN least(below_s, w.zero_at - runway_s);
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
           AND a.state NOT IN ('Deleted', 'Purged')
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
    IF concluded.cut_at IS NOT NULL AND NOT money.is_empty(concluded) THEN
        PERFORM moorage.spare_agents(concluded);
    END IF;
    PERFORM money.announce(concluded, CASE WHEN concluded.standing <> 'Funded' THEN 'Balance' END);
END $$;

-- The next moment somebody has to look at this wallet; always in the future, NULL when nothing can happen by itself.
CREATE FUNCTION money.next_look(w money.wallet, zero bigint, t bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- Something is due, but its proof is late or slices may still come back.
    again_s constant bigint := coalesce(w.reclaim_at + (SELECT reclaim_seconds FROM money.policy), t + 5);
BEGIN
    IF w.cut_at IS NOT NULL THEN
        RETURN CASE WHEN w.burn_picos > 0 AND w.as_of < w.cut_at THEN again_s END;
    END IF;
    -- Each on its own: a budget that waits for its proof must not put off a zero that comes sooner.
    RETURN least(CASE WHEN zero <= t THEN again_s ELSE zero END,
                 CASE WHEN w.standing = 'Funded' THEN money.low_at(w) END,
                 CASE WHEN w.reach_at <= t THEN again_s ELSE w.reach_at END, money.next_renewal(w));
END $$;

-- Lets the clock look at wallets within its next second, because something that counts for them has changed elsewhere.
CREATE FUNCTION money.look_soon(ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t bigint := money.now_s();
BEGIN
    PERFORM 1 FROM money.wallet x WHERE x.id = ANY (ids) ORDER BY x.id FOR NO KEY UPDATE;
    WITH sooner AS (
        UPDATE money.wallet x SET due_at = t
        WHERE x.id = ANY (ids) AND x.cut_at IS NULL AND (x.due_at <= t) IS NOT TRUE RETURNING x.id)
    INSERT INTO money.timer (wallet_id, due_at) SELECT id, t FROM sooner
    ON CONFLICT (wallet_id) DO UPDATE SET due_at = excluded.due_at;
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
                       WHEN money.low_at(w) <= t THEN 'Low' ELSE 'Funded' END;
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
    END IF;
    IF asked IS NULL AND w.reclaim_at IS NOT NULL THEN
        PERFORM money.announce(w, 'Reclaim');
    END IF;
    RETURN w;
END $$;

-- Tells the operator that a wallet changed; the outbox row is the message, the notification only a hint. Other news than
-- the standing is given, so that a standing is told once.
CREATE FUNCTION money.announce(w money.wallet, news text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO moorage.outbox (kind, name, reason)
    VALUES ('Wallet', w.name, coalesce(news, CASE w.standing
        WHEN 'Exhausted' THEN 'ZeroBalance' WHEN 'OnHold' THEN 'BillingOnHold' WHEN 'Low' THEN 'LowBalance'
        ELSE 'Funded' END));
    PERFORM pg_notify('moorage', '');
END $$;
