-- Domains are paid by the month, in advance: one entry per domain and month, or none.

CREATE FUNCTION money.charge_domain_month(
    of_wallet bigint, domain text, period text, OUT amount_micros bigint, OUT repeated boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    wanted_key constant text := 'domain/' || domain || '/' || period;
    w          money.wallet;
    t          bigint;
    seen       money.entry;
    picos      bigint;
BEGIN
    IF period IS NULL OR period !~ '^[0-9]{4}-(0[1-9]|1[0-2])$' OR domain IS NULL OR length(domain) NOT BETWEEN 1 AND 180
    THEN
        RAISE EXCEPTION 'a domain is charged for a month such as 2026-01' USING ERRCODE = 'MO003';
    END IF;
    -- The key before the wallet: two charges of one month wait for each other, whichever wallets they name.
    PERFORM pg_advisory_xact_lock(hashtextextended(wanted_key, 7400001));
    w := money.lock_wallet(of_wallet);
    IF w.id IS NULL OR w.closed_at IS NOT NULL THEN
        RAISE EXCEPTION 'there is no open wallet of this number' USING ERRCODE = 'MO002';
    END IF;
    SELECT * INTO seen FROM money.entry e WHERE e.key = wanted_key;
    repeated := seen.key IS NOT NULL;
    IF repeated THEN
        IF seen.wallet_id <> w.id THEN
            RAISE EXCEPTION 'another wallet has paid this month of the domain' USING ERRCODE = 'MO004';
        END IF;
        amount_micros := -seen.amount_micros;
        RETURN;
    END IF;
    t := greatest(money.now_s(), w.as_of);
    picos := (money.rate_at('Domain', '', t)).rate_picos;
    IF picos IS NULL THEN
        RAISE EXCEPTION 'there is no price for domains' USING ERRCODE = 'MO014';
    END IF;
    amount_micros := (picos + 999999) / 1000000;
    w := money.decide(money.advance(w, t), t);
    -- The month is paid with what is left over: a domain never takes the last second from what runs.
    IF w.cut_at IS NOT NULL OR w.balance_micros - w.held_micros <= amount_micros THEN
        RAISE EXCEPTION 'the credit does not suffice for a month of this domain' USING ERRCODE = 'MO015';
    END IF;
    IF amount_micros > 0 THEN
        PERFORM money.decide(money.post(w, -5, -amount_micros, 'Domain', wanted_key, t), t);
    END IF;
END $$;
