-- What was paid for host names: one row per tenant, name and month.

-- Months of one name follow the day of the first of them: from the 31st of January to the last of February to the 31st of
-- March. A row is written when a month is paid, or when it costs nothing, and never changed.
CREATE TABLE money.domain_month (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_uid    uuid NOT NULL REFERENCES moorage.tenant,
    hostname      text NOT NULL,
    period        text NOT NULL CHECK (period ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),  -- the month in which it begins
    anchor_at     timestamptz NOT NULL,  -- when the first of an unbroken row of months began
    number        integer NOT NULL CHECK (number >= 0),  -- its place in that row
    begins_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL CHECK (ends_at > begins_at),
    wallet_id     bigint NOT NULL REFERENCES money.wallet,
    amount_micros bigint NOT NULL CHECK (amount_micros >= 0),  -- 0: there was no price, and no entry either
    hold_id       uuid UNIQUE REFERENCES money.hold,  -- what was set aside for it; NULL: paid at once
    paid_at       timestamptz NOT NULL,
    UNIQUE (tenant_uid, hostname, period)
);
CREATE INDEX domain_month_ends ON money.domain_month (tenant_uid, hostname, ends_at);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON money.domain_month
FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_change();

-- When its months want to be looked at next.
ALTER TABLE moorage.domain ADD COLUMN renew_at timestamptz NOT NULL DEFAULT '-infinity';
CREATE INDEX domain_renew ON moorage.domain (renew_at) WHERE deleted_at IS NULL;

GRANT SELECT ON money.domain_month TO moorage_app, moorage_read;
