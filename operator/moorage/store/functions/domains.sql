-- Host names are paid by the month, in advance. Three days before a month begins its price is set aside as a hold, and
-- taken when it begins; who cannot pay is told, and keeps the name for some days more.

-- The end of the so-manieth month after an anchor, counted by the calendar of UTC.
CREATE FUNCTION money.month_end(anchor_at timestamptz, months integer) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (anchor_at AT TIME ZONE 'UTC' + months * interval '1 month') AT TIME ZONE 'UTC';
END $$;

-- What a month that begins at this moment costs, as far as it is known now; 0 without a price.
CREATE FUNCTION money.month_micros(begins_at timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    second bigint := floor(extract(epoch FROM begins_at))::bigint;
    price  money.rate := money.rate_at('Domain', '', second);
BEGIN
    RETURN CASE WHEN price.valid_from <= second THEN (price.rate_picos + 999999) / 1000000 ELSE 0 END;
END $$;

-- The month that is paid next. It follows the last one while that lasts, also for a Domain that was deleted and made
-- again, and after its end only for one that has been there without a break; any other begins now.
CREATE FUNCTION money.next_month(d moorage.domain, payer bigint, t timestamptz) RETURNS money.domain_month
LANGUAGE plpgsql STABLE AS $$
DECLARE
    last money.domain_month;
    n    money.domain_month;
BEGIN
    SELECT * INTO last FROM money.domain_month m WHERE m.tenant_uid = d.tenant_uid AND m.hostname = d.hostname
    ORDER BY m.ends_at DESC LIMIT 1;
    n.tenant_uid := d.tenant_uid;
    n.hostname := d.hostname;
    n.wallet_id := payer;
    n.anchor_at := t;
    n.number := 0;
    n.begins_at := t;
    IF last.ends_at > t OR last.ends_at = d.paid_until AND d.state_since <= last.ends_at THEN
        n.anchor_at := last.anchor_at;
        n.number := last.number + 1;
        n.begins_at := last.ends_at;
    END IF;
    n.ends_at := money.month_end(n.anchor_at, n.number + 1);
    n.period := to_char(n.begins_at AT TIME ZONE 'UTC', 'YYYY-MM');
    n.amount_micros := money.month_micros(n.begins_at);
    n.paid_at := t;
    RETURN n;
END $$;

-- Up to the month `n` all is paid. Near its begin its price is set aside; when that fails, the owner is told once.
CREATE FUNCTION money.set_month_aside(INOUT w money.wallet, INOUT d moorage.domain, n money.domain_month, h money.hold)
LANGUAGE plpgsql AS $$
DECLARE
    hold_at timestamptz := n.begins_at - interval '3 days';
BEGIN
    d.paid_until := n.begins_at;
    d.unpaid_since := NULL;
    d.release_at := NULL;
    IF n.paid_at < hold_at THEN
        d.renew_at := hold_at;
    ELSIF h.id IS NOT NULL OR n.amount_micros = 0 THEN
        d.renew_at := n.begins_at;
    ELSIF n.amount_micros < money.spare_micros(w) THEN
        INSERT INTO money.hold (id, wallet_id, domain_uid, amount_micros, opened_at, expires_at)
        VALUES (gen_random_uuid(), w.id, d.uid, n.amount_micros, floor(extract(epoch FROM n.paid_at)),
                floor(extract(epoch FROM n.begins_at)));
        w.held_micros := w.held_micros + n.amount_micros;
        d.renew_at := n.begins_at;
    ELSE
        PERFORM moorage.tell_owner(d.uid, n.begins_at, 'MonthEnds', n.paid_at);
        d.renew_at := least(n.begins_at, n.paid_at + interval '1 minute');
    END IF;
END $$;

-- The month `n` has begun: it is paid with what was set aside for it, never with more, or else with what the wallet can
-- spare. What cannot be paid is tried again, and the owner is told when the name becomes free.
CREATE FUNCTION money.pay_month(
    INOUT w money.wallet, INOUT d moorage.domain, n money.domain_month, h money.hold, unpaid_for interval
) LANGUAGE plpgsql AS $$
DECLARE
    pays boolean;
    paid bigint;
BEGIN
    IF h.id IS NOT NULL THEN
        n.amount_micros := least(n.amount_micros, h.amount_micros);
        w := money.release_hold(w, h, 'Voided');
    END IF;
    pays := n.amount_micros = 0 OR CASE WHEN h.id IS NULL THEN n.amount_micros < money.spare_micros(w)
        ELSE NOT w.on_hold AND n.amount_micros * 1000000 <= money.available_picos(w) END;
    IF NOT pays THEN
        d.unpaid_since := coalesce(d.unpaid_since, n.paid_at);
        d.release_at := coalesce(d.release_at, n.paid_at + unpaid_for);
        d.renew_at := n.paid_at + interval '1 minute';
        PERFORM moorage.tell_owner(d.uid, d.release_at, 'MonthUnpaid', n.paid_at);
        IF d.release_at - interval '1 day' <= n.paid_at THEN
            PERFORM moorage.tell_owner(d.uid, d.release_at, 'ReleaseSoon', n.paid_at);
        END IF;
        RETURN;
    END IF;
    IF h.id IS NOT NULL AND n.amount_micros > 0 THEN
        UPDATE money.hold SET state = 'Settled', paid_picos = n.amount_micros * 1000000 WHERE id = h.id
        RETURNING id INTO n.hold_id;
    END IF;
    INSERT INTO money.domain_month
        (tenant_uid, hostname, period, anchor_at, number, begins_at, ends_at, wallet_id, amount_micros, hold_id, paid_at)
    VALUES (n.tenant_uid, n.hostname, n.period, n.anchor_at, n.number, n.begins_at, n.ends_at, n.wallet_id,
            n.amount_micros, n.hold_id, n.paid_at) RETURNING id INTO paid;
    IF n.amount_micros > 0 THEN
        w := money.post(w, -5, -n.amount_micros, 'Domain', 'Domain/' || paid, greatest(money.now_s(), w.as_of), n.hostname);
    END IF;
    d.paid_until := n.ends_at;
    d.unpaid_since := NULL;
    d.release_at := NULL;
    d.renew_at := n.ends_at - interval '3 days';
END $$;

-- Locks the wallet that pays for a Domain; again, because it may have been merged into another one meanwhile.
CREATE FUNCTION money.lock_payer(of_domain uuid) RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    w money.wallet;
BEGIN
    PERFORM money.lock_wallet((SELECT n.wallet_id FROM moorage.domain d JOIN moorage.tenant n ON n.uid = d.tenant_uid
                               WHERE d.uid = of_domain));
    w := money.lock_wallet((SELECT n.wallet_id FROM moorage.domain d JOIN moorage.tenant n ON n.uid = d.tenant_uid
                            WHERE d.uid = of_domain));
    RETURN w;
END $$;

-- Does what is due for the months of one Domain at this moment: pays, sets aside, frees what it set aside for a name
-- that is given up, and lets a name that was given up unpaid be claimed again once there is credit. Again changes nothing.
CREATE FUNCTION money.keep_month(epoch bigint, of_domain uuid, unpaid_for interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    w    money.wallet;
    was  moorage.domain;
    d    moorage.domain;
    h    money.hold;
    n    money.domain_month;
    t    bigint;
    done record;
BEGIN
    PERFORM moorage.require_epoch(epoch);
    w := money.lock_payer(of_domain);
    PERFORM 1 FROM moorage.domain x WHERE x.uid = of_domain FOR NO KEY UPDATE;
    SELECT * INTO was FROM moorage.domain x WHERE x.uid = of_domain;
    IF was.uid IS NULL THEN
        RETURN;
    END IF;
    t := greatest(money.now_s(), w.as_of);
    w := money.advance(w, t);
    d := was;
    n := money.next_month(d, w.id, to_timestamp(t));
    SELECT * INTO h FROM money.hold x WHERE x.domain_uid = of_domain AND x.state = 'Open';
    IF h.id IS NOT NULL AND (d.deleted_at IS NOT NULL OR d.state <> 'Active'
                             OR h.expires_at <> floor(extract(epoch FROM n.begins_at))) THEN
        w := money.release_hold(w, h, 'Voided');
        h := NULL;
    END IF;
    IF d.deleted_at IS NULL AND d.state = 'Active' THEN
        IF n.begins_at > to_timestamp(t) THEN
            done := money.set_month_aside(w, d, n, h);
        ELSE
            done := money.pay_month(w, d, n, h, unpaid_for);
        END IF;
        w := done.w;
        d := done.d;
    ELSIF d.state = 'Released' AND d.unpaid_since IS NOT NULL THEN
        d.renew_at := to_timestamp(t) + interval '1 minute';
        IF n.amount_micros = 0 OR n.amount_micros < money.spare_micros(w) THEN
            d.unpaid_since := NULL;
            d.release_at := NULL;
            d.renew_at := '-infinity';
        END IF;
    END IF;
    PERFORM money.take_back(w, t);
    PERFORM moorage.note_months(was, d);
END $$;

-- Writes down how a Domain is paid, and rings for it when that has changed.
CREATE FUNCTION moorage.note_months(was moorage.domain, d moorage.domain) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE moorage.domain x SET
        paid_until = d.paid_until, unpaid_since = d.unpaid_since, release_at = d.release_at, renew_at = d.renew_at
    WHERE x.uid = d.uid AND x.deleted_at IS NULL;
    IF (was.paid_until, was.unpaid_since) IS DISTINCT FROM (d.paid_until, d.unpaid_since) THEN
        INSERT INTO moorage.outbox (kind, namespace, name, reason)
        VALUES ('Domain', d.namespace, d.name, CASE WHEN d.unpaid_since IS NULL THEN 'MonthPaid' ELSE 'MonthUnpaid' END);
        PERFORM pg_notify('moorage', '');
    END IF;
END $$;

-- Gives back what is set aside for months of a locked wallet; the next look sets it aside again, from whoever pays then.
CREATE FUNCTION money.free_months(w money.wallet) RETURNS money.wallet LANGUAGE plpgsql AS $$
DECLARE
    h money.hold;
BEGIN
    FOR h IN SELECT * FROM money.hold x WHERE x.wallet_id = w.id AND x.state = 'Open' AND x.domain_uid IS NOT NULL LOOP
        w := money.release_hold(w, h, 'Voided');
        UPDATE moorage.domain x SET renew_at = '-infinity' WHERE x.uid = h.domain_uid;
    END LOOP;
    RETURN w;
END $$;

-- When a name that is not paid is given up: never less than a day after its owner was told so for the last time, and
-- never while its wallet is on hold. Once it is being given up, nothing of that matters any more.
CREATE FUNCTION moorage.release_after(of_domain uuid) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN d.state <> 'Active' THEN d.release_at ELSE greatest(
            d.release_at, interval '1 day' + CASE WHEN w.on_hold THEN moorage.moment()
                                                  ELSE coalesce(told.delivered_at, moorage.moment()) END) END
        FROM moorage.domain d JOIN moorage.tenant n ON n.uid = d.tenant_uid JOIN money.wallet w ON w.id = n.wallet_id
        LEFT JOIN moorage.notice told
            ON told.about_uid = d.uid AND told.deadline = d.release_at AND told.stage = 'ReleaseSoon'
        WHERE d.uid = of_domain AND d.release_at IS NOT NULL);
END $$;
