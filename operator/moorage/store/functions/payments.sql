-- Payments: what a newer snapshot of a provider's object changes is booked, each difference once.

-- Micro-credits for an amount in a provider's units, rounded down; NULL above what a wallet may hold.
CREATE FUNCTION money.converted(ext numeric, num bigint, den bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    micros numeric := div(ext * num, den);
BEGIN
    RETURN CASE WHEN micros <= 9000000000000 THEN micros END;
END $$;

-- Whose payment this is: whom it was booked or assigned to, whom the object names, or who is known to pay. A merged
-- wallet lives on in another.
CREATE FUNCTION money.payee(p money.payment, s money.payment_snapshot) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    whose bigint := coalesce(p.wallet_id, s.wallet_id,
        (SELECT y.wallet_id FROM money.payer y WHERE y.source = s.source AND y.payer = s.payer));
    heir  bigint;
BEGIN
    LOOP
        SELECT w.merged_into INTO heir FROM money.wallet w WHERE w.id = whose;
        EXIT WHEN heir IS NULL;
        whose := heir;
    END LOOP;
    RETURN whose;
END $$;

-- Locks the row of a payment, which is made when the object is seen first.
CREATE FUNCTION money.lock_payment(s money.payment_snapshot) RETURNS money.payment LANGUAGE plpgsql AS $$
DECLARE
    p money.payment;
    t bigint := money.now_s();
BEGIN
    INSERT INTO money.payment (source, obj_id, payer, currency, ext_amount, rate_num, rate_den, version,
                               first_seen_at, changed_at)
    VALUES (s.source, s.obj_id, s.payer, s.currency, 0, s.rate_num, s.rate_den, s.version, t, t)
    ON CONFLICT DO NOTHING;
    PERFORM 1 FROM money.payment x WHERE x.source = s.source AND x.obj_id = s.obj_id FOR NO KEY UPDATE;
    SELECT * INTO p FROM money.payment x WHERE x.source = s.source AND x.obj_id = s.obj_id;
    RETURN p;
END $$;

-- The payment as the snapshot wants it. Until something is booked, amount and rate are the snapshot's; after that they
-- stay, so that a refund costs what the payment brought.
CREATE FUNCTION money.target(p money.payment, s money.payment_snapshot) RETURNS money.payment
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p.granted_micros = 0 THEN
        p.currency := s.currency;
        p.ext_amount := s.paid_ext;
        p.rate_num := s.rate_num;
        p.rate_den := s.rate_den;
    END IF;
    p.payer := coalesce(p.payer, s.payer);
    p.granted_micros := money.converted(s.paid_ext, p.rate_num, p.rate_den);
    p.lost_micros := money.converted(s.lost_ext, p.rate_num, p.rate_den);
    p.reversed_micros := money.converted(s.refunded_ext, p.rate_num, p.rate_den) + p.lost_micros;
    p.disputed_micros := money.converted(s.disputed_ext, p.rate_num, p.rate_den);
    p.fee_micros := s.fee_micros;
    p.penalty_micros := s.penalty_micros;
    p.version := s.version;
    RETURN p;
END $$;

-- Why a payment cannot become its target in this wallet, NULL when it can.
CREATE FUNCTION money.objection(p money.payment, n money.payment, s money.payment_snapshot, w money.wallet)
RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN least(s.paid_ext, s.refunded_ext, s.disputed_ext, s.lost_ext) < 0 THEN 'AmountRefused'
        WHEN s.refunded_ext + s.disputed_ext + s.lost_ext > s.paid_ext THEN 'RefundAbovePayment'
        WHEN s.currency <> n.currency OR s.paid_ext <> n.ext_amount THEN 'PaymentChanged'
        WHEN n.granted_micros IS NULL THEN 'AmountOverflow'
        WHEN n.granted_micros = 0 AND s.paid_ext > 0 THEN 'AmountRefused'
        WHEN w.id IS NULL THEN 'UnknownWallet'
        WHEN w.closed_at IS NOT NULL AND (n.granted_micros, n.reversed_micros, n.disputed_micros)
             IS DISTINCT FROM (p.granted_micros, p.reversed_micros, p.disputed_micros) THEN 'WalletClosed'
        WHEN w.balance_micros + n.granted_micros - p.granted_micros > 9000000000000 THEN 'AmountOverflow'
    END;
END $$;

-- What a provider keeps, asks for or gives back moves between its cash and our expenses.
CREATE FUNCTION money.book_fees(p money.payment, n money.payment, cash bigint, t bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO money.platform_entry (debit, credit, amount_micros, key, effective_at)
    SELECT CASE WHEN more > 0 THEN expense ELSE cash END, CASE WHEN more > 0 THEN cash ELSE expense END, abs(more),
           format('%s/%s/%s/%s', p.source, p.obj_id, what, n.steps), t
    FROM (VALUES (-12, 'fee', n.fee_micros - p.fee_micros), (-13, 'penalty', n.penalty_micros - p.penalty_micros))
        kept (expense, what, more)
    WHERE more <> 0;
END $$;

-- Books what leads from one state of a payment to the next, and holds the wallet while a dispute is open.
-- `n.steps` numbers the movements; the last number is returned.
CREATE FUNCTION money.book_payment(p money.payment, n money.payment, w money.wallet, OUT steps integer, OUT resumed integer)
LANGUAGE plpgsql AS $$
DECLARE
    t        bigint := greatest(money.now_s(), w.as_of);
    cash     bigint := CASE p.source WHEN 'Stripe' THEN -7 WHEN 'Tribute' THEN -8 ELSE -9 END;
    ref      text := p.source || '/' || p.obj_id;
    refunded bigint := (n.reversed_micros - n.lost_micros) - (p.reversed_micros - p.lost_micros);
    withheld bigint := (n.disputed_micros + n.lost_micros) - (p.disputed_micros + p.lost_micros);
    moves    bigint[] := ARRAY[n.granted_micros - p.granted_micros, -refunded, -withheld];
    kinds    text[] := ARRAY['TopUp', CASE WHEN refunded > 0 THEN 'Refund' ELSE 'Reinstatement' END,
                             CASE WHEN withheld > 0 THEN 'Dispute' ELSE 'Reinstatement' END];
BEGIN
    steps := p.steps + 1;
    n.steps := steps;
    PERFORM money.book_fees(p, n, cash, t);
    -- What is owed until now is settled first, so that old seconds do not eat new credit.
    w := money.decide(money.advance(w, t), t);
    FOR i IN 1 .. 3 LOOP
        CONTINUE WHEN moves[i] = 0;
        w := money.post(w, cash, moves[i], kinds[i], format('%s/%s', ref, steps), t);
        steps := steps + 1;
    END LOOP;
    IF n.disputed_micros > 0 THEN
        PERFORM money.note_hold(w.id, 'Dispute', ref, p.source);
    ELSE
        PERFORM money.note_lift(w.id, 'Dispute', ref, p.source);
    END IF;
    w.on_hold := money.is_held(w.id);
    resumed := (SELECT c.resumed FROM money.conclude(w, t) c);
END $$;

CREATE FUNCTION money.save_payment(n money.payment, outcome text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE money.payment x SET
        wallet_id = n.wallet_id, payer = n.payer, currency = n.currency, ext_amount = n.ext_amount,
        rate_num = n.rate_num, rate_den = n.rate_den, granted_micros = n.granted_micros,
        reversed_micros = n.reversed_micros, lost_micros = n.lost_micros, disputed_micros = n.disputed_micros,
        fee_micros = n.fee_micros, penalty_micros = n.penalty_micros, steps = n.steps, version = n.version,
        changed_at = CASE WHEN outcome = 'Applied' THEN money.now_s() ELSE x.changed_at END
    WHERE x.source = n.source AND x.obj_id = n.obj_id;
    PERFORM money.resolve(n.source, n.obj_id, 'Applied', NULL, n.source);
END $$;

-- Makes a payment what a newer snapshot of its object says, and ends the events that led to it. The result is the same
-- for any order and number of repeats, because only the difference to what is booked is booked.
-- Outcomes: Applied, Unchanged, Stale (a newer snapshot was applied before), Suspended (`reason` says why).
CREATE FUNCTION money.apply_object(
    snapshot jsonb, events text[], OUT outcome text, OUT reason text, OUT wallet_id bigint, OUT resumed integer
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    s    money.payment_snapshot := jsonb_populate_record(NULL::money.payment_snapshot, snapshot);
    p    money.payment := money.lock_payment(s);
    n    money.payment;
    w    money.wallet;
BEGIN
    resumed := 0;
    IF s.version < p.version THEN
        outcome := 'Stale';
    ELSE
        n := money.target(p, s);
        w := money.lock_wallet(money.payee(p, s));
        IF w.merged_into IS NOT NULL THEN
            RAISE EXCEPTION 'the wallet was merged while it was waited for' USING ERRCODE = '40001';
        END IF;
        wallet_id := w.id;
        reason := money.objection(p, n, s, w);
        IF reason IS NOT NULL THEN
            outcome := 'Suspended';
            PERFORM money.suspend(s.source, s.obj_id, reason, snapshot);
        ELSE
            outcome := 'Unchanged';
            IF (p.granted_micros, p.reversed_micros, p.lost_micros, p.disputed_micros, p.fee_micros, p.penalty_micros)
               <> (n.granted_micros, n.reversed_micros, n.lost_micros, n.disputed_micros, n.fee_micros,
                   n.penalty_micros) THEN
                outcome := 'Applied';
                SELECT b.steps, b.resumed INTO n.steps, resumed FROM money.book_payment(p, n, w) b;
            END IF;
            n.wallet_id := w.id;
            PERFORM money.save_payment(n, outcome);
        END IF;
    END IF;
    PERFORM money.finish_events(s.source, events);
END $$;
