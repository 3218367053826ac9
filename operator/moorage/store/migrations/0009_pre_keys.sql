-- The keys of tenants and of the platform, each wrapped with a root key that is not in this database.

CREATE TABLE moorage.owner_key (
    owner       uuid NOT NULL,           -- a tenant, or the UUID of zeros: the platform
    version     integer NOT NULL CHECK (version BETWEEN 1 AND 65535),  -- the highest seals, the others open
    root_key    text NOT NULL,           -- the id of the root key that wraps it
    wrapped_key bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (owner, version)
);
CREATE INDEX owner_key_root ON moorage.owner_key (root_key, owner, version);

-- What a value is sealed with stands in its second and third byte. A version cannot be retired while anything is.
ALTER TABLE moorage.attempt ADD COLUMN key_version integer GENERATED ALWAYS AS (
    CASE WHEN length(wrapped_key) > 3 AND get_byte(wrapped_key, 0) = 2
         THEN get_byte(wrapped_key, 1) * 256 + get_byte(wrapped_key, 2) END) STORED;
ALTER TABLE moorage.snapshot ADD COLUMN key_version integer GENERATED ALWAYS AS (
    CASE WHEN length(wrapped_key) > 3 AND get_byte(wrapped_key, 0) = 2
         THEN get_byte(wrapped_key, 1) * 256 + get_byte(wrapped_key, 2) END) STORED;
ALTER TABLE moorage.attempt ADD CONSTRAINT attempt_sealed_with
    FOREIGN KEY (tenant_uid, key_version) REFERENCES moorage.owner_key;
ALTER TABLE moorage.snapshot ADD CONSTRAINT snapshot_sealed_with
    FOREIGN KEY (tenant_uid, key_version) REFERENCES moorage.owner_key;
CREATE INDEX attempt_sealed_with ON moorage.attempt (tenant_uid, key_version) WHERE key_version IS NOT NULL;
CREATE INDEX snapshot_sealed_with ON moorage.snapshot (tenant_uid, key_version) WHERE key_version IS NOT NULL;

-- Who replaced which keys, and when: one line per transaction, so that an interrupted rotation has told what it did.
CREATE TABLE moorage.key_audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor   text NOT NULL,
    step    text NOT NULL CHECK (step IN ('Rewrapped', 'VersionAdded', 'Resealed', 'VersionRetired')),
    owner   uuid,                        -- NULL: of many owners
    subject text NOT NULL,               -- the id of the new root key, or the version of the owner's key
    count   bigint NOT NULL CHECK (count > 0)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON moorage.key_audit
FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_change();

GRANT SELECT, INSERT ON moorage.owner_key TO moorage_app;
GRANT SELECT ON moorage.key_audit TO moorage_app;
