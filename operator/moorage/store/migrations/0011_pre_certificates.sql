-- Certificates: the attempts that failed, what is still to be revoked, and our account at an ACME authority.

-- A name whose last attempt failed, or was not seen to end; the next one waits for its time, whoever leads then.
CREATE TABLE moorage.certificate_attempt (
    domain_uid uuid PRIMARY KEY REFERENCES moorage.domain,
    failures   integer NOT NULL CHECK (failures > 0),
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
    directory  text PRIMARY KEY,        -- the address of the authority
    sealed_key bytea NOT NULL,          -- sealed with the platform's key
    uri        text                     -- the authority's name of the account; NULL: not registered yet
);

GRANT SELECT, INSERT, UPDATE, DELETE ON moorage.certificate_attempt, moorage.certificate_revocation TO moorage_app;
GRANT SELECT, INSERT, UPDATE ON moorage.acme_account TO moorage_app;
