-- Host names: who holds which, and what exists for each outside.

-- One row per name that was ever held; a name that was given up keeps its row, and with it its quarantine.
CREATE TABLE moorage.claim (
    hostname         text PRIMARY KEY CHECK (
        hostname ~ '^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'
        AND length(hostname) <= 253),
    tenant_uid       uuid NOT NULL REFERENCES moorage.tenant,
    domain_uid       uuid,                -- NULL: given up
    claimed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    proven_at        timestamptz,         -- NULL: whoever shows the proof first takes it over; below the zone never
    quarantine_until timestamptz,         -- up to when only the same tenant may have it again
    CHECK (domain_uid IS NOT NULL OR quarantine_until IS NOT NULL)
);
CREATE INDEX claim_tenant ON moorage.claim (tenant_uid) WHERE domain_uid IS NOT NULL;

CREATE TABLE moorage.domain (
    uid                  uuid PRIMARY KEY,
    tenant_uid           uuid NOT NULL REFERENCES moorage.tenant,
    namespace            text NOT NULL,
    name                 text NOT NULL,
    hostname             text NOT NULL,
    own                  boolean NOT NULL,  -- the tenant's own name, which needs proof; else below the platform's zone
    agent_name           text NOT NULL,
    state                text NOT NULL DEFAULT 'Pending'
        CHECK (state IN ('Pending', 'Active', 'Releasing', 'Released')),
    state_since          timestamptz NOT NULL DEFAULT clock_timestamp(),
    fence                bigint NOT NULL DEFAULT 0,
    challenge            text NOT NULL,
    proven_at            timestamptz,
    looked_at            timestamptz,
    missing_since        timestamptz,
    record_id            text,              -- the provider's names of what is ours there
    provider_hostname_id text,
    certificate_id       text,
    certificate_issuer   text CHECK (certificate_issuer IN ('Cloudflare', 'Acme')),
    certificate_chain    text,              -- PEM
    fingerprint          text,
    not_before           timestamptz,
    not_after            timestamptz,
    sealed_key           bytea,             -- the certificate's private key, sealed with the tenant's key
    paid_until           timestamptz,
    unpaid_since         timestamptz,
    release_at           timestamptz,
    deleted_at           timestamptz,
    CHECK (num_nulls(certificate_id, certificate_issuer, certificate_chain, fingerprint, not_before, not_after, sealed_key)
           IN (0, 7)),
    CHECK ((unpaid_since IS NULL) = (release_at IS NULL))
);
CREATE INDEX domain_name ON moorage.domain (namespace, name) WHERE deleted_at IS NULL;  -- one may have vanished unseen
CREATE INDEX domain_hostname ON moorage.domain (hostname) WHERE deleted_at IS NULL;
CREATE INDEX domain_agent ON moorage.domain (namespace, agent_name) WHERE deleted_at IS NULL;

ALTER TABLE moorage.domain ADD COLUMN key_version integer GENERATED ALWAYS AS (
    CASE WHEN length(sealed_key) > 3 AND get_byte(sealed_key, 0) = 2
         THEN get_byte(sealed_key, 1) * 256 + get_byte(sealed_key, 2) END) STORED;
ALTER TABLE moorage.domain ADD CONSTRAINT domain_sealed_with
    FOREIGN KEY (tenant_uid, key_version) REFERENCES moorage.owner_key;
CREATE INDEX domain_sealed_with ON moorage.domain (tenant_uid, key_version) WHERE key_version IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON moorage.domain TO moorage_app;
GRANT SELECT ON moorage.claim TO moorage_app;

-- What this platform makes elsewhere is marked with its id; a restored database is the same platform.
CREATE TABLE moorage.platform (
    id     uuid NOT NULL DEFAULT gen_random_uuid(),
    single boolean PRIMARY KEY DEFAULT true CHECK (single)
);
INSERT INTO moorage.platform DEFAULT VALUES;
GRANT SELECT ON moorage.platform TO moorage_app;
