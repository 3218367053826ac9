-- Who holds a host name. Every change of a claim passes these doors, which lock the tenant first and then the name.

--
-- A claim is proven when the DNS showed the tenant's text for it, and a name below the platform's zone needs none: its
-- claim is proven from the start. Only a claim that is not proven gives way, and only to a proof.

-- 'Held', 'Taken', 'Quarantined' or 'Limit'.
CREATE FUNCTION moorage.claim_hostname(of_epoch bigint, of_domain uuid, names_max integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    d moorage.domain;
    c moorage.claim;
    t timestamptz;
BEGIN
    PERFORM moorage.require_epoch(of_epoch);
    SELECT * INTO d FROM moorage.domain WHERE uid = of_domain;  -- what is read here never changes
    PERFORM pg_advisory_xact_lock(hashtextextended(d.tenant_uid::text, 7400010));
    PERFORM pg_advisory_xact_lock(hashtextextended(d.hostname, 7400011));
    SELECT * INTO c FROM moorage.claim WHERE hostname = d.hostname FOR UPDATE;
    SELECT * INTO d FROM moorage.domain WHERE uid = of_domain AND deleted_at IS NULL AND state = 'Pending' FOR UPDATE;
    IF c.domain_uid = of_domain THEN
        RETURN 'Held';
    ELSIF d.uid IS NULL THEN
        RETURN 'Taken';
    END IF;
    t := to_timestamp(money.clock());
    d := moorage.claimant(d, t);
    IF c.domain_uid IS NOT NULL AND (c.tenant_uid = d.tenant_uid OR c.proven_at IS NOT NULL OR d.proven_at IS NULL) THEN
        RETURN 'Taken';
    ELSIF c.domain_uid IS NULL AND c.quarantine_until > t AND c.tenant_uid <> d.tenant_uid THEN
        RETURN 'Quarantined';
    ELSIF moorage.has_names_enough(d, t, names_max) THEN
        RETURN 'Limit';
    END IF;
    -- A tenant that takes its own name up again keeps the quarantine that protects it, should it never be used again.
    INSERT INTO moorage.claim (hostname, tenant_uid, domain_uid, claimed_at, proven_at)
    VALUES (d.hostname, d.tenant_uid, d.uid, t, CASE WHEN d.own THEN d.proven_at ELSE t END)
    ON CONFLICT (hostname) DO UPDATE SET tenant_uid = excluded.tenant_uid, domain_uid = excluded.domain_uid,
        proven_at = excluded.proven_at, claimed_at = excluded.claimed_at,
        quarantine_until = CASE WHEN claim.tenant_uid = excluded.tenant_uid THEN claim.quarantine_until END;
    RETURN 'Held';
END $$;

-- A Domain as it comes to claim: a proof that was not seen for an hour is none, and has to be shown again.
CREATE FUNCTION moorage.claimant(d moorage.domain, t timestamptz) RETURNS moorage.domain LANGUAGE plpgsql AS $$
BEGIN
    IF d.proven_at IS NOT NULL AND (d.missing_since IS NOT NULL OR d.looked_at <= t - interval '1 hour') THEN
        UPDATE moorage.domain SET proven_at = NULL, looked_at = NULL, missing_since = NULL WHERE uid = d.uid
        RETURNING * INTO d;
    END IF;
    RETURN d;
END $$;

-- A removed tenant may hold nothing. Names in quarantine count as well, though less: whoever takes names up and gives
-- them up again keeps them from others.
CREATE FUNCTION moorage.has_names_enough(d moorage.domain, t timestamptz, names_max integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT count(*) FILTER (WHERE domain_uid IS NOT NULL) >= names_max OR count(*) >= 3 * names_max
           OR NOT EXISTS (SELECT FROM moorage.tenant WHERE uid = d.tenant_uid AND removed_at IS NULL)
    FROM moorage.claim
    WHERE tenant_uid = d.tenant_uid AND hostname <> d.hostname AND (domain_uid IS NOT NULL OR quarantine_until > t)
$$;

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

-- Writes down a definite answer of the resolvers. The claim hears of it in the same moment: nobody can take over what is
-- proven, and before anything exists outside nobody holds as proven what is not shown.
CREATE FUNCTION moorage.note_proof(of_epoch bigint, of_domain uuid, shown boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    d moorage.domain;
BEGIN
    PERFORM moorage.require_epoch(of_epoch);
    -- The claim before the Domain, as everywhere.
    PERFORM FROM moorage.claim WHERE domain_uid = of_domain FOR UPDATE;
    UPDATE moorage.domain SET
        looked_at = to_timestamp(money.clock()),
        proven_at = CASE WHEN shown THEN coalesce(proven_at, to_timestamp(money.clock()))
                         WHEN state <> 'Pending' THEN proven_at END,
        missing_since = CASE WHEN NOT shown THEN coalesce(missing_since, to_timestamp(money.clock())) END
    WHERE uid = of_domain AND own AND deleted_at IS NULL RETURNING * INTO d;
    UPDATE moorage.claim SET proven_at = d.proven_at WHERE domain_uid = d.uid;
END $$;

-- Gives the name up, if this Domain holds it; a second time changes nothing. What was never used outside leads nobody
-- astray, and a quarantine would only keep its owner out.
CREATE FUNCTION moorage.release_hostname(of_epoch bigint, of_domain uuid, quarantine interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    PERFORM moorage.require_epoch(of_epoch);
    UPDATE moorage.claim c SET domain_uid = NULL, proven_at = NULL, quarantine_until = greatest(
        c.quarantine_until,
        to_timestamp(money.clock()) + CASE WHEN d.state = 'Pending' THEN interval '0' ELSE quarantine END)
    FROM moorage.domain d
    WHERE d.uid = of_domain AND c.domain_uid = of_domain AND d.state <> 'Active';
END $$;
