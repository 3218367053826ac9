-- Seals: a chain of hashes over everything that was booked. docs/ledger.md lists the bytes; whoever changes them breaks
-- every seal there is. A sealed block is a range of transaction ids below the oldest one that still runs: nothing that
-- commits late can belong to it.

-- 32 bytes whatever the text; nothing at all is 32 zeros.
CREATE FUNCTION money.text_hash(said text) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT coalesce(sha256(convert_to(said, 'UTF8')), decode(repeat('00', 32), 'hex'))
$$;

CREATE FUNCTION money.leaf(e money.entry) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(
        int8send(e.wallet_id) || int8send(e.seq) || int8send(e.contra) || int8send(e.amount_micros)
        || int8send(e.balance_after_micros) || int8send(coalesce(e.run_id, 0)) || int8send(e.effective_at)
        || timestamptz_send(e.at) || xid8send(e.xid) || money.text_hash(e.kind) || money.text_hash(e.key)
        || money.text_hash(e.reason) || money.text_hash(e.actor))
$$;

CREATE FUNCTION money.leaf(s money.system_entry) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(
        int8send(s.id) || int8send(s.debit) || int8send(s.credit) || int8send(s.amount_picos)
        || int8send(s.seconds) || int8send(coalesce(s.run_id, 0)) || int8send(coalesce(s.line_no, 0))
        || timestamptz_send(s.at) || xid8send(s.xid) || money.text_hash(s.cause)
        || coalesce(uuid_send(s.reservation_id), decode(repeat('00', 16), 'hex')))
$$;

-- Everything booked by the transactions of a range, in the order of the seal; `system` comes last.
CREATE FUNCTION money.sealed_rows(from_xid bigint, to_xid bigint)
RETURNS TABLE (system boolean, owner bigint, number bigint, leaf bytea) LANGUAGE sql STABLE AS $$
    SELECT false, e.wallet_id, e.seq, money.leaf(e) FROM money.entry e
    WHERE e.xid::text::bigint >= from_xid AND e.xid::text::bigint < to_xid
    UNION ALL
    SELECT true, 0, s.id, money.leaf(s) FROM money.system_entry s
    WHERE s.xid::text::bigint >= from_xid AND s.xid::text::bigint < to_xid
$$;

-- The block between two transaction ids as a seal would have it; its number, time and place in the chain are given.
CREATE FUNCTION money.block(number bigint, from_xid bigint, to_xid bigint, previous bytea, at timestamptz)
RETURNS money.seal LANGUAGE plpgsql STABLE AS $$
DECLARE
    made  money.seal;
    whole bytea;
BEGIN
    SELECT count(*) FILTER (WHERE NOT r.system), count(*) FILTER (WHERE r.system),
           coalesce(string_agg(substr(r.leaf, 1, 8), '' ORDER BY r.system, r.owner, r.number), ''),
           coalesce(string_agg(r.leaf, '' ORDER BY r.system, r.owner, r.number), '')
    INTO made.entries, made.system_entries, made.leaves, whole
    FROM money.sealed_rows(block.from_xid, block.to_xid) r;
    made.no := number;
    made.from_xid := block.from_xid;
    made.to_xid := block.to_xid;
    made.previous := block.previous;
    made.at := block.at;
    made.hash := sha256(int8send(number) || int8send(made.from_xid) || int8send(made.to_xid) || int8send(made.entries)
                        || int8send(made.system_entries) || timestamptz_send(made.at) || made.previous || sha256(whole));
    RETURN made;
END $$;

-- Seals what can be sealed, at least `rows_max` rows while there are as many and whole transactions always. No row when
-- nothing is new; call again while there is one.
CREATE FUNCTION money.seal_next(rows_max bigint) RETURNS SETOF money.seal
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    head    money.seal;
    begins  bigint;
    horizon bigint;
    last    bigint;
    made    money.seal;
BEGIN
    PERFORM pg_advisory_xact_lock(7400001, 3);
    SELECT * INTO head FROM money.seal s ORDER BY s.no DESC LIMIT 1;
    begins := coalesce(head.to_xid, 0);
    horizon := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
    SELECT max(x.xid) INTO last FROM (
        SELECT e.xid::text::bigint AS xid FROM money.entry e
        WHERE e.xid::text::bigint >= begins AND e.xid::text::bigint < horizon
        UNION ALL
        SELECT s.xid::text::bigint FROM money.system_entry s
        WHERE s.xid::text::bigint >= begins AND s.xid::text::bigint < horizon
        ORDER BY 1 LIMIT rows_max) x;
    IF last IS NOT NULL THEN
        made := money.block(coalesce(head.no, 0) + 1, begins, last + 1,
                            coalesce(head.hash, decode(repeat('00', 32), 'hex')), clock_timestamp());
        INSERT INTO money.seal SELECT made.*;
        RETURN NEXT made;
    END IF;
END $$;

-- What does not fit a seal any more: the rows that were changed or slipped in, and the seal itself.
CREATE FUNCTION money.broken_seal(wanted bigint) RETURNS TABLE (wallet_id bigint, key text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    s      money.seal;
    now_is money.seal;
    kept   bytea;
BEGIN
    SELECT * INTO s FROM money.seal x WHERE x.no = wanted;
    now_is := money.block(s.no, s.from_xid, s.to_xid, s.previous, s.at);
    kept := s.leaves || ''::bytea;  -- read once, not once per leaf
    IF now_is.hash = s.hash AND now_is.leaves = kept THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT nullif(r.owner, 0), CASE WHEN r.system THEN 'system entry ' || r.number
                                        ELSE 'entry ' || r.owner || '/' || r.number END
        FROM money.sealed_rows(s.from_xid, s.to_xid) r
        WHERE substr(r.leaf, 1, 8) NOT IN (
            SELECT substr(kept, 1 + 8 * n, 8) FROM generate_series(0, length(kept) / 8 - 1) n)
        ORDER BY r.system, r.owner, r.number;
    RETURN QUERY SELECT NULL::bigint, 'seal ' || s.no;
END $$;
