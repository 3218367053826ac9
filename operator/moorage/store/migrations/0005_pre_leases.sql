-- Reserved money and what is spent from it: gateways, leases, holds, and one row per model request.
-- Lock order: lease or hold, then wallets by ascending id, then everything else.

-- A gateway process; each of its lives has a new epoch, and calls of an older one are refused.
CREATE TABLE money.gateway (
    name    text PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 100),
    epoch   bigint NOT NULL CHECK (epoch > 0),
    seen_at bigint NOT NULL
);

-- A slice of a wallet's credit that one gateway spends from in memory.
CREATE TABLE money.lease (
    id              uuid PRIMARY KEY,  -- made by the gateway before it asks
    wallet_id       bigint NOT NULL REFERENCES money.wallet,
    gateway         text NOT NULL REFERENCES money.gateway,
    granted_micros  bigint NOT NULL CHECK (granted_micros > 0),
    spent_picos     bigint NOT NULL DEFAULT 0 CHECK (spent_picos >= 0),     -- paid out of the slice
    late_picos      bigint NOT NULL DEFAULT 0 CHECK (late_picos >= 0),      -- paid by the wallet after the lease ended
    absorbed_picos  bigint NOT NULL DEFAULT 0 CHECK (absorbed_picos >= 0),  -- used and paid by nobody but the platform
    state           text NOT NULL DEFAULT 'Open' CHECK (state IN ('Open', 'Closed', 'Expired')),
    opened_at       bigint NOT NULL,
    expires_at      bigint NOT NULL,
    CONSTRAINT spent_within_grant CHECK (spent_picos / 1000000 < granted_micros
                                         OR spent_picos = granted_micros * 1000000)
) WITH (fillfactor = 70);
CREATE INDEX lease_open ON money.lease (wallet_id) WHERE state = 'Open';
CREATE INDEX lease_of_gateway ON money.lease (gateway) WHERE state = 'Open';

-- Money set aside for one request whose wallet is too small for a slice, or for the next month of a host name. A
-- month's hold is touched by nobody who does not hold its wallet.
CREATE TABLE money.hold (
    id             uuid PRIMARY KEY,  -- the request's id
    wallet_id      bigint NOT NULL REFERENCES money.wallet,
    gateway        text REFERENCES money.gateway,
    agent_uid      uuid,
    domain_uid     uuid,
    amount_micros  bigint NOT NULL CHECK (amount_micros > 0),
    paid_picos     bigint NOT NULL DEFAULT 0 CHECK (paid_picos >= 0),
    absorbed_picos bigint NOT NULL DEFAULT 0 CHECK (absorbed_picos >= 0),
    state          text NOT NULL DEFAULT 'Open' CHECK (state IN ('Open', 'Settled', 'Voided', 'Expired')),
    opened_at      bigint NOT NULL,
    expires_at     bigint NOT NULL,   -- of a month: when it begins, and the hold is taken or freed
    CONSTRAINT of_a_request_or_a_month CHECK (num_nonnulls(gateway, domain_uid) = 1
                                              AND (gateway IS NULL) = (agent_uid IS NULL)),
    CONSTRAINT paid_within_hold CHECK (paid_picos / 1000000 < amount_micros OR paid_picos = amount_micros * 1000000),
    CONSTRAINT open_is_unpaid CHECK (state <> 'Open' OR paid_picos + absorbed_picos = 0)
);
CREATE INDEX hold_open ON money.hold (wallet_id) WHERE state = 'Open';
CREATE UNIQUE INDEX hold_of_domain ON money.hold (domain_uid) WHERE state = 'Open';
CREATE INDEX hold_expires ON money.hold (expires_at) WHERE state = 'Open';

-- What a gateway says about one finished request: tokens, and the price of one token as it was when it was admitted.
CREATE TYPE money.request AS (
    id            uuid,
    lease_id      uuid,  -- null when the request has a hold of its own
    agent_uid     uuid,
    model         text,
    input_tokens  bigint,
    cached_tokens bigint,
    output_tokens bigint,
    input_picos   bigint,
    cached_picos  bigint,
    output_picos  bigint
);

-- One row is one request. The id is a UUIDv7, so its range is its day and the key alone keeps it unique.
CREATE TABLE money.usage (
    id            uuid PRIMARY KEY,
    lease_id      uuid,
    wallet_id     bigint NOT NULL,
    agent_uid     uuid NOT NULL,
    input_tokens  bigint NOT NULL CHECK (input_tokens BETWEEN 0 AND 100000000),
    cached_tokens bigint NOT NULL CHECK (cached_tokens BETWEEN 0 AND 100000000),
    output_tokens bigint NOT NULL CHECK (output_tokens BETWEEN 0 AND 100000000),
    input_picos   bigint NOT NULL CHECK (input_picos BETWEEN 0 AND 10000000000),
    cached_picos  bigint NOT NULL CHECK (cached_picos BETWEEN 0 AND 10000000000),
    output_picos  bigint NOT NULL CHECK (output_picos BETWEEN 0 AND 10000000000),
    amount_picos  bigint GENERATED ALWAYS AS (
        input_tokens * input_picos + cached_tokens * cached_picos + output_tokens * output_picos) STORED,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    model         text NOT NULL CHECK (length(model) BETWEEN 1 AND 200)
) PARTITION BY RANGE (id);
-- Days are made ahead by a job; what no day covers lands here, and is found and counted once all the same.
CREATE TABLE money.usage_other PARTITION OF money.usage DEFAULT;

-- What agents spent in a day on things that have no run; budgets add it to the seconds of the runs.
CREATE TABLE money.day_spend (
    wallet_id bigint NOT NULL,
    day       bigint NOT NULL CHECK (mod(day, 86400) = 0),  -- its first second
    agent_uid uuid NOT NULL,
    picos     bigint NOT NULL,
    PRIMARY KEY (wallet_id, day, agent_uid)
);

-- The second at which zero was put off to ask gateways for their slices; null at all other times.
ALTER TABLE money.wallet ADD COLUMN reclaim_at bigint;

ALTER TABLE money.policy
    ADD COLUMN lease_seconds bigint NOT NULL DEFAULT 60 CHECK (lease_seconds BETWEEN 5 AND 3600),
    ADD COLUMN sweep_after_seconds bigint NOT NULL DEFAULT 60 CHECK (sweep_after_seconds BETWEEN 0 AND 86400),
    ADD COLUMN hold_seconds bigint NOT NULL DEFAULT 900 CHECK (hold_seconds BETWEEN 5 AND 86400),
    ADD COLUMN reclaim_seconds bigint NOT NULL DEFAULT 2 CHECK (reclaim_seconds BETWEEN 0 AND 60),
    ADD COLUMN headroom_seconds bigint NOT NULL DEFAULT 10 CHECK (headroom_seconds BETWEEN 1 AND 3600);

-- What the platform absorbs belongs to a run, or to a lease or hold.
ALTER TABLE money.system_entry
    ADD COLUMN reservation_id uuid,
    ADD CONSTRAINT has_one_cause CHECK (num_nonnulls(run_id, reservation_id) = 1);

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['usage', 'usage_other'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON money.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_change()', kept);
    END LOOP;
END $$;

GRANT SELECT ON money.gateway, money.lease, money.hold, money.usage, money.usage_other, money.day_spend
    TO moorage_app, moorage_read, moorage_verify;
