-- Who may call what; everybody else may call nothing.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA money, moorage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    moorage.require_epoch(bigint), moorage.grant_movers(bigint), moorage.mover_queue_now(),
    moorage.set_mover_limits(bigint, integer, integer),
    moorage.ask_for_snapshot(text, text), moorage.choose_data(text, text, uuid)
TO moorage_app;
GRANT EXECUTE ON FUNCTION
    money.clock(), money.now_s(), money.current_rate(text, text), money.zero_at(bigint), money.missing_micros(bigint),
    money.accrued_balance_micros(bigint), money.low_by_runway(bigint)
TO moorage_app, moorage_read;
GRANT EXECUTE ON FUNCTION
    money.set_policy(bigint, bigint, bigint, bigint),
    money.ensure_wallet(bigint, text, uuid, bigint, bigint), money.grant_credit(text, bigint, text, text, text),
    money.open_run(bigint, uuid, uuid, text, text, text, bigint), money.close_run(bigint, uuid, bigint, text),
    money.prove(bigint, text[], bigint[]), money.park_silent(bigint, integer),
    money.join_proven(bigint, bigint, integer), money.settle_due(bigint, integer),
    money.set_budget(bigint, uuid, bigint), money.settle_range(bigint, bigint, bigint), money.veto(uuid)
TO moorage_app;
GRANT EXECUTE ON FUNCTION
    money.approve_rate(bigint, text, text), money.propose_rate(text, text, bigint, bigint, text, text),
    money.publish_rate(text, bigint)
TO moorage_app;
GRANT EXECUTE ON FUNCTION
    money.absorbed_since(bigint), money.keep_month(bigint, uuid, interval),
    money.close_storage(bigint, text, text), money.open_storage(bigint, uuid, text, text, bigint),
    money.prepare_months(bigint, integer), money.reprice(bigint, bigint, integer),
    money.write_statements(bigint, integer, bigint, integer)
TO moorage_app;
GRANT EXECUTE ON FUNCTION
    money.apply_object(jsonb, text[]), money.approve_correction(bigint, text),
    money.assign_payment(text, text, text, text), money.close_wallet(text, text, text),
    money.dismiss_payment(text, text, text, text), money.expire_credit(integer),
    money.give_credit(text, text, text, bigint, bigint, text, text), money.keep_event(text, text, text, jsonb),
    money.lift_hold(bigint, text, text, text), money.link_payer(text, text, text, text),
    money.merge_wallets(text, text, text, text), money.place_hold(bigint, text, text, text),
    money.put_back(text, text, text[], text), money.record_consumption(bigint, integer),
    money.request_correction(text, bigint, text, text, text), money.suspend_object(text, text, text, text[]),
    money.take_events(text[], integer)
TO moorage_app;

GRANT EXECUTE ON FUNCTION
    moorage.claim_hostname(bigint, uuid, integer), moorage.claim_standing(uuid),
    moorage.release_hostname(bigint, uuid, interval), moorage.release_after(uuid),
    moorage.note_proof(bigint, uuid, boolean)
TO moorage_app;

-- Keys are added by whoever first seals; what takes the place of another, and what goes, passes these doors.
GRANT EXECUTE ON FUNCTION
    moorage.rewrap_keys(text, text, uuid[], integer[], bytea[], bytea[]),
    moorage.add_key_version(text, uuid, integer, text, bytea), moorage.sealed_values(uuid, integer, integer),
    moorage.reseal(text, uuid, integer, text[], uuid[], bytea[], bytea[]),
    moorage.retire_key_version(text, uuid, integer)
TO moorage_app;

-- The application writes down what it decides; what destroys data is written by doors only.
GRANT EXECUTE ON FUNCTION
    moorage.purge_agent(bigint, uuid, bigint), moorage.note_volume(bigint, uuid, uuid),
    moorage.entomb_snapshots(bigint, integer), moorage.purge_snapshot(bigint, uuid),
    moorage.note_object(bigint, uuid, boolean), moorage.take_notices(bigint, integer),
    moorage.note_delivery(bigint, uuid, timestamptz, text, text), moorage.told_at(uuid, timestamptz),
    moorage.purge_now(), moorage.hold_snapshot(uuid), moorage.stop_purges(text, text), moorage.allow_purges(text, text),
    moorage.release_purges(text, text), money.wallet_is_empty(bigint)
TO moorage_app;
DO $$
DECLARE
    shut record;
BEGIN
    FOR shut IN SELECT * FROM (VALUES
        ('agent', ARRAY['purged_at']), ('domain', ARRAY['paid_until', 'unpaid_since', 'release_at', 'renew_at']), ('attempt', ARRAY['wrapped_key']),
        ('snapshot', ARRAY['wrapped_key', 'purge_after', 'purged_at', 'object_tried_at', 'object_removed_at'])
    ) doors_only (of_table, columns) LOOP
        EXECUTE format('REVOKE UPDATE ON moorage.%I FROM moorage_app', shut.of_table);
        EXECUTE (SELECT format('GRANT UPDATE (%s) ON moorage.%I TO moorage_app',
                               string_agg(quote_ident(c.attname), ', '), shut.of_table)
                 FROM pg_attribute c WHERE c.attrelid = format('moorage.%I', shut.of_table)::regclass
                 AND c.attnum > 0 AND NOT c.attisdropped AND c.attname <> ALL (shut.columns));
    END LOOP;
END $$;

-- A statement names agents, and nothing else of them.
GRANT SELECT (uid, namespace, name) ON moorage.agent TO moorage_read;

-- A gateway takes slices and reports what it spent; it reads no table and moves nothing else.
GRANT EXECUTE ON FUNCTION
    money.register_gateway(text), money.lease_open(text, bigint, uuid, bigint, bigint, bigint),
    money.lease_resize(text, bigint, uuid, bigint), money.lease_close(text, bigint, uuid),
    money.lease_flush(text, bigint, money.request[]), money.leases_asked_back(text, bigint),
    money.open_leases(text, bigint), money.hold_open(text, bigint, uuid, bigint, uuid, bigint),
    money.hold_settle(text, bigint, money.request), money.hold_void(text, bigint, uuid)
TO moorage_gateway;
GRANT EXECUTE ON FUNCTION
    money.expire_leases(bigint, integer), money.expire_holds(bigint, integer), money.prepare_usage_days(bigint, integer)
TO moorage_app;

-- Whoever checks the books sees all of them, and no keys.
GRANT SELECT ON ALL TABLES IN SCHEMA money TO moorage_verify;
GRANT SELECT ON moorage.agent, moorage.leader TO moorage_verify;
GRANT SELECT (uid, tenant_uid, hostname, own, state, proven_at, deleted_at) ON moorage.domain TO moorage_verify;
GRANT SELECT ON moorage.claim TO moorage_verify;
GRANT SELECT (uid, wallet_id) ON moorage.tenant TO moorage_verify;
GRANT EXECUTE ON FUNCTION
    money.clock(), money.now_s(), money.zero_at(bigint), money.seal_next(bigint), money.trust_lineage(text, text),
    money.record_verification(bigint, bigint, integer, text[], text[], bigint[], bigint, text)
TO moorage_verify;
GRANT EXECUTE ON FUNCTION money.broken_seal(bigint) TO moorage_app, moorage_verify;
GRANT EXECUTE ON FUNCTION
    money.doubt_lineage(text, text), money.lineage_now(), moorage.take_lead(text, double precision)
TO moorage_app;
