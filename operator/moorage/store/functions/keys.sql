-- Replacing keys: each call puts what was sealed anew in the place of what was read, and leaves alone what has changed since.
-- It never waits for anybody, so it cannot be part of a deadlock; what is locked is found again by the next look.

CREATE FUNCTION moorage.rewrap_keys(
    who text, new_root text, owners uuid[], versions integer[], before bytea[], after bytea[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    moved bigint;
BEGIN
    WITH fresh AS (
        SELECT k.owner, k.version, f.after
        FROM unnest(owners, versions, before, after) AS f (owner, version, before, after)
        JOIN moorage.owner_key k ON k.owner = f.owner AND k.version = f.version AND k.wrapped_key = f.before
        FOR NO KEY UPDATE OF k SKIP LOCKED)
    UPDATE moorage.owner_key k SET wrapped_key = f.after, root_key = new_root
    FROM fresh f WHERE k.owner = f.owner AND k.version = f.version;
    GET DIAGNOSTICS moved = ROW_COUNT;
    PERFORM moorage.note_keys(who, 'Rewrapped', NULL, new_root, moved);
    RETURN moved;
END $$;

-- False when somebody else has just added this version.
CREATE FUNCTION moorage.add_key_version(who text, of_owner uuid, new_version integer, root text, wrapped bytea)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    INSERT INTO moorage.owner_key (owner, version, root_key, wrapped_key)
    VALUES (of_owner, new_version, root, wrapped) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM moorage.note_keys(who, 'VersionAdded', of_owner, new_version::text, 1);
        RETURN true;
    END IF;
    RETURN false;
END $$;

-- Everything that is sealed with one version of an owner's key, and the place it was sealed for: a copy of a data key
-- keeps the place of the attempt that made it. A table that begins to hold sealed values enters here and below.
CREATE FUNCTION moorage.sealed_values(of_owner uuid, of_version integer, rows_max integer)
RETURNS TABLE (stored_in text, id uuid, place_table text, place_row text, place_column text, sealed bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = money, pg_temp AS $$
    SELECT 'attempt', t.id, 'attempt', coalesce(s.attempt_id, t.id)::text, 'wrapped_key', t.wrapped_key
    FROM moorage.attempt t LEFT JOIN moorage.snapshot s ON t.kind = 'Restore' AND s.id = t.snapshot_id
    WHERE t.tenant_uid = of_owner AND t.key_version = of_version
    UNION ALL
    SELECT 'snapshot', s.id, 'attempt', s.attempt_id::text, 'wrapped_key', s.wrapped_key
    FROM moorage.snapshot s WHERE s.tenant_uid = of_owner AND s.key_version = of_version
    UNION ALL
    SELECT 'domain', d.uid, 'domain', d.uid::text, 'sealed_key', d.sealed_key
    FROM moorage.domain d WHERE d.tenant_uid = of_owner AND d.key_version = of_version
    UNION ALL
    SELECT 'acme_account', a.id, 'acme_account', a.directory, 'sealed_key', a.sealed_key
    FROM moorage.acme_account a WHERE a.owner = of_owner AND a.key_version = of_version
    LIMIT rows_max
$$;

-- A destroyed key is equal to nothing that was read, so it stays destroyed.
CREATE FUNCTION moorage.reseal(
    who text, of_owner uuid, new_version integer, stored_in text[], ids uuid[], before bytea[], after bytea[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    one   text[];  -- table, key, sealed value
    here  bigint;
    moved bigint := 0;
BEGIN
    FOREACH one SLICE 1 IN ARRAY ARRAY[
        ['snapshot', 'id', 'wrapped_key'], ['attempt', 'id', 'wrapped_key'],
        ['domain', 'uid', 'sealed_key'], ['acme_account', 'id', 'sealed_key']]
    LOOP
        EXECUTE format($one$
            WITH fresh AS (
                SELECT x.%2$I AS id, f.after FROM unnest($1, $2, $3, $4) AS f (stored_in, id, before, after)
                JOIN moorage.%1$I x ON x.%2$I = f.id AND x.%3$I = f.before WHERE f.stored_in = %1$L
                FOR NO KEY UPDATE OF x SKIP LOCKED)
            UPDATE moorage.%1$I x SET %3$I = f.after FROM fresh f WHERE x.%2$I = f.id
        $one$, one[1], one[2], one[3]) USING stored_in, ids, before, after;
        GET DIAGNOSTICS here = ROW_COUNT;
        moved := moved + here;
    END LOOP;
    PERFORM moorage.note_keys(who, 'Resealed', of_owner, new_version::text, moved);
    RETURN moved;
END $$;

-- Destroys an old version; false, and nothing done, while it is the newest or anything is sealed with it.
CREATE FUNCTION moorage.retire_key_version(who text, of_owner uuid, old_version integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
BEGIN
    DELETE FROM moorage.owner_key k WHERE k.owner = of_owner AND k.version = old_version
      AND EXISTS (SELECT 1 FROM moorage.owner_key n WHERE n.owner = of_owner AND n.version > old_version);
    IF FOUND THEN
        PERFORM moorage.note_keys(who, 'VersionRetired', of_owner, old_version::text, 1);
        RETURN true;
    END IF;
    RETURN false;
EXCEPTION WHEN foreign_key_violation THEN
    RETURN false;
END $$;

CREATE FUNCTION moorage.note_keys(who text, what text, of_owner uuid, of_subject text, how_many bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO moorage.key_audit (actor, step, owner, subject, count)
    SELECT who, what, of_owner, of_subject, how_many WHERE how_many > 0;
END $$;
