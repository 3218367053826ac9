-- Certificates: the attempts that failed, what is still to be revoked, and our account at an ACME authority.

-- A name whose last attempt failed, or was not seen to end; the next one waits for its time, whoever leads then.
CREATE TABLE moorage.certificate_attempt (
    domain_uid uuid PRIMARY KEY REFERENCES moorage.domain,
    failures   integer NOT NULL CHECK (failures >= 0),  -- 0: it was put off before anybody was asked
    retry_at   timestamptz NOT NULL,
    reason     text                     -- how it ended; NULL: nobody saw it
);

-- Certificates that nothing serves any more, until their issuer has taken them back.
CREATE TABLE moorage.certificate_revocation (
    issuer         text NOT NULL CHECK (issuer IN ('Cloudflare', 'Acme')),
    certificate_id text NOT NULL,
    chain          text NOT NULL,       -- PEM
    not_after      timestamptz NOT NULL, -- from then on there is nothing to take back
    failures       integer NOT NULL DEFAULT 0,
    retry_at       timestamptz NOT NULL,
    PRIMARY KEY (issuer, certificate_id)
);

CREATE TABLE moorage.acme_account (
    directory   text PRIMARY KEY,       -- the address of the authority
    id          uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    owner       uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',  -- whose key seals: the platform's
    sealed_key  bytea NOT NULL,
    key_version integer GENERATED ALWAYS AS (
        CASE WHEN length(sealed_key) > 3 AND get_byte(sealed_key, 0) = 2
             THEN get_byte(sealed_key, 1) * 256 + get_byte(sealed_key, 2) END) STORED,
    uri         text,                   -- the authority's name of the account; NULL: not registered yet
    CONSTRAINT acme_account_sealed_with FOREIGN KEY (owner, key_version) REFERENCES moorage.owner_key
);

GRANT SELECT, INSERT, UPDATE, DELETE ON moorage.certificate_attempt, moorage.certificate_revocation TO moorage_app;
GRANT SELECT, INSERT, UPDATE ON moorage.acme_account TO moorage_app;
