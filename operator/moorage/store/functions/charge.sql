-- The ledger's inner functions: they expect the wallet row to be locked, and are nobody's to call from outside.
-- A wallet travels through them as a row value: `advance` charges it, `decide` draws the consequences and writes it.

-- The only clock of the ledger; tests replace it. Where rows are compared with it, it is asked in a subquery: once,
-- and an index can answer.
CREATE FUNCTION money.clock() RETURNS double precision LANGUAGE sql AS
    'SELECT extract(epoch FROM clock_timestamp())::double precision';

CREATE FUNCTION money.now_s() RETURNS bigint LANGUAGE sql AS 'SELECT floor(money.clock())::bigint';

-- How far charges may go: every run in burn sits on a node that is proven to this second. The node that is proven least
-- nearly always has such runs, so the loop ends where it begins, however many nodes and runs there are.
CREATE FUNCTION money.horizon(t bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    n money.node;
BEGIN
    FOR n IN SELECT * FROM money.node x WHERE x.proven < t ORDER BY x.proven LOOP
        IF EXISTS (SELECT 1 FROM money.run r WHERE r.node = n.name AND r.in_burn) THEN
            RETURN n.proven;
        END IF;
    END LOOP;
    RETURN t;
END $$;

CREATE FUNCTION money.available_picos(w money.wallet) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (w.balance_micros - w.held_micros) * 1000000 - w.carry_picos;
END $$;

CREATE FUNCTION money.length_s(seconds int8multirange) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (SELECT coalesce(sum(upper(piece) - lower(piece)), 0)::bigint FROM unnest(seconds) piece);
END $$;

-- Seconds of a run before `until_s` that were paid, given that everything before it is charged or absorbed.
CREATE FUNCTION money.charged_s(r money.run, until_s bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN until_s - r.started - money.length_s(
        (r.absorbed + r.overdue + r.waived) * int8multirange(int8range(r.started, greatest(r.started, until_s))));
END $$;

-- Walks a demand that grows at the given seconds and finds the first second that cannot be paid by all of it.
-- `until_s` NULL looks ahead without end. Multiplies only what was found affordable, so nothing overflows.
CREATE FUNCTION money.first_unpaid(
    seconds bigint[], rates bigint[], available_picos bigint, until_s bigint, OUT zero bigint, OUT left_picos bigint
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    demand bigint := 0;
    next_s bigint;
    paid   bigint;
BEGIN
    left_picos := available_picos;
    FOR i IN 1 .. cardinality(seconds) LOOP
        demand := demand + rates[i];
        next_s := coalesce(seconds[i + 1], until_s);
        CONTINUE WHEN demand = 0 OR next_s <= seconds[i];
        paid := greatest(left_picos, 0) / demand;
        IF next_s IS NULL OR paid < next_s - seconds[i] THEN
            zero := seconds[i] + paid;
            left_picos := left_picos - paid * demand;
            RETURN;
        END IF;
        left_picos := left_picos - demand * (next_s - seconds[i]);
    END LOOP;
END $$;

-- Runs of a wallet that may enter burn: their node speaks, and has proven both their cursor and the wallet's as_of.
-- Storage has no node; that it is still there is proven by the clock, until it is freed.
CREATE FUNCTION money.joinable(w money.wallet, t bigint)
RETURNS TABLE (run_id bigint, cursor_s bigint, rate_picos bigint, proven bigint) LANGUAGE sql STABLE AS $$
    SELECT r.id, r.cursor, r.rate_picos, coalesce(n.proven, t)
    FROM money.run r LEFT JOIN money.node n ON n.name = r.node
    WHERE r.wallet_id = w.id AND r.ended IS NULL AND NOT r.in_burn AND r.cut_at IS NULL AND n.silent IS NOT TRUE
      AND coalesce(n.proven, t) >= greatest(w.as_of, r.cursor) AND (w.cut_at IS NULL OR r.cursor < w.cut_at)
$$;

-- Books one movement between the wallet and a system account: the only writer of entries for a single wallet. Whether
-- the wallet may go below zero is the caller's rule.
CREATE FUNCTION money.post(
    w money.wallet, contra bigint, amount bigint, kind text, key text, effective_at bigint,
    reason text DEFAULT NULL, actor text DEFAULT NULL, run_id bigint DEFAULT NULL
) RETURNS money.wallet LANGUAGE plpgsql AS $$
BEGIN
    w.seq := w.seq + 1;
    w.balance_micros := w.balance_micros + amount;
    INSERT INTO money.entry (wallet_id, seq, contra, amount_micros, balance_after_micros, kind, key, run_id, reason,
                             actor, effective_at)
    VALUES (w.id, w.seq, contra, amount, w.balance_micros, kind, key, run_id, reason, actor, effective_at);
    RETURN w;
END $$;

-- Moves usage (or, negative, a correction) between the wallet and revenue; what is below one micro stays in the carry.
CREATE FUNCTION money.post_usage(
    w money.wallet, picos bigint, kind text, run_id bigint, effective_at bigint, contra bigint DEFAULT -2
) RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    total  bigint := w.carry_picos + picos;
    micros bigint;
BEGIN
    w.carry_picos := mod(mod(total, 1000000) + 1000000, 1000000);
    micros := (total - w.carry_picos) / 1000000;
    IF micros = 0 THEN
        RETURN w;
    END IF;
    IF micros > 0 AND micros > w.balance_micros - w.held_micros THEN
        RAISE EXCEPTION 'usage of % micros would overdraw wallet %', micros, w.id;
    END IF;
    RETURN money.post(w, contra, -micros, kind, NULL, effective_at, run_id => run_id);
END $$;

-- The seconds up to `target` at which the wallet's burn changes, and by how much: runs that join, and prices that change.
CREATE FUNCTION money.demand(
    w money.wallet, ready bigint[], target bigint, oldest bigint, steps money.price_step[],
    OUT seconds bigint[], OUT rates bigint[]
) LANGUAGE plpgsql STABLE AS $$
BEGIN
    seconds := ARRAY[w.as_of];
    rates := ARRAY[w.burn_picos];
    IF w.waiting > 0 OR cardinality(steps) > 0 THEN
        SELECT array_agg(s.second ORDER BY s.second, s.rate), array_agg(s.rate ORDER BY s.second, s.rate)
        INTO seconds, rates
        FROM (SELECT w.as_of AS second, w.burn_picos AS rate
              UNION ALL
              SELECT greatest(r.cursor, oldest), r.rate_picos FROM money.run r WHERE r.id = ANY (ready) AND r.cursor <= target
              UNION ALL
              SELECT greatest(p.second, oldest), p.delta_picos FROM unnest(steps) p JOIN money.run r ON r.id = p.run_id
              WHERE p.second <= target AND (r.in_burn OR r.id = ANY (ready) AND r.cursor <= target)) s;
    END IF;
END $$;

-- Charges everything that is proven and affordable, and lets waiting runs join: the exact path for one wallet, as far
-- as `advance` lets it go. Who is ready to join is asked once: nodes are proven and fall silent meanwhile, and whoever
-- joins must be who is charged.
CREATE FUNCTION money.charge(w money.wallet, t bigint) RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    target    bigint := greatest(w.as_of, least(money.horizon(t), t, w.cut_at));
    oldest    bigint;  -- seconds before this one are too old to charge
    available bigint := money.available_picos(w);
    steps     money.price_step[];
    demand    record;
    walk      record;
    settled   bigint;
    ready     bigint[];
    joined    bigint := 0;
    rate_sum  bigint := 0;
BEGIN
    IF w.waiting > 0 THEN
        SELECT least(target, min(j.proven)), array_agg(j.run_id) INTO target, ready FROM money.joinable(w, t) j;
    END IF;
    steps := money.price_steps(w, target);
    oldest := target - (SELECT catchup_max_seconds FROM money.policy);
    IF w.burn_picos > 0 AND w.as_of < oldest THEN
        UPDATE money.run SET overdue = overdue + int8multirange(int8range(w.as_of, oldest))
        WHERE wallet_id = w.id AND in_burn;
        w.as_of := oldest;
    END IF;
    demand := money.demand(w, ready, target, oldest, steps);
    walk := money.first_unpaid(demand.seconds, demand.rates, available, target);
    -- A backlog that cannot be paid ends before as_of, which the runs in burn have already paid.
    settled := CASE WHEN walk.zero IS NULL THEN target ELSE greatest(walk.zero, w.as_of) END;
    IF w.waiting > 0 THEN
        WITH joining AS (
            UPDATE money.run r
            SET in_burn = true, cursor = settled,
                overdue = r.overdue + int8multirange(int8range(r.cursor, greatest(r.cursor, oldest))),
                absorbed = r.absorbed
                    + int8multirange(int8range(greatest(r.cursor, oldest, coalesce(walk.zero, settled)), settled))
            WHERE r.id = ANY (ready) AND r.cursor <= target AND greatest(r.cursor, oldest) <= settled
            RETURNING r.rate_picos)
        SELECT count(*), coalesce(sum(rate_picos), 0)::bigint INTO joined, rate_sum FROM joining;
    END IF;
    w.burn_picos := w.burn_picos + rate_sum;
    w.waiting := w.waiting - joined;
    w := money.post_usage(w, available - walk.left_picos, 'Usage', NULL, settled);
    IF w.burn_picos > 0 OR joined > 0 OR EXISTS (
            SELECT 1 FROM unnest(steps) p JOIN money.run r ON r.id = p.run_id WHERE r.in_burn) THEN
        w.as_of := settled;  -- an idle wallet stands still, so that its next run starts it
    END IF;
    w := money.take_steps(w, steps);
    IF walk.zero IS NOT NULL AND NOT money.awaits_slices(w, t) THEN
        w.cut_at := w.as_of;
    END IF;
    RETURN w;
END $$;
