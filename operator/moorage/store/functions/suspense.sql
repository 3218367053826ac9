-- Suspense: payments that cannot be booked wait here for a person, and nothing of them is in the books.

-- Keeps what cannot be booked; the newest reason and snapshot of an object stay. What a person has dismissed does not
-- come back unless it has changed.
CREATE FUNCTION money.suspend(of_source text, object text, why text, kept jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t bigint := money.now_s();
BEGIN
    INSERT INTO money.suspense (source, obj_id, reason, snapshot, opened_at, deadline)
    SELECT of_source, object, why, kept, t, t + 604800
    WHERE NOT EXISTS (
        SELECT 1 FROM money.suspense d
        WHERE d.source = of_source AND d.obj_id = object AND d.resolution = 'Dismissed' AND d.reason = why
          AND d.snapshot - 'version' IS NOT DISTINCT FROM kept - 'version')
    ON CONFLICT (source, obj_id) WHERE resolved_at IS NULL
    DO UPDATE SET reason = excluded.reason, snapshot = coalesce(excluded.snapshot, suspense.snapshot);
END $$;

-- False when the object is not in suspense.
CREATE FUNCTION money.resolve(of_source text, object text, how text, why text, who text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE money.suspense x SET resolved_at = money.now_s(), resolution = how, note = why, actor = who
    WHERE x.source = of_source AND x.obj_id = object AND x.resolved_at IS NULL;
    RETURN FOUND;
END $$;

-- An object whose payload cannot be used at all.
CREATE FUNCTION money.suspend_object(of_source text, object text, why text, events text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM money.suspend(of_source, object, why, NULL);
    PERFORM money.finish_events(of_source, events);
END $$;

-- A person says whose payment it is; it is booked at once.
CREATE FUNCTION money.assign_payment(
    of_source text, object text, wallet_name text, who text, OUT outcome text, OUT reason text, OUT wallet_id bigint,
    OUT resumed integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    kept  jsonb;
    payee bigint := (SELECT x.id FROM money.wallet x WHERE x.name = wallet_name AND x.closed_at IS NULL);
BEGIN
    IF payee IS NULL THEN
        RAISE EXCEPTION 'there is no wallet of this name' USING ERRCODE = 'MO002';
    END IF;
    PERFORM 1 FROM money.payment p WHERE p.source = of_source AND p.obj_id = object FOR NO KEY UPDATE;
    SELECT x.snapshot INTO kept FROM money.suspense x
    WHERE x.source = of_source AND x.obj_id = object AND x.resolved_at IS NULL
      AND x.reason IN ('UnknownWallet', 'WalletClosed');
    IF kept IS NULL THEN
        RAISE EXCEPTION 'no payment of this number waits for a wallet' USING ERRCODE = 'MO043';
    END IF;
    UPDATE money.payment p SET wallet_id = payee WHERE p.source = of_source AND p.obj_id = object;
    SELECT * INTO outcome, reason, wallet_id, resumed FROM money.apply_object(kept, '{}');
    IF outcome = 'Suspended' THEN
        RAISE EXCEPTION 'this payment cannot be booked to that wallet: %', reason USING ERRCODE = 'MO043';
    END IF;
    UPDATE money.suspense x SET resolution = 'Assigned', actor = who
    WHERE x.id = (SELECT max(y.id) FROM money.suspense y WHERE y.source = of_source AND y.obj_id = object);
END $$;

-- A person says that nothing is to be booked, and why.
CREATE FUNCTION money.dismiss_payment(of_source text, object text, why text, who text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    IF NOT money.resolve(of_source, object, 'Dismissed', why, who) THEN
        RAISE EXCEPTION 'no payment of this number waits for a decision' USING ERRCODE = 'MO043';
    END IF;
END $$;

-- From now on what this payer pays is this wallet's.
CREATE FUNCTION money.link_payer(of_source text, who text, wallet_name text, actor text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    whose bigint := (SELECT w.id FROM money.wallet w WHERE w.name = wallet_name AND w.closed_at IS NULL);
BEGIN
    IF whose IS NULL THEN
        RAISE EXCEPTION 'there is no wallet of this name' USING ERRCODE = 'MO002';
    END IF;
    INSERT INTO money.payer (source, payer, wallet_id, linked_at, actor)
    VALUES (of_source, who, whose, money.now_s(), link_payer.actor)
    ON CONFLICT (source, payer) DO UPDATE SET
        wallet_id = excluded.wallet_id, linked_at = excluded.linked_at, actor = excluded.actor;
END $$;
