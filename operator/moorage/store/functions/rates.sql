-- Prices: asked for, agreed to, published. A version is never changed; a new one follows it at a second to come.

-- The version that is valid at a second; before the first one, that first one. NULL where the class has no price.
CREATE FUNCTION money.rate_at(wanted_meter text, wanted_class text, second bigint) RETURNS money.rate
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found_rate money.rate;
BEGIN
    SELECT * INTO found_rate FROM money.rate r
    WHERE r.meter = wanted_meter AND r.class = wanted_class AND r.valid_from <= second
    ORDER BY r.valid_from DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT * INTO found_rate FROM money.rate r
        WHERE r.meter = wanted_meter AND r.class = wanted_class ORDER BY r.valid_from LIMIT 1;
    END IF;
    RETURN found_rate;
END $$;

CREATE FUNCTION money.current_rate(wanted_meter text, wanted_class text) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    RETURN (money.rate_at(wanted_meter, wanted_class, money.now_s())).rate_picos;
END $$;

-- Whether two prices are further apart than one person may move them; from or to nothing is always far.
CREATE FUNCTION money.far_apart(one bigint, other bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN one <> other
           AND greatest(one, other) > least(one, other) * (SELECT rate_factor_max FROM money.policy);
END $$;

-- A price far from the last one, or from yesterday's, needs a second person. What nobody pays yet does not: a class
-- without a price, and one that was free while nothing of it ran.
CREATE FUNCTION money.needs_second_person(p money.rate_proposal) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    newest    money.rate := money.rate_at(p.meter, p.class, 9223372036854775807);
    yesterday money.rate := money.rate_at(p.meter, p.class, money.now_s() - 86400);
BEGIN
    IF newest.id IS NULL OR NOT EXISTS (
            SELECT 1 FROM money.rate r WHERE r.meter = p.meter AND r.class = p.class AND r.rate_picos > 0)
        AND NOT EXISTS (SELECT 1 FROM money.run o JOIN money.rate r ON r.id = o.rate_id
                        WHERE o.ended IS NULL AND r.meter = p.meter AND r.class = p.class) THEN
        RETURN false;
    END IF;
    RETURN money.far_apart(p.rate_picos, newest.rate_picos) OR money.far_apart(p.rate_picos, yesterday.rate_picos);
END $$;

-- The first second at which a new version may become valid: a while after now, and after everything that is charged, also
-- where the clock was ahead before.
CREATE FUNCTION money.earliest_change(wanted_meter text, wanted_class text) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    newest money.rate := money.rate_at(wanted_meter, wanted_class, 9223372036854775807);
BEGIN
    IF newest.id IS NULL THEN
        RETURN money.now_s();
    END IF;
    RETURN greatest(newest.valid_from + 1, (SELECT rate_lead_seconds FROM money.policy) + greatest(
        money.now_s(), (SELECT max(w.as_of) FROM money.wallet w), (SELECT max(r.cursor) FROM money.run r)));
END $$;

-- Makes a proposal the class's newest version, not before the second it was meant for.
CREATE FUNCTION money.publish(p money.rate_proposal) RETURNS money.rate LANGUAGE plpgsql AS $$
DECLARE
    made money.rate;
BEGIN
    INSERT INTO money.rate (proposal_id, meter, class, rate_picos, valid_from)
    VALUES (p.id, p.meter, p.class, p.rate_picos, greatest(p.valid_from, money.earliest_change(p.meter, p.class)))
    RETURNING * INTO made;
    PERFORM money.foresee(made);
    RETURN made;
END $$;

-- Asks for a price from a second on (NULL: as soon as possible). `rate_id` is NULL while it waits for a second person.
CREATE FUNCTION money.propose_rate(
    wanted_meter text, wanted_class text, picos bigint, from_s bigint, by_actor text, why text,
    OUT proposal_id bigint, OUT rate_id bigint, OUT valid_from bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    earliest bigint;
    p        money.rate_proposal;
    made     money.rate;
BEGIN
    LOCK TABLE money.rate IN SHARE ROW EXCLUSIVE MODE;  -- two publishers at once make one version after the other
    earliest := money.earliest_change(wanted_meter, wanted_class);
    IF from_s < earliest THEN
        RAISE EXCEPTION 'a price changes at a second to come: at % or later', to_timestamp(earliest) AT TIME ZONE 'UTC'
            USING ERRCODE = 'MO010';
    ELSIF from_s > earliest + 31622400 THEN
        RAISE EXCEPTION 'a price is set at most a year ahead' USING ERRCODE = 'MO010';
    END IF;
    IF picos IS NULL OR picos < 0 OR NOT (wanted_meter = 'Model' OR wanted_class NOT LIKE '%/%') THEN
        RAISE EXCEPTION 'this is not a price' USING ERRCODE = 'MO010';
    END IF;
    BEGIN
        INSERT INTO money.rate_proposal (meter, class, rate_picos, valid_from, actor)
        VALUES (wanted_meter, wanted_class, picos, coalesce(from_s, earliest), by_actor) RETURNING * INTO p;
        IF NOT money.needs_second_person(p) THEN
            made := money.publish(p);
        END IF;
    EXCEPTION WHEN check_violation THEN
        RAISE EXCEPTION 'there is no such meter and class, or the price is above its limit' USING ERRCODE = 'MO010';
    END;
    INSERT INTO money.audit (actor, action, subject, reason)
    VALUES (by_actor, CASE WHEN made.id IS NULL THEN 'ProposeRate' ELSE 'PublishRate' END,
            'rate-proposal/' || p.id, why);
    proposal_id := p.id;
    rate_id := made.id;
    valid_from := coalesce(made.valid_from, p.valid_from);
END $$;

-- The second person agrees. Agreeing again to what is published changes nothing.
CREATE FUNCTION money.approve_rate(
    wanted_proposal bigint, by_actor text, why text, OUT rate_id bigint, OUT valid_from bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    p    money.rate_proposal;
    made money.rate;
BEGIN
    LOCK TABLE money.rate IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO p FROM money.rate_proposal x WHERE x.id = wanted_proposal;
    IF p.id IS NULL THEN
        RAISE EXCEPTION 'there is no such proposal' USING ERRCODE = 'MO012';
    ELSIF p.actor = by_actor THEN
        RAISE EXCEPTION 'whoever proposed a price cannot approve it' USING ERRCODE = 'MO012';
    END IF;
    SELECT * INTO made FROM money.rate r WHERE r.proposal_id = p.id;
    IF made.id IS NULL THEN
        IF EXISTS (SELECT 1 FROM money.rate r JOIN money.rate_proposal later ON later.id = r.proposal_id
                   WHERE r.meter = p.meter AND r.class = p.class AND later.id > p.id) THEN
            RAISE EXCEPTION 'another price of this class was set after this proposal' USING ERRCODE = 'MO012';
        END IF;
        made := money.publish(p);
        INSERT INTO money.audit (actor, action, subject, reason)
        VALUES (by_actor, 'ApproveRate', 'rate-proposal/' || p.id, why);
    END IF;
    rate_id := made.id;
    valid_from := made.valid_from;
END $$;

-- A size's price as the operator's settings say it. Only news from the settings is published, so that a price that was
-- set by hand since is not overruled at every start; news that needs a second person is refused, not proposed.
CREATE FUNCTION money.publish_rate(wanted_size text, picos bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    asked record;
BEGIN
    LOCK TABLE money.rate IN SHARE ROW EXCLUSIVE MODE;
    IF picos IS NOT DISTINCT FROM (
            SELECT p.rate_picos FROM money.rate_proposal p WHERE p.meter = 'Pod' AND p.class = wanted_size
            AND p.actor = 'settings' ORDER BY p.id DESC LIMIT 1)
        OR picos = (money.rate_at('Pod', wanted_size, 9223372036854775807)).rate_picos THEN
        RETURN;
    END IF;
    asked := money.propose_rate('Pod', wanted_size, picos, NULL, 'settings', 'the operator''s settings');
    IF asked.rate_id IS NULL THEN
        RAISE EXCEPTION 'the new price of this size differs too much; set it by hand, with a second person'
            USING ERRCODE = 'MO011';
    END IF;
END $$;
