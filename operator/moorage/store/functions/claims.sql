-- Who holds a host name. Every change of a claim passes these doors, which lock the tenant first and then the name.

-- 'Held', 'Taken', 'Quarantined' or 'Limit'. A claim that nobody has proven gives way to one that is proven.
CREATE FUNCTION moorage.claim_hostname(of_epoch bigint, of_domain uuid, names_max integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    d    moorage.domain;
    c    moorage.claim;
    held bigint;
BEGIN
    PERFORM moorage.require_epoch(of_epoch);
    SELECT * INTO d FROM moorage.domain WHERE uid = of_domain AND deleted_at IS NULL;
    IF d.uid IS NULL OR d.state NOT IN ('Pending', 'Released') THEN
        RETURN CASE WHEN d.uid IS NULL THEN 'Taken' ELSE moorage.claim_standing(of_domain) END;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(d.tenant_uid::text, 7400010));
    PERFORM pg_advisory_xact_lock(hashtextextended(d.hostname, 7400011));
    SELECT * INTO c FROM moorage.claim WHERE hostname = d.hostname FOR UPDATE;
    IF c.domain_uid = d.uid THEN
        UPDATE moorage.claim SET proven_at = coalesce(proven_at, d.proven_at) WHERE hostname = d.hostname;
        RETURN 'Held';
    ELSIF c.domain_uid IS NOT NULL AND (c.tenant_uid = d.tenant_uid OR c.proven_at IS NOT NULL OR d.proven_at IS NULL)
    THEN
        RETURN 'Taken';
    ELSIF c.domain_uid IS NULL AND c.quarantine_until > to_timestamp(money.clock()) AND c.tenant_uid <> d.tenant_uid THEN
        RETURN 'Quarantined';
    END IF;
    SELECT count(*) INTO held FROM moorage.claim WHERE tenant_uid = d.tenant_uid AND domain_uid IS NOT NULL;
    IF held >= names_max THEN
        RETURN 'Limit';
    END IF;
    INSERT INTO moorage.claim (hostname, tenant_uid, domain_uid, proven_at)
    VALUES (d.hostname, d.tenant_uid, d.uid, d.proven_at)
    ON CONFLICT (hostname) DO UPDATE SET tenant_uid = excluded.tenant_uid, domain_uid = excluded.domain_uid,
        proven_at = excluded.proven_at, claimed_at = to_timestamp(money.clock()), quarantine_until = NULL;
    RETURN 'Held';
END $$;

-- How a Domain stands to its name, without changing anything.
CREATE FUNCTION moorage.claim_standing(of_domain uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
    SELECT CASE
        WHEN c.hostname IS NULL THEN 'Free'
        WHEN c.domain_uid = d.uid THEN 'Held'
        WHEN c.domain_uid IS NOT NULL THEN 'Taken'
        WHEN c.quarantine_until > to_timestamp(money.clock()) AND c.tenant_uid <> d.tenant_uid THEN 'Quarantined'
        ELSE 'Free' END
    FROM moorage.domain d LEFT JOIN moorage.claim c ON c.hostname = d.hostname
    WHERE d.uid = of_domain
$$;

-- Gives the name up, if this Domain holds it; a second time changes nothing.
CREATE FUNCTION moorage.release_hostname(of_epoch bigint, of_domain uuid, quarantine interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM moorage.require_epoch(of_epoch);
    UPDATE moorage.claim SET domain_uid = NULL, quarantine_until = to_timestamp(money.clock()) + quarantine, proven_at = NULL
    WHERE domain_uid = of_domain;
END $$;
